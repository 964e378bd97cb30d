"""Detectors on simulated drives, by weather and sensors.

`python -m test.benchmarks.bench_sim_detectors [FOLDER]` makes drives of the nuScenes-like car with seeds that
nothing was tuned on, keeps them in FOLDER (default out/sim_table), and prints for each weather and set of
sensors: AP of cars and pedestrians over the nuScenes distances, mAP over the ten classes, recall of cars in
30 m, as means over the drives.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mm_fusion.cli.run import only_sensors
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.evaluation.detections_file import DetectionsFile, ResultFrame, write_detections
from mm_fusion.evaluation.score import evaluate
from mm_fusion.offline import run_bag
from mm_fusion.simulation.bag import write_bag
from mm_fusion.simulation.dataset import simulator_hash
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.simulator import Simulator

DRIVES = (("urban", 101), ("highway", 102))
WEATHERS = ("clear", "rain", "fog", "night")
SENSORS = {"CLR": ["camera", "lidar", "radar"], "CL": ["camera", "lidar"], "CR": ["camera", "radar"]}
SENSORS |= {"L": ["lidar"], "R": ["radar"]}
SECONDS = 8.0


def drive(folder: Path, vehicle: VehicleConfig, scenario: str, seed: int, weather: str) -> Path:
    """The recording of one drive, made where it is missing."""
    path = folder / f"{simulator_hash()}_{scenario}_{seed}_{weather}"
    if not path.exists():
        options = RigOptions(camera_width_px=352, lidar_step=2)
        simulator = Simulator(vehicle, scenario, seed, weather, options=options, duration_s=SECONDS)
        write_bag(path, simulator, SECONDS)
    return path


def scores(bag: Path, vehicle: VehicleConfig, chosen: list[str]) -> list[float]:
    """AP of car and of pedestrian, mAP, recall of cars within 30 m, in percent; NaN where there were none."""
    run = run_bag(bag, only_sensors(vehicle, chosen), "geometric")
    frames = [ResultFrame(r.stamp_ns, r.mode, r.available, r.detections) for r in run.results]
    found = bag.with_suffix(".json")
    write_detections(found, DetectionsFile(vehicle.output_frame, frames))
    tree = evaluate(found, bag, draws=1)
    classes = [tree["nuscenes"].get(name, {}).get("ap_mean", np.nan) for name in ("car", "pedestrian")]
    recall = tree["recall_30m"].get("car", np.nan)
    return [*classes, tree["nuscenes"]["map"], recall]


def mean_of(column: np.ndarray) -> str:
    """Mean over the drives that have such objects, - where none has."""
    known = column[np.isfinite(column)]
    return f"{known.mean():.1f}" if len(known) else "-"


def main(folder: Path) -> None:
    """Make what is missing, score everything, print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    vehicle = load_vehicle("nuscenes_like")
    print(f"simulator {simulator_hash()}, {len(DRIVES)} drives of {SECONDS:.0f} s for each weather\n")
    print("| weather | sensors | AP car | AP pedestrian | mAP | recall 30 m car |\n|---|---|---|---|---|---|")
    for weather in WEATHERS:
        bags = [drive(folder, vehicle, scenario, seed, weather) for scenario, seed in DRIVES]
        for name, chosen in SENSORS.items():
            rows = np.array([scores(bag, vehicle, chosen) for bag in bags], float)
            means = " | ".join(mean_of(column) for column in rows.T)
            print(f"| {weather} | {name} | {means} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/sim_table"))
