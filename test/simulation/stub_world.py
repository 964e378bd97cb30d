"""A world and sensors so plain that every value is known, for quick tests of faults and streams."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.geometry.motion import exp_twist
from mm_fusion.measurements import LidarSweep, RadarScan

SPEED = 8.0
CAR_RANGE = 20.0

TREE = {
    "ego_motion": [{"kind": "odometry", "topic": "/odom"}],
    "alignment": {"reference": ["lidar", "camera"]},
    "sensors": {
        "lidar": {
            "kind": "lidar",
            "topic": "/lidar/points",
            "duration_ms": 50.0,
            "mount": {"xyz": [1.0, 0, 1.8], "rpy_deg": [0, 0, 0]},
        },
        "camera": {
            "kind": "camera",
            "topic": "/camera/image/compressed",
            "info_topic": "/camera/camera_info",
            "mount": {"xyz": [1.5, 0, 1.5], "rpy_deg": [-90, 0, -90]},
            "camera": {"width_px": 64, "height_px": 40, "matrix": [50, 0, 32, 0, 50, 20, 0, 0, 1]},
        },
        "radar": {
            "kind": "radar",
            "topic": "/radar/points",
            "doppler_sign": -1,
            "mount": {"xyz": [3.5, 0, 0.5], "rpy_deg": [0, 0, 0]},
        },
    },
}


def stub_vehicle() -> VehicleConfig:
    return parse_config(TREE, VehicleConfig, "stub")


@dataclass
class StubWorld:
    """One car ahead at constant distance on a straight road."""

    duration_s: float = 60.0
    actors: tuple = (SimpleNamespace(track_id=5, class_name="car", size=np.array([4.5, 1.9, 1.5])),)

    def world_from_base(self, t_s: float) -> np.ndarray:
        return exp_twist(*self.twist(t_s), t_s)

    def twist(self, t_s: float) -> tuple[np.ndarray, np.ndarray]:
        return np.array([SPEED, 0, 0]), np.zeros(3)

    def boxes(self, t_s: float) -> np.ndarray:
        return np.array([[CAR_RANGE, 0, 0.75, 4.5, 1.9, 1.5, 0]])

    def velocities(self, t_s: float) -> np.ndarray:
        return np.array([[SPEED, 0.0]])


class StubLidar:
    """A ring of points at 10 m, 16 rings, whose intensity tells the time of the measurement."""

    def __init__(self, name, sensor, place):
        self.place = place

    def sweep(self, world, t_mid_s, stamp_ns, frame_id, rng):
        azimuth = np.tile(np.linspace(-np.pi, np.pi, 90, endpoint=False), 16)
        ring = np.repeat(np.arange(16), 90)
        xyz = np.column_stack([10 * np.cos(azimuth), 10 * np.sin(azimuth), ring * 0.1 - 1])
        xyz = xyz @ self.place[:3, :3].T + self.place[:3, 3] + rng.normal(0, 0.001, xyz.shape)
        intensity = np.full(len(xyz), t_mid_s / 60, np.float32)
        sweep = LidarSweep(
            stamp_ns, frame_id, xyz.astype(np.float32), intensity, np.zeros(len(xyz), np.int32),
            ring.astype(np.int16),
        )  # fmt: skip
        return sweep, np.where(np.abs(azimuth) < 0.1, 0, -1).astype(np.int32)


class StubRadar:
    """Returns at 10 to 60 m across the view; Doppler of what stands; strength falls with range."""

    def __init__(self, name, sensor, place):
        self.place = place

    def scan(self, world, t_s, stamp_ns, frame_id, rng):
        bearing = np.radians(np.linspace(-58, 58, 60))
        distance = np.linspace(10, 60, 60)
        xyz = np.column_stack([distance * np.cos(bearing), distance * np.sin(bearing), np.zeros(60)])
        xyz = xyz @ self.place[:3, :3].T + self.place[:3, 3] + rng.normal(0, 0.001, xyz.shape)
        doppler = -SPEED * np.cos(bearing)
        strength = 20 - 10 * np.log10(distance / 10) + rng.normal(0, 0.01, 60)
        scan = RadarScan(
            stamp_ns, frame_id, xyz.astype(np.float32), doppler.astype(np.float32),
            strength.astype(np.float32), "rcs",
        )  # fmt: skip
        return scan, np.full(60, -1, np.int32)


class StubCamera:
    """A grey picture with a car of 200 px; the left upper corner tells the time."""

    def __init__(self, name, sensor, place, model):
        self.model = model

    def image(self, world, t_s, rng):
        shape = (self.model.height_px, self.model.width_px)
        pixels = np.full((*shape, 3), 120, np.uint8)
        pixels[:16, :16] = int(t_s * 20) % 256
        pixels = (pixels + rng.integers(0, 2, pixels.shape)).astype(np.uint8)
        instances = np.full(shape, -1, np.int16)
        instances[20:30, 20:40] = 0
        return pixels, instances, np.full(shape, CAR_RANGE, np.float32)


@dataclass
class StubSeen:
    """Everything is seen, and half of it in the camera."""

    visible: np.ndarray
    inside: np.ndarray


def stub_seen(*_: object) -> StubSeen:
    return StubSeen(np.ones(1, np.float32), np.full(1, 0.5, np.float32))


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stubs in the place of the real world and sensors."""
    for name, members in {
        "world": {"make_world": lambda scenario, seed, weather="clear", duration_s=60.0: StubWorld()},
        "lidar": {"LidarSimulator": StubLidar},
        "radar": {"RadarSimulator": StubRadar},
        "camera": {"CameraSimulator": StubCamera},
        "scene": {"Scene": lambda world, t_s: None},
        "visibility": {"seen_from": stub_seen, "seen_by_camera": stub_seen},
    }.items():
        module = ModuleType(f"mm_fusion.simulation.{name}")
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
