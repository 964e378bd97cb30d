"""`mm-fusion run BAG --vehicle FILE --out detections.json`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm_fusion.config import VehicleConfig
    from mm_fusion.offline import OfflineRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("bag", type=Path, metavar="BAG", help="rosbag2 folder, .mcap or .db3")
    parser.add_argument("--vehicle", required=True, help="vehicle file, or the name of a shipped one")
    parser.add_argument("--out", type=Path, required=True, help="detections.json to write")
    parser.add_argument("--model", help="geometric, or a settings file; default: the vehicle file's")
    parser.add_argument("--only", help="use these sensors alone, by name or kind, with commas (lidar,radar)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Detect, write the results and the resolved vehicle file, print a table; 130 after Ctrl-C, which keeps
    the frames that are done.
    """
    from mm_fusion.config import dump_config, load_vehicle
    from mm_fusion.evaluation.detections_file import DetectionsFile, ResultFrame, write_detections
    from mm_fusion.evaluation.json_file import check_writable, write_whole
    from mm_fusion.offline import input_hashes

    vehicle = load_vehicle(args.vehicle)
    if args.only:
        vehicle = only_sensors(vehicle, args.only.split(","))
    model = args.model or vehicle.model
    check_writable(args.out)
    done = _run_with_bar(args, vehicle, model)
    frames = [ResultFrame(r.stamp_ns, r.mode, r.available, r.detections) for r in done.results]
    hashes = input_hashes(args.bag, vehicle, model)
    write_detections(args.out, DetectionsFile(vehicle.output_frame, frames, inputs=hashes))
    write_whole(args.out.with_suffix(".vehicle.yaml"), dump_config(vehicle))
    _print_table(args.out, done)
    return 130 if done.interrupted else 0


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


def _run_with_bar(args: argparse.Namespace, vehicle: VehicleConfig, model: str) -> OfflineRun:
    from tqdm import tqdm

    from mm_fusion.offline import run_bag

    with tqdm(
        total=1000, desc=args.bag.name, disable=args.quiet, bar_format="{l_bar}{bar}| {elapsed}<{remaining}"
    ) as bar:
        return run_bag(args.bag, vehicle, model, lambda share: _advance(bar, share))


def _advance(bar: Any, share: float) -> None:
    bar.update(max(0, int(share * bar.total) - bar.n))


def _print_table(out: Path, done: OfflineRun) -> None:
    import numpy as np

    for text in (*done.problems, *done.explanations):
        print(f"note: {text}", file=sys.stderr)
    detect = np.percentile(done.stage_ms["detect"] or [0.0], (50, 95))
    counts = ", ".join(f"{n} {name}" for name, n in done.detections_by_class().items()) or "none"
    drops = (
        ", ".join(f"{s} {n} {r}" for s, reasons in done.drops.items() for r, n in reasons.items()) or "none"
    )
    speed = f" ({done.recorded_s / done.elapsed_s:.1f} x real time)" if done.elapsed_s else ""
    print(f"frames      {len(done.results)}")
    print(f"detections  {counts}")
    print(f"drops       {drops}")
    print(f"detect      p50 {detect[0]:.1f} ms, p95 {detect[1]:.1f} ms")
    print(f"time        {done.recorded_s:.1f} s recorded in {done.elapsed_s:.1f} s{speed}")
    print(f"written     {out}")
