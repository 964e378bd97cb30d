"""Frames a second of the simulator: `python -m test.benchmarks.bench_simulation [SECONDS] [WORKERS]`.

A frame is one measurement of every sensor at 10 Hz with its messages and truth. How time grows with cameras,
beams and actors, and memory over a long drive (`python -m test.benchmarks.bench_simulation memory FRAMES`).
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from mm_fusion.config import CameraIntrinsics, VehicleConfig, load_vehicle
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.simulator import Simulator

RATE_HZ = 10.0
WARM_UP_FRAMES = 3
DRIVE_S = 100.0


@dataclass(frozen=True)
class Speed:
    """Frames a second of one case, processor time in this process, actors in its world, the aim as text."""

    name: str
    frames_per_s: float
    cpu_ms: float
    actors: int
    aim: str = ""


def vehicle_of(cameras: int, size_px: tuple[int, int], unit: str, radars: int) -> VehicleConfig:
    """The nuScenes-like vehicle with a part of its sensors, all at 10 Hz."""
    whole = load_vehicle("nuscenes_like")
    kept: dict[str, int] = {"camera": cameras, "lidar": 1 if unit else 0, "radar": radars}
    sensors = {}
    for name, sensor in whole.sensors.items():
        if kept[sensor.kind] <= 0:
            continue
        kept[sensor.kind] -= 1
        update: dict[str, object] = {"period_ms": 1000 / RATE_HZ}
        if sensor.kind == "lidar":
            update["unit"] = unit
            update["duration_ms"] = 100.0 if unit == "vlp16" else 50.0
        if sensor.kind == "camera":
            width, height = size_px
            focal = width * 0.8
            matrix = [focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1]
            update["camera"] = CameraIntrinsics(width_px=width, height_px=height, matrix=matrix)
        sensors[name] = sensor.model_copy(update=update)
    reference = [name for name in whole.alignment.reference if name in sensors] or list(sensors)[:1]
    alignment = whole.alignment.model_copy(update={"reference": reference})
    return whole.model_copy(update={"sensors": sensors, "alignment": alignment})


def speed_of(
    name: str, vehicle: VehicleConfig, seconds: float, workers: int, aim: str = "", scenario: str = "straight"
) -> Speed:
    """Frames a second of a drive between an early and its last truth: starting and ending do not count."""
    options = RigOptions()
    simulator = Simulator(vehicle, scenario, options=options, duration_s=seconds + 1)
    frames, begun_s, ended_s, cpu_s = 0, 0.0, 0.0, 0.0
    for event in simulator.events(seconds, workers=workers):
        if event.topic == "/ground_truth":
            frames += 1
            if frames == WARM_UP_FRAMES:
                begun_s, cpu_s = time.perf_counter(), time.process_time()
            ended_s = time.perf_counter()
    count, cpu_s = max(1, frames - WARM_UP_FRAMES), time.process_time() - cpu_s
    rate = count / max(ended_s - begun_s, 1e-9)
    return Speed(name, rate, 1e3 * cpu_s / count, len(simulator.world.actors), aim)


def cases(seconds: float, workers: int) -> Iterator[Speed]:
    """The two layouts of the aims, then one thing more at a time."""
    six = vehicle_of(6, (352, 128), "hdl32", 5)
    yield speed_of("6 cameras 352x128, 32 beams, 5 radars", six, seconds, workers, ">= 5")
    one = vehicle_of(1, (704, 212), "vlp16", 1)
    yield speed_of("1 camera 704x212, VLP-16, 1 radar", one, seconds, workers, ">= 20")
    for count in (1, 3, 6):
        vehicle = vehicle_of(count, (352, 128), "", 0)
        yield speed_of(f"{count} cameras 352x128 alone", vehicle, seconds, workers)
    for unit in ("vlp16", "hdl32", "hdl64", "beams128"):
        yield speed_of(f"{unit} alone", vehicle_of(0, (0, 0), unit, 0), seconds, workers)
    for count in (1, 5):
        yield speed_of(f"{count} radars alone", vehicle_of(0, (0, 0), "", count), seconds, workers)
    for scenario in ("straight", "intersection", "parking"):
        yield speed_of(f"6 cameras, 32 beams, 5 radars, {scenario}", six, seconds, workers, "", scenario)


def print_speeds(speeds: Iterator[Speed]) -> None:
    """One row a case."""
    print(f"{'case':<48}{'frames/s':>10}{'ms/frame':>10}{'CPU ms':>10}{'actors':>8}  aim")
    for row in speeds:
        figures = f"{row.frames_per_s:>10.1f}{1e3 / row.frames_per_s:>10.0f}{row.cpu_ms:>10.0f}"
        print(f"{row.name:<48}{figures}{row.actors:>8}  {row.aim}", flush=True)


def memory_growth(frames: int, vehicle: VehicleConfig | None = None) -> list[float]:
    """Peak memory in MB after each tenth of `frames` frames of one VLP-16, in drives of 100 s."""
    vehicle = vehicle or vehicle_of(1, (96, 32), "vlp16", 1)
    peaks, done, drive = [], 0, 0
    while done < frames:
        seconds = min(DRIVE_S, (frames - done) / RATE_HZ + 0.5)
        simulator = Simulator(vehicle, "straight", seed=drive, duration_s=seconds + 1)
        for event in simulator.events(seconds):
            if event.topic == "/ground_truth":
                done += 1
                if done % max(1, frames // 10) == 0:
                    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        drive += 1
    return peaks


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["memory"]:
        print(" ".join(f"{peak:.0f}" for peak in memory_growth(int(words[1]))), "MB")
    else:
        print_speeds(cases(float(words[0]) if words else 5.0, int(words[1]) if len(words) > 1 else 1))
