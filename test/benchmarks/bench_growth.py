"""How the time of a frame grows with the number of cameras, points and radars, and with range.

`python -m test.benchmarks.bench_growth --out FOLDER`: inputs, an untrained network of tiny's sizes and its
decoding, on one thread, in processor time: on a core of its own that is latency. Writes growth.json and
growth.png; fails where a term grows faster than linear. Range is compared by the area of the grid: twice the
range is four times the cells.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.detectors.learned import LearnedDetector
from mm_fusion.evaluation.json_file import write_json
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraImage, CameraModel, EgoMotion, LidarSweep, RadarScan
from mm_fusion.network_config import LearnedConfig, load_learned

USUAL = {"cameras": 6, "points": 35_000, "radars": 5, "range": 51.2}
VALUES: Mapping[str, tuple[float, ...]] = {
    "cameras": (1, 2, 4, 6, 9, 12),
    "points": (10_000, 50_000, 100_000, 200_000, 300_000),
    "radars": (0, 2, 5, 8, 12),
    "range": (25.6, 38.4, 51.2, 76.8, 102.4),
}
HIGHEST_EXPONENT = 1.2
"""Above this a term counts as worse than linear; times scatter."""
HIGHEST_EXCESS = 0.1
"""And only where the last time lies above the straight line through the first half by this share of it."""
FLAT = 0.05
"""Growth over the whole span, as a share of the time, below which nothing is fitted."""
MODEL = CameraModel(
    np.array([[1266.0, 0, 816], [0, 1266, 491], [0, 0, 1]]),
    np.array([-0.1, 0.02, 0, 0, 0]),
    "plumb_bob",
    1600,
    900,
)


def config_of(reach: float, max_cameras: int = 12) -> LearnedConfig:
    """tiny, for so many cameras and up to so many metres on every side."""
    tiny = load_learned("tiny")
    grid = tiny.grid.model_copy(update={"x_min": -reach, "x_max": reach, "y_min": -reach, "y_max": reach})
    camera = tiny.camera.model_copy(update={"max_cameras": max_cameras})
    return tiny.model_copy(update={"grid": grid, "camera": camera})


def frame_of(cameras: int, points: int, radars: int, reach: float, jpeg: bytes) -> Frame:
    """One frame with so many of everything, on a car that goes at 10 m/s."""
    rng = np.random.default_rng(1)
    xyz = rng.uniform((-reach, -reach, -1.8), (reach, reach, 2), (points, 3)).astype(np.float32)
    times_ns = np.linspace(-5e7, 5e7, points).astype(np.int32)
    items: dict[str, Any] = {"lidar": LidarSweep(0, "lidar", xyz, np.ones(points, np.float32), times_ns)}
    places = {"lidar": from_rpy_deg((0, 0, 0), (0, 0, 1.8))}
    image = CameraImage(-20_000_000, "camera", encoded=jpeg, format="jpeg")
    for k in range(cameras):
        items[f"camera_{k}"] = image
        places[f"camera_{k}"] = from_rpy_deg((-90, 0, -90 + 360 / cameras * k), (1, 0, 1.5))
    for k in range(radars):
        spots = rng.uniform((1, -40, 0), (80, 40, 0), (125, 3)).astype(np.float32)
        speed = rng.uniform(-20, 20, 125).astype(np.float32)
        items[f"radar_{k}"] = RadarScan(-20_000_000, "radar", spots, speed, np.zeros(125, np.float32), "rcs")
        places[f"radar_{k}"] = from_rpy_deg((0, 0, 360 / radars * k), (2, 0, 0.5))
    models = {name: MODEL for name in items if name.startswith("camera")}
    return Frame(
        stamp_ns=0,
        measurements=items,
        kinds={name: name.split("_")[0] for name in items},  # type: ignore[misc]
        available=dict.fromkeys(items, True),
        age_ns={name: -item.stamp_ns for name, item in items.items()},
        calibration=Calibration(places, models),
        ego=EgoMotion(0, np.array([10.0, 0, 0]), np.array([0, 0, 0.1])),
    )


def vehicle_of(frame: Frame) -> VehicleConfig:
    """A vehicle with the sensors of a frame."""
    sensors = {name: {"kind": kind, "topic": f"/{name}"} for name, kind in frame.kinds.items()}
    tree = {"sensors": sensors, "alignment": {"reference": ["lidar"]}}
    return parse_config(tree, VehicleConfig, "benchmark")


def picture() -> bytes:
    """A 1600x900 JPEG of about 200 kB."""
    import cv2

    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 255, (90, 160, 3), np.uint8), (1600, 900))
    pixels = cv2.add(pixels, rng.integers(0, 12, pixels.shape, np.uint8))
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def median_ms(folder: Path, frame: Frame, runs: int) -> float:
    """Median processor time of a frame, its images new each time."""
    detector, taken = LearnedDetector(vehicle_of(frame), folder, "onnxruntime-cpu"), []
    for number in range(runs + 1):
        items = {n: replace(m) if isinstance(m, CameraImage) else m for n, m in frame.measurements.items()}
        start_s = time.process_time()
        detector.detect(replace(frame, measurements=items))
        if number:
            taken.append((time.process_time() - start_s) * 1e3)
    return float(np.median(taken))


def exponent_of(values: Sequence[float], times_ms: Sequence[float]) -> float:
    """The p that fits time = a + b value^p best, with a and b not negative; 0 where nothing grows."""
    from scipy.optimize import nnls

    x, t = np.asarray(values, float) / max(values), np.asarray(times_ms, float)
    if t[-1] - t[0] < FLAT * t[0]:
        return 0.0
    powers = np.arange(0.1, 3.01, 0.05)
    rests = [nnls(np.column_stack([np.ones_like(x), x**p]), t)[1] for p in powers]
    return float(powers[int(np.argmin(rests))])


def excess_of(values: Sequence[float], times_ms: Sequence[float]) -> float:
    """How far the last time lies above the straight line through the first half, as a share of it."""
    half = max(2, (len(values) + 1) // 2)
    slope, start = np.polyfit(values[:half], times_ms[:half], 1)
    return float((times_ms[-1] - (start + slope * values[-1])) / times_ms[-1])


def is_worse_than_linear(row: Mapping[str, Any]) -> bool:
    """Whether a term's exponent and its excess over a line both say so."""
    return bool(row["exponent"] > HIGHEST_EXPONENT and row["excess"] > HIGHEST_EXCESS)


