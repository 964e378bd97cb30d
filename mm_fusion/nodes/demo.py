"""`make demo`: a recording through real nodes in real processes, and what came out as files and pictures."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mm_fusion.config import VehicleConfig, dump_config, load_vehicle, share_roots
from mm_fusion.errors import BagError, FusionError
from mm_fusion.evaluation.recorded import read_recorded_detections
from mm_fusion.nodes.demo_summary import DemoSummary, summarise, table, write_summary
from mm_fusion.nodes.processes import Child, own_domain
from mm_fusion.viewing.album import draw_album
from mm_fusion.viewing.recording import sights

READY_S = 180.0
"""The first start compiles loops; later ones take seconds."""
LISTEN_S = 30.0
DRAWN_SCORE = 0.2
"""Weaker detections are in the files and not in the pictures."""
RATE_HZ = 10.0
RATE = 0.25
"""Speed of playing: two slow cores without a GPU need up to a quarter of a second for a frame of `tiny`."""
LAST_REPORT_S = 2.5
"""Diagnostics come once a second; the last must tell of the last frame."""


@dataclass(frozen=True)
class Recording:
    """What to play. longest_gap_s: of longer gaps the rest is skipped; 0 keeps them. clock_hz: of /clock.

    Where sensors are seldom, so that each frame finds them silent, and share a stamp, the next tick of /clock
    must leave a busy machine time to take all of them in.
    """

    path: Path
    vehicle: str
    longest_gap_s: float = 0.0
    clock_hz: float = 100.0


def main(args: Sequence[str] | None = None) -> int:
    """Run the demo; 0 where every frame came out, 1 where some did not, 2 where it could not run."""
    parser = argparse.ArgumentParser(prog="python -m mm_fusion.nodes.demo", description=__doc__)
    parser.add_argument(
        "--data", choices=("sample", "astyx"), default="sample", help="what to play (default sample)"
    )
    parser.add_argument(
        "--astyx", type=Path, default=Path("../shared/data/astyx"), help="folder of the Astyx data"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder for results (default out/demo)"
    )
    parser.add_argument(
        "--model", default="", help="detector, as `mm-fusion run` takes it (default: as the vehicle says)"
    )
    parser.add_argument("--backend", default="auto", help="what runs a learned model (default auto)")
    parser.add_argument("--rate", type=float, default=RATE, help=f"speed of playing (default {RATE})")
    given = parser.parse_args(args)
    try:
        return run(given)
    except FusionError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


def run(args: argparse.Namespace) -> int:
    """The whole demo, step by step."""
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    recording = _recording(args)
    vehicle = load_vehicle(recording.vehicle)
    if args.model:
        vehicle = vehicle.model_copy(update={"model": args.model})
    (out / "vehicle.yaml").write_text(dump_config(vehicle), encoding="utf-8")
    played = play_through(recording, out, args.rate, {"model": vehicle.model, "backend": args.backend})
    summary = summarise(recording.path, vehicle, played)
    write_summary(out / "summary.json", summary)
    print("drawing pictures", flush=True)
    shown = sights(recording.path, vehicle)
    pictures = draw_album(
        out, shown, read_recorded_detections(played), True, DRAWN_SCORE, RATE_HZ * args.rate
    )
    _print(summary, [played, out / "summary.json", *pictures.values()])
    return 0 if summary.frames_lost == 0 else 1


def play_through(
    recording: Recording, out: Path, rate: float = 1.0, parameters: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Play a recording through fusion node and recorder, each a process; the MCAP file they made.

    parameters: of the fusion node, beside vehicle and time.
    """
    os.environ.setdefault("ROS_LOG_DIR", str(out / "log"))
    environment = own_domain(10 + os.getpid() % 90)
    target = out / "detections.mcap"
    with ExitStack() as stack:
        fusion = stack.enter_context(_fusion(recording, parameters, environment, out))
        print("starting the fusion node", flush=True)
        fusion.wait_for("[fusion]: active", READY_S, unless="[ERROR]")
        recorder = stack.enter_context(
            Child("mm_fusion.nodes.recorder_node", ["--out", str(target)], environment, out / "recorder.log")
        )
        recorder.wait_for("[recorder]: listening", LISTEN_S)
        player = stack.enter_context(_player(recording, rate, environment, out))
        player.wait_for("listeners", LISTEN_S + 30)
        print(f"playing {recording.path}", flush=True)
        _wait_with_dots(player)
        time.sleep(LAST_REPORT_S)
        fusion.check()
        recorder.stop()
    if not target.is_file():
        raise BagError(
            f"{target}: was not written; see {out / 'recorder.log'}: {recorder.text().strip()[-300:]}"
        )
    return target


