"""Times of rasters, lift table and coverage: `python -m test.benchmarks.bench_inputs [RUNS]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg, inverse
from mm_fusion.inputs.coverage import coverage
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.measurements import CameraImage, EgoMotion, LidarSweep, RadarScan
from mm_fusion.network_config import LearnedConfig, load_learned
from test.benchmarks.bench_geometry import cameras, cloud
from test.benchmarks.harness import Ratio, print_table, side_by_side
from test.benchmarks.plain import plain_raster

LIDAR_HEIGHT = 1.8


def frame_of(points: int, returns: int = 300, radars: int = 5, earlier: int = 5) -> Frame:
    """One LiDAR, six distorted cameras with images of 0 and five radars with sweeps, all at 10 m/s."""
    rng = np.random.default_rng(3)
    xyz = cloud(points) - np.float32([0, 0, LIDAR_HEIGHT])
    times_ns = np.linspace(-5e7, 5e7, points).astype(np.int32)
    sweep = LidarSweep(0, "lidar", xyz, rng.uniform(0, 1, points).astype(np.float32), times_ns)
    models, camera_from_base = cameras()
    names = [f"camera_{k}" for k in range(len(models))]
    scans = [_scan(rng, returns, -70_000_000 * k) for k in range(earlier + 1)]
    radar_names = [f"radar_{k}" for k in range(radars)]
    poses = [from_rpy_deg((0, 0, 72.0 * k), (2.0, 0, 0.5)) for k in range(radars)]
    image = CameraImage(-30_000_000, "camera", np.zeros((900, 1600, 3), np.uint8))
    measurements = {"lidar": sweep, **dict.fromkeys(names, image), **dict.fromkeys(radar_names, scans[0])}
    places = {
        "lidar": from_rpy_deg((0, 0, 0), (0, 0, LIDAR_HEIGHT)),
        **{name: inverse(m) for name, m in zip(names, camera_from_base)},
        **dict(zip(radar_names, poses)),
    }
    return Frame(
        stamp_ns=0,
        measurements=measurements,
        kinds={name: name.split("_")[0] for name in measurements},  # type: ignore[misc]
        available=dict.fromkeys(measurements, True),
        age_ns={name: -item.stamp_ns for name, item in measurements.items()},
        calibration=Calibration(places, dict(zip(names, models))),
        ego=EgoMotion(0, np.array([10.0, 0, 0]), np.array([0, 0, 0.1])),
        earlier=dict.fromkeys(radar_names, tuple(scans[1:])),
    )


def _scan(rng: np.random.Generator, returns: int, stamp_ns: int) -> RadarScan:
    xyz = rng.uniform((1, -40, 0), (80, 40, 0), (returns, 3)).astype(np.float32)
    speed, strength = rng.uniform(-20, 20, returns), rng.uniform(-5, 25, returns)
    return RadarScan(stamp_ns, "radar", xyz, speed.astype(np.float32), strength.astype(np.float32), "rcs")


def vehicle_of(frame: Frame) -> VehicleConfig:
    """A vehicle with the sensors of a frame."""
    sensors = {name: {"kind": kind, "topic": f"/{name}"} for name, kind in frame.kinds.items()}
    return parse_config(
        {"sensors": sensors, "alignment": {"reference": ["lidar"]}}, VehicleConfig, "benchmark"
    )


def coarse(config: LearnedConfig) -> LearnedConfig:
    """The same model with its LiDAR raster at the cells of the grid."""
    return config.model_copy(update={"lidar": config.lidar.model_copy(update={"scale": 1})})


def cases(runs: int, points: tuple[int, ...] = (35_000, 150_000)) -> Iterator[Ratio]:
    """Every case of this file; `plain` is NumPy's bincount for rasters, else the same call."""
    config = load_learned("tiny")
    for count in points:
        frame = frame_of(count)
        for each in (coarse(config), config):
            maker = InputMaker(each, vehicle_of(frame))
            name = f"LiDAR raster {each.lidar_shape}, {count} points"
            yield side_by_side(
                lambda: maker.lidar.build(frame),  # noqa: B023
                lambda: plain_raster(frame.measurements["lidar"], each),  # noqa: B023
                runs,
                f"{name}: bincount",
                "2.5 ms at 150k",
            )
    yield from _other_cases(runs, config, frame_of(points[0]))


def _other_cases(runs: int, config: LearnedConfig, frame: Frame) -> Iterator[Ratio]:
    maker, vehicle = InputMaker(config, vehicle_of(frame)), vehicle_of(frame)
    table = maker.cameras.table(frame)
    for name, call, aim in (
        ("radar raster, 5 radars of 6 scans, 300 returns", lambda: maker.radar.build(frame), ""),
        ("lift table 128x128x4, 6 cameras", lambda: maker.cameras.table(frame), "about 1 ms"),
        ("coverage", lambda: coverage(frame, vehicle, config, table.coverage), ""),
        ("everything, images of 1600x900 px", lambda: maker.make(frame), ""),
    ):
        yield side_by_side(call, call, runs, name, aim)


if __name__ == "__main__":
    print_table(cases(int(sys.argv[1]) if len(sys.argv) > 1 else 31))
