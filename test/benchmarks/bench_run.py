"""A recording without DDS, as `mm-fusion run` does it: `python -m test.benchmarks.bench_run`.

The same drive as in bench_realtime (six cameras of 1600x900 JPEG, a LiDAR, five radars), made where it is not
there yet, is detected from file to results several times over; the first time, in which loops are loaded or
compiled, does not count. --out FILE gets the figures as JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.benchmarking.machine import hardware, software
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.evaluation.json_file import write_json
from mm_fusion.measurements import CameraModel
from mm_fusion.offline import OfflineRun, run_bag
from test.benchmarks.bench_realtime import VEHICLE, make_drive

AIM = 2.0


def image_size(path: Path, vehicle: VehicleConfig) -> str:
    """Width x height of the recording's cameras, as its first CameraInfo says; '?' without one."""
    with open_bag(path) as reader:
        for _, item, _ in bag_items(reader, vehicle):
            if isinstance(item, CameraModel):
                return f"{item.width_px}x{item.height_px}"
    return "?"


def figures(runs: Sequence[OfflineRun]) -> dict[str, Any]:
    """Real time over what each run took, and frames a second, by the median run; the first is left out."""
    counted = runs[1:] or runs
    speeds = [run.recorded_s / run.elapsed_s for run in counted]
    return {
        "times_real_time": round(float(np.median(speeds)), 2),
        "all": [round(speed, 2) for speed in speeds],
        "frames": len(counted[0].results),
        "recorded_s": round(counted[0].recorded_s, 3),
        "frames_per_s": round(float(np.median([len(run.results) / run.elapsed_s for run in counted])), 1),
        "backend": counted[0].backend,
        "drops": counted[0].drops,
    }


def main(args: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 where the aim is not reached."""
    parser = argparse.ArgumentParser(prog="python -m test.benchmarks.bench_run", description=__doc__)
    parser.add_argument("--model", default="tiny", help="as `mm-fusion run --model` (default tiny)")
    parser.add_argument("--backend", default="auto", help="what runs it (default auto)")
    parser.add_argument("--threads", type=int, default=1, help="threads of one inference (default 1)")
    parser.add_argument("--cores", type=int, default=2, help="cores for everything, 0: all (default 2)")
    parser.add_argument("--times", type=int, default=5, help="how often, beside the first (default 5)")
    parser.add_argument("--drive", type=Path, default=Path("out/bench/realtime_drive"), help="kept recording")
    parser.add_argument("--drive-seconds", type=float, default=1.5, help="its length where it is made")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args(args)
    if options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    vehicle, path = load_vehicle(VEHICLE), make_drive(options.drive, options.drive_seconds)
    asked = {"backend": options.backend, "threads": options.threads}
    runs = [run_bag(path, vehicle, options.model, **asked) for _ in range(options.times + 1)]
    found = {**figures(runs), "images": image_size(path, vehicle), "model": options.model, "aim": AIM}
    print(
        f"processing a {found['images']} bag without DDS: {found['times_real_time']} times real time with "
        f"{options.model} on {found['backend']}, {options.cores or 'all'} cores (aim {AIM:g}); "
        f"runs {found['all']}"
    )
    print(f"{found['frames']} frames of {found['recorded_s']} s, {found['frames_per_s']} a second")
    if options.out:
        write_json(options.out, {**found, "hardware": hardware(), "software": software()})
    return 0 if found["times_real_time"] >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