def grow(
    folder_of: Callable[[float], Path], runs: int, values: Mapping[str, Sequence[float]] = VALUES
) -> dict[str, Any]:
    """Times by what grows, and the exponent of each."""
    jpeg, tree = picture(), {}
    for name, steps in values.items():
        times_ms = []
        for step in steps:
            now = {**USUAL, name: step}
            sizes = int(now["cameras"]), int(now["points"]), int(now["radars"])
            frame = frame_of(*sizes, float(now["range"]), jpeg)
            times_ms.append(median_ms(folder_of(float(now["range"])), frame, runs))
            print(f"{name} {step:g}: {times_ms[-1]:.1f} ms", flush=True)
        against = [step**2 for step in steps] if name == "range" else list(steps)
        found = {"exponent": exponent_of(against, times_ms), "excess": excess_of(against, times_ms)}
        tree[name] = {"values": list(steps), "ms": times_ms, **found}
    return tree


def draw(tree: Mapping[str, Any], path: Path) -> None:
    """One panel for each thing that grows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(tree), figsize=(3.2 * len(tree), 3), sharey=True, layout="tight")
    for panel, (name, row) in zip(np.atleast_1d(panels), tree.items()):
        panel.plot(row["values"], row["ms"], "o-")
        panel.set(xlabel=f"{name} (exponent {row['exponent']:.2f})", ylim=(0, None))
    np.atleast_1d(panels)[0].set_ylabel("ms per frame")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def exported(folder: Path, config: LearnedConfig) -> Path:
    """The folder of an untrained model, exported where it is not there yet."""
    from mm_fusion.network.model import FusionModel
    from mm_fusion.training.export import export_model

    if not (folder / "manifest.json").is_file():
        export_model(FusionModel(config).eval(), folder)
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, draw; 1 where a term is worse than linear."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=15, help="frames of each size (default 15)")
    parser.add_argument("--quick", action="store_true", help="least, usual and most of each alone")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as spare:
        values = {n: (v[0], v[len(v) // 2], v[-1]) for n, v in VALUES.items()} if args.quick else VALUES
        tree = grow(lambda reach: exported(Path(spare) / f"{reach:g}", config_of(reach)), args.runs, values)
    write_json(args.out / "growth.json", tree)
    draw(tree, args.out / "growth.png")
    for name, row in tree.items():
        against = "area" if name == "range" else name
        steps = ", ".join(f"{v:g}: {ms:.1f}" for v, ms in zip(row["values"], row["ms"]))
        print(f"{name:<8} exponent {row['exponent']:.2f} in {against:<8} ms at {steps}")
    worse = [name for name, row in tree.items() if is_worse_than_linear(row)]
    print(f"worse than linear: {', '.join(worse) or 'none'}")
    return int(bool(worse))


if __name__ == "__main__":
    raise SystemExit(main())
