"""`mm-fusion simulate`: a drive that never happened, as a recording, live, or as training data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mm_fusion.errors import ConfigurationError

if TYPE_CHECKING:
    from mm_fusion.simulation.simulator import Simulator

WEATHERS = ("clear", "rain", "fog", "night")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "--vehicle", default="nuscenes_like", help="vehicle file, or the name of a shipped one"
    )
    add_drive_arguments(parser)
    aim = parser.add_argument_group("what to make (exactly one)")
    aim.add_argument("--out", type=Path, metavar="BAG", help="a rosbag2 recording with truth")
    aim.add_argument("--live", action="store_true", help="publish the drive over ROS")
    aim.add_argument(
        "--dataset", type=Path, metavar="DIR", help="training data in shards; goes on where it was"
    )
    aim.add_argument(
        "--compare", type=Path, metavar="DIR", help="figures beside the real data of DIR (Astyx)"
    )
    aim.add_argument("--list-faults", action="store_true", help="print what every fault does")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing recording")
    parser.add_argument("--frames", type=int, default=1000, help="of --dataset or --compare (default 1000)")
    parser.add_argument(
        "--splits",
        default="train,val,test",
        help="of --dataset: the splits to make, with commas (default all)",
    )
    parser.add_argument(
        "--report", type=Path, default=Path("out/compare"), help="folder of --compare (default out/compare)"
    )
    add_live_arguments(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_drive_arguments(parser: argparse.ArgumentParser) -> None:
    """What a drive is made of; the simulator node takes the same."""
    parser.add_argument(
        "--scenario",
        default="urban",
        help="urban, straight, curve, intersection, highway, parking or roundabout",
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same bytes (default 7)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the drive (default 20)")
    parser.add_argument("--weather", default="clear", choices=WEATHERS, help="default clear")
    parser.add_argument("--faults", metavar="FILE", help="fault file, or the name of a shipped one")
    parser.add_argument(
        "--camera-width",
        type=int,
        default=704,
        metavar="PX",
        help="make wider images this wide, 0: as in the vehicle file (default 704)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes that measure (default 1); same bytes with any number",
    )
    parser.add_argument(
        "--lidar-step",
        type=int,
        default=1,
        metavar="N",
        help="keep one of N directions of each scan (default 1)",
    )


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """How a drive is published; the simulator node takes the same."""
    parser.add_argument(
        "--rate",
        type=float,
        default=1.0,
        help="live: speed with /clock, 0: as fast as it can (default 1)",
    )
    parser.add_argument(
        "--wall-time",
        action="store_true",
        help="live: stamps of the wall clock in real time, without /clock",
    )
    parser.add_argument(
        "--wait-for",
        type=float,
        default=0.0,
        metavar="S",
        help="live: wait up to S seconds for listeners (default 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Do the one thing that was asked for; the exit code."""
    _check(args)
    if args.list_faults:
        return _list_faults()
    if args.live:
        return _live(args)
    if args.dataset:
        return _dataset(args)
    if args.compare:
        return _compare(args)
    return _bag(args)


def _check(args: argparse.Namespace) -> None:
    aims = [args.out, args.live, args.dataset, args.compare, args.list_faults]
    if sum(bool(aim) for aim in aims) != 1:
        raise ConfigurationError(
            "give exactly one of --out BAG, --live, --dataset DIR, --compare DIR, --list-faults"
        )
    _check_least(args, {"frames": 1})
    check_drive_arguments(args)


def check_drive_arguments(args: argparse.Namespace) -> None:
    """Raise `ConfigurationError` for a number that makes no sense."""
    _check_least(
        args, {"seconds": 0.1, "lidar_step": 1, "workers": 1, "seed": 0, "camera_width": 0, "rate": 0}
    )


def _check_least(args: argparse.Namespace, smallest: dict[str, float]) -> None:
    for name, least in smallest.items():
        if not getattr(args, name) >= least:
            raise ConfigurationError(
                f"--{name.replace('_', '-')} {getattr(args, name)}: expected {least} or more"
            )


def make_simulator(args: argparse.Namespace, start_ns: int | None = None) -> Simulator:
    """The drive that the arguments describe."""
    from mm_fusion.config import load_vehicle
    from mm_fusion.simulation.faults import load_faults
    from mm_fusion.simulation.rig import RigOptions
    from mm_fusion.simulation.simulator import DURATION_S, START_NS, Simulator

    return Simulator(
        load_vehicle(args.vehicle),
        args.scenario,
        args.seed,
        args.weather,
        load_faults(args.faults) if args.faults else None,
        START_NS if start_ns is None else start_ns,
        RigOptions(args.camera_width, args.lidar_step),
        max(DURATION_S, args.seconds),
    )


def _bag(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from mm_fusion.simulation.bag import write_bag

    simulator = make_simulator(args)
    with tqdm(
        total=1000,
        desc=f"simulate {args.scenario}",
        disable=args.quiet,
        bar_format="{l_bar}{bar}| {elapsed}<{remaining}",
    ) as bar:

        def show(share: float) -> None:
            bar.update(max(0, int(share * 1000) - bar.n))

        counts = write_bag(args.out, simulator, args.seconds, show, args.overwrite, args.workers)
    for topic, count in sorted(counts.items()):
        print(f"{count:7d}  {topic}")
    print(f"written  {args.out}")
    return 0


def _list_faults() -> int:
    from mm_fusion.simulation.faults import DESCRIPTIONS

    for name, text in DESCRIPTIONS.items():
        print(f"{name:13} {text}")
    return 0


def _live(args: argparse.Namespace) -> int:
    try:
        from mm_fusion.nodes.simulator_node import publish_live
    except ImportError as error:
        raise ConfigurationError(
            f"--live needs ROS 2: {error}; source an installation or install its wheels"
        ) from error
    return publish_live(args)


def _dataset(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from mm_fusion.config import load_vehicle
    from mm_fusion.simulation.dataset import DatasetSettings, write_dataset

    settings = DatasetSettings.of(
        load_vehicle(args.vehicle), args.frames, args.seed, args.camera_width, args.lidar_step
    )
    with tqdm(unit="frame", desc="simulate", disable=args.quiet) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        splits = [name for name in args.splits.split(",") if name]
        manifest = write_dataset(args.dataset, settings, args.workers, show, splits)
    for split, shards in manifest["splits"].items():
        print(f"{sum(s['frames'] for s in shards):7d} frames in {len(shards)} shards  {split}")
    print(f"written  {args.dataset}  {manifest['hash']}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from mm_fusion.simulation.compare import compare_with_real

    with tqdm(unit="frame", desc="compare", disable=args.quiet, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        text = compare_with_real(args.compare, args.report, args.frames, args.seed, show)
    print(text)
    print(f"written  {args.report}")
    return 0
