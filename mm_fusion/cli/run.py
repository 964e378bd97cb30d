"""`mm-fusion run BAG [BAG ...] --vehicle FILE --out detections.json|FOLDER`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm_fusion.config import VehicleConfig
    from mm_fusion.many_bags.conductor import Engine
    from mm_fusion.many_bags.tasks import BagOutcome, BagTask
    from mm_fusion.offline import OfflineRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "bag", type=Path, nargs="+", metavar="BAG", help="rosbag2 folder, .mcap or .db3; one or many"
    )
    parser.add_argument("--vehicle", required=True, help="vehicle file, or the name of a shipped one")
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE|FOLDER",
        help="detections.json; for many bags a folder",
    )
    parser.add_argument(
        "--model", help="geometric, a settings file, or a learned model; default: the vehicle's"
    )
    parser.add_argument("--only", help="use these sensors alone, by name or kind, with commas (lidar,radar)")
    parser.add_argument("--backend", help="what runs a learned model's graphs (default auto)")
    parser.add_argument("--threads", type=int, help="threads of the backend")
    parser.add_argument("--workers", type=int, help="bags at a time (default: one per core; with ray: all)")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="this machine (default), or a Ray cluster"
    )
    parser.add_argument("--address", help="of the Ray cluster (default: RAY_ADDRESS, else one here)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Detect, write the results and the resolved vehicle file, print a table.

    Returns 1 where some of many bags failed, 130 after Ctrl-C, which keeps the frames of one bag, and the
    whole bags of many, that are done.
    """
    from mm_fusion.config import load_vehicle
    from mm_fusion.errors import ConfigurationError

    for name in ("workers", "threads"):
        if (number := getattr(args, name)) is not None and number < 1:
            raise ConfigurationError(f"--{name}: expected 1 or more, got {number}")
    vehicle = load_vehicle(args.vehicle)
    if args.only:
        vehicle = only_sensors(vehicle, args.only.split(","))
    model = args.model or vehicle.model
    return (_run_many if _wants_folder(args) else _run_one)(args, vehicle, model)


def only_sensors(vehicle: VehicleConfig, chosen: list[str]) -> VehicleConfig:
    """The vehicle with a part of its sensors; every reference that is left keeps its rank."""
    from mm_fusion.errors import ConfigurationError

    sensors = {name: s for name, s in vehicle.sensors.items() if name in chosen or s.kind in chosen}
    unknown = [word for word in chosen if not any(word in (name, s.kind) for name, s in sensors.items())]
    if unknown or not sensors:
        names = ", ".join(f"{name} ({s.kind})" for name, s in vehicle.sensors.items())
        raise ConfigurationError(f"--only {','.join(unknown)}: no such sensor; the vehicle has {names}")
    reference = [name for name in vehicle.alignment.reference if name in sensors] or list(sensors)
    alignment = vehicle.alignment.model_copy(update={"reference": reference})
    return vehicle.model_copy(update={"sensors": sensors, "alignment": alignment})


