"""Frames of one LiDAR, radar and cameras whose every value is known, and a small model for them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraImage, CameraModel, EgoMotion, LidarSweep, Measurement, RadarScan
from mm_fusion.network_config import LearnedConfig

STAMP = 1_700_000_000_000_000_000
BASE_FROM_CAMERA = from_rpy_deg((-90, 0, -90), (1.0, 0.0, 1.5))
MODEL = CameraModel(np.array([[100.0, 0, 64], [0, 100, 32], [0, 0, 1]]), np.zeros(0), "plumb_bob", 128, 64)
PLACES = {
    "lidar": from_rpy_deg((0, 0, 0), (0.0, 0.0, 1.8)),
    "radar": from_rpy_deg((0, 0, 0), (2.0, 0.0, 0.5)),
    "camera": BASE_FROM_CAMERA,
}
TREE = {
    "name": "test",
    "grid": {"x_min": -4.0, "x_max": 28.0, "y_min": -16.0, "y_max": 16.0, "cell": 1.0},
    "lidar": {"slice_edges": [0.0, 1.0, 2.0]},
    "camera": {"width_px": 128, "height_px": 64, "max_cameras": 2, "heights": [0.5, 1.5]},
}


def config(**changes: object) -> LearnedConfig:
    """A small model: 32x32 cells of 1 m from (-4, -16), images of 128x64 px, two cameras."""
    return parse_config({**TREE, **changes}, LearnedConfig, "test")


def vehicle(**changes: object) -> VehicleConfig:
    """The car of `PLACES`."""
    sensors = {name: {"kind": name, "topic": f"/{name}"} for name in PLACES}
    return parse_config(
        {"sensors": sensors, "alignment": {"reference": ["lidar"]}, **changes}, VehicleConfig, "test"
    )


def cell_of(x: float, y: float) -> tuple[int, int]:
    """The cell of a place in `base_link`, for the grid of `config`."""
    return int(x + 4), int(y + 16)


def sweep(xyz: object, intensity: float = 0.5, offset_s: float = 0.0, stamp: int = STAMP) -> LidarSweep:
    """Points given in `base_link` as the LiDAR sees them."""
    points = np.asarray(xyz, np.float32).reshape(-1, 3) - np.float32([0, 0, 1.8])
    count = len(points)
    offset = np.full(count, round(offset_s * 1e9), np.int32)
    return LidarSweep(stamp, "lidar", points, np.full(count, intensity, np.float32), offset)


def scan(
    xyz: object, velocity: object, strength: float = 5.0, stamp: int = STAMP, **more: object
) -> RadarScan:
    """Returns given in `base_link` as the radar sees them; `more`: fields of `RadarScan`."""
    points = np.asarray(xyz, np.float32).reshape(-1, 3) - np.float32([2.0, 0, 0.5])
    speed = np.asarray(velocity, np.float32).reshape(-1)
    fields = {"strength_kind": "rcs", **more}
    return RadarScan(stamp, "radar", points, speed, np.full(len(points), strength, np.float32), **fields)


def image(age_s: float = 0.0, value: int = 100) -> CameraImage:
    """A plain grey image."""
    return CameraImage(STAMP - round(age_s * 1e9), "camera", np.full((64, 128, 3), value, np.uint8))


def frame(
    measurements: Mapping[str, Measurement],
    speed: float | None = 0.0,
    model: CameraModel = MODEL,
    **changes: object,
) -> Frame:
    """A frame of what is given, at `speed` m/s ahead; None: ego motion unknown."""
    ego = None if speed is None else EgoMotion(STAMP, np.array([speed, 0.0, 0.0]), np.zeros(3))
    fields = {
        "stamp_ns": STAMP,
        "measurements": dict(measurements),
        "kinds": {name: name for name in PLACES},
        "available": {name: name in measurements for name in PLACES},
        "age_ns": {name: STAMP - item.stamp_ns for name, item in measurements.items()},
        "calibration": Calibration(PLACES, {"camera": model}),
        "ego": ego,
    }
    return Frame(**{**fields, **changes})  # type: ignore[arg-type]