def _fusion(
    recording: Recording, parameters: Mapping[str, str], environment: dict[str, str], out: Path
) -> Child:
    given = {"vehicle": recording.vehicle, "use_sim_time": "true", **parameters}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    arguments = ["--ros-args", *words]
    return Child("mm_fusion.nodes.fusion_node", arguments, environment, out / "fusion.log")


def _player(recording: Recording, rate: float, environment: dict[str, str], out: Path) -> Child:
    arguments = [str(recording.path), "--rate", str(rate), "--wait-for", str(LISTEN_S)]
    arguments += ["--clock", str(recording.clock_hz), "--longest-gap", str(recording.longest_gap_s)]
    return Child("mm_fusion.nodes.player_node", arguments, environment, out / "player.log")


def _wait_with_dots(player: Child) -> None:
    while player.running():
        print(".", end="", flush=True)
        time.sleep(1.0)
    print(flush=True)
    player.wait(0.0)


def _recording(args: argparse.Namespace) -> Recording:
    if args.data == "astyx":
        return Recording(
            _astyx(args.astyx, args.out.parent / "astyx_val"), "astyx", longest_gap_s=0.3, clock_hz=20.0
        )
    for root in share_roots():
        if (root / "rosbags" / "sample").exists():
            return Recording(root / "rosbags" / "sample", SAMPLE_VEHICLE)
    return Recording(_sample(args.out.parent / "sample", load_vehicle(SAMPLE_VEHICLE)), SAMPLE_VEHICLE)


SAMPLE_VEHICLE = "nuscenes_like"
SAMPLE_SCENARIO, SAMPLE_SEED, SAMPLE_S = "urban", 12, 5.0
"""As in rosbags/README.md."""


def _sample(path: Path, vehicle: VehicleConfig) -> Path:
    """A short simulated drive like that in `rosbags/sample`, kept for the next time."""
    if path.exists():
        return path
    from tqdm import tqdm

    from mm_fusion.simulation.bag import write_bag
    from mm_fusion.simulation.rig import RigOptions
    from mm_fusion.simulation.simulator import Simulator

    options = RigOptions(camera_width_px=352, lidar_step=4)
    simulator = Simulator(vehicle, SAMPLE_SCENARIO, SAMPLE_SEED, options=options)
    with tqdm(desc="making a sample recording", unit="%", total=100, disable=None) as bar:
        write_bag(path, simulator, SAMPLE_S, lambda share: _advance(bar, round(100 * share), 100))
    return path


def _astyx(source: Path, path: Path) -> Path:
    """The `val` runs as a bag, kept for the next time."""
    if path.exists():
        return path
    if not source.is_dir():
        raise BagError(
            f"{source}: no such folder; give the Astyx data with ASTYX=PATH (make) or --astyx PATH"
        )
    from tqdm import tqdm

    from mm_fusion.bags.convert.astyx import convert

    folder = source / "val" if (source / "val").is_dir() else source
    with tqdm(desc="converting", unit="frames", disable=None) as bar:
        convert(folder, path, progress=lambda done, total: _advance(bar, done, total))
    return path


def _advance(bar, done: int, total: int) -> None:  # type: ignore[no-untyped-def]
    bar.total = total
    bar.update(done - bar.n)


def _print(summary: DemoSummary, paths: Sequence[Path]) -> None:
    print(table(summary))
    for path in paths:
        print(f"  {path}")


if __name__ == "__main__":
    sys.exit(main())