def _wants_folder(args: argparse.Namespace) -> bool:
    """Several bags, a cluster, or what is or says that it is a folder; raises for a file's name there."""
    from mm_fusion.errors import ConfigurationError

    several = len(args.bag) > 1 or args.engine == "ray"
    is_folder = Path(args.out).is_dir() or args.out.endswith(os.sep)
    if several and not is_folder and args.out.endswith(".json"):
        raise ConfigurationError(f"--out {args.out}: expected a folder for the results of each bag")
    return several or is_folder


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked of the detector beside its model."""
    asked = {"backend": args.backend, "threads": args.threads}
    return {name: value for name, value in asked.items() if value is not None}


# One recording into one file.


def _run_one(args: argparse.Namespace, vehicle: VehicleConfig, model: str) -> int:
    from mm_fusion.config import dump_config
    from mm_fusion.evaluation.detections_file import write_detections
    from mm_fusion.evaluation.json_file import check_writable, write_whole
    from mm_fusion.offline import input_hashes, results_file

    bag, out = args.bag[0], Path(args.out)
    check_writable(out)
    done = _run_with_bar(args, vehicle, model)
    write_detections(out, results_file(done, vehicle, input_hashes(bag, vehicle, model)))
    write_whole(out.with_suffix(".vehicle.yaml"), dump_config(vehicle))
    _print_table(out, done)
    return 130 if done.interrupted else 0


def _run_with_bar(args: argparse.Namespace, vehicle: VehicleConfig, model: str) -> OfflineRun:
    from tqdm import tqdm

    from mm_fusion.offline import run_bag

    bag = args.bag[0]
    with tqdm(
        total=1000, desc=bag.name, disable=args.quiet, bar_format="{l_bar}{bar}| {elapsed}<{remaining}"
    ) as bar:
        return run_bag(bag, vehicle, model, lambda share: _advance(bar, share), **_options(args))


def _advance(bar: Any, share: float) -> None:
    bar.update(max(0, int(share * bar.total) - bar.n))


def _print_table(out: Path, done: OfflineRun) -> None:
    import numpy as np

    for text in (*done.problems, *done.explanations):
        print(f"note: {text}", file=sys.stderr)
    detect = np.percentile(done.stage_ms["detect"] or [0.0], (50, 95))
    speed = f" ({done.recorded_s / done.elapsed_s:.1f} x real time)" if done.elapsed_s else ""
    print(f"frames      {len(done.results)}")
    print(f"detections  {_counts(done.detections_by_class())}")
    print(f"drops       {_drops(done.drops)}")
    if done.backend:
        print(f"backend     {done.backend}")
    print(f"detect      p50 {detect[0]:.1f} ms, p95 {detect[1]:.1f} ms")
    print(f"time        {done.recorded_s:.1f} s recorded in {done.elapsed_s:.1f} s{speed}")
    print(f"written     {out}")


def _counts(by_class: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in by_class.items()) or "none"


def _drops(drops: Mapping[str, Mapping[str, int]]) -> str:
    return ", ".join(f"{s} {n} {r}" for s, reasons in drops.items() for r, n in reasons.items()) or "none"


# Many recordings into a folder.


def _run_many(args: argparse.Namespace, vehicle: VehicleConfig, model: str) -> int:
    from mm_fusion.detectors.choice import make_detector
    from mm_fusion.many_bags.conductor import outcomes
    from mm_fusion.many_bags.folder import ResultFolder, names_of
    from mm_fusion.offline import backend_of

    names = names_of(args.bag)
    options = _options(args)
    # what is wrong with model or backend is said once, before any work, and one backend serves all bags
    if backend := backend_of(make_detector(model, vehicle, **options)):
        options["backend"] = backend
    engine, failed = _engine(args, len(names)), 0
    try:
        folder = ResultFolder(Path(args.out), options)
        tasks = [
            _task(name, bag, vehicle, model, options, folder.known(name))
            for name, bag in zip(names, args.bag)
        ]
        with _Bar(tasks, args.quiet) as bar:
            for outcome in outcomes(tasks, engine, bar.advance):
                folder.keep(outcome, vehicle)
                bar.say(_line(outcome))
                failed += outcome.error is not None
    finally:
        engine.close()
    print(f"written     {folder.path} ({len(tasks) - failed} of {len(tasks)} bags)")
    return 1 if failed else 0


def _task(
    name: str, bag: Path, vehicle: VehicleConfig, model: str, options: dict[str, Any], known: dict[str, str]
) -> BagTask:
    """A task whose paths mean the same in any process."""
    from mm_fusion.many_bags.tasks import BagTask
    from mm_fusion.runtime.model_files import shipped_models

    named = model in ("geometric", *shipped_models()) or not Path(model).exists()
    absolute = model if named else str(Path(model).resolve())
    return BagTask(name, bag.absolute(), vehicle, absolute, options, known)


def _engine(args: argparse.Namespace, tasks: int) -> Engine:
    if args.engine == "ray":
        from mm_fusion.many_bags.ray_cluster import RayEngine

        return RayEngine(args.address, args.workers, args.threads or 1)
    from mm_fusion.many_bags.processes import ProcessEngine

    return ProcessEngine(min(tasks, args.workers or len(os.sched_getaffinity(0))))


def _line(outcome: BagOutcome) -> str:
    """How one bag ended, in a line for people."""
    head = f"{outcome.name}  "
    if outcome.error is not None:
        return f"{head}failed {outcome.attempts} times: {outcome.error}"
    if outcome.skipped:
        return f"{head}skipped: its results are there, of the same inputs"
    again = "" if outcome.attempts == 1 else f"; attempt {outcome.attempts}"
    words = (
        f"{outcome.frames} frames; {_counts(outcome.detections)}; drops {_drops(outcome.drops)}; "
        f"{outcome.recorded_s:.1f} s recorded in {outcome.seconds:.1f} s{again}"
    )
    return head + "".join([words, *(f"\n  note: {text}" for text in outcome.problems)])


class _Bar:
    """One bar over all recordings, by the share of recorded time."""

    def __init__(self, tasks: list[BagTask], quiet: bool) -> None:
        from tqdm import tqdm

        from mm_fusion.many_bags.folder import recorded_s

        # what cannot be opened still counts a little, so that the bar ends full
        self._length_s = {task.name: recorded_s(task.path) or 0.1 for task in tasks}
        self._share = dict.fromkeys(self._length_s, 0.0)
        self._bar = tqdm(
            total=sum(self._length_s.values()),
            desc=f"{len(tasks)} bags",
            disable=quiet,
            bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} s {elapsed}<{remaining}",
        )

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, name: str, share: float) -> None:
        """Take in how much of one recording is done; less than before where it begins again."""
        self._share[name] = share
        done_s = sum(self._share[each] * self._length_s[each] for each in self._share)
        self._bar.update(done_s - self._bar.n)

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._bar.write(line)
