"""What tests of nodes share: a tiny recording, and processes on a ROS domain of their own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import VehicleConfig, dump_config, parse_config
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraModel, LidarSweep, RadarScan, StampedTransform
from mm_fusion.messages.encode_clouds import encode_lidar, encode_radar_cloud
from mm_fusion.messages.encode_sensors import encode_camera_info, encode_compressed_image, encode_transforms
from mm_fusion.nodes.processes import Child, own_domain

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
EARLY_NS = 200_000_000
"""Calibration comes so long before the first measurement."""
FRAMES = 15
CAR_XY = (13.1, 2.0)
SHARED_MEMORY, PROC = Path("/dev/shm"), Path("/proc")

_domains = itertools.count(os.getpid())

VEHICLE = {
    "sensors": {
        "lidar": {"kind": "lidar", "topic": "/lidar/points", "duration_ms": 100.0},
        "camera": {
            "kind": "camera",
            "topic": "/camera/image/compressed",
            "info_topic": "/camera/camera_info",
        },
        "radar": {"kind": "radar", "topic": "/radar/points"},
    },
    "alignment": {"reference": ["lidar", "camera", "radar"]},
    "model": "geometric",
}


@pytest.fixture(scope="session")
def ros() -> None:
    """Skips where ROS 2 is missing."""
    pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")


@pytest.fixture(scope="session")
def vehicle() -> VehicleConfig:
    return parse_config(VEHICLE, VehicleConfig, "test vehicle")


@pytest.fixture(scope="session")
def vehicle_file(vehicle: VehicleConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vehicle") / "tiny.yaml"
    path.write_text(dump_config(vehicle), encoding="utf-8")
    return path


@pytest.fixture
def domain(ros: None) -> dict[str, str]:
    """Environment of a ROS domain of its own."""
    return own_domain(10 + next(_domains) % 90)


def shared_memory_of(pid: str) -> set[str]:
    """Fast DDS files that a process holds, mapped or open; empty where it has ended or is another user's."""
    held: set[str] = set()
    try:
        held.update(line.rpartition("/")[2] for line in (PROC / pid / "maps").read_text().splitlines())
        held.update(Path(os.readlink(link)).name for link in (PROC / pid / "fd").iterdir())
    except OSError:
        pass
    return {name for name in held if name.startswith(("fastrtps_", "fastdds_", "sem.fast"))}


@pytest.fixture
def start(domain: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts one of the package's executables by module name; all are ended after the test, newest first.

    What a killed one leaves in shared memory is removed: only what these children held and nobody else does,
    since a lock that is taken from another process makes it deaf.
    """
    children: list[Child] = []

    def start_one(module: str, *arguments: object) -> Child:
        log = tmp_path / f"{module}_{len(children)}.log"
        child = Child(f"mm_fusion.nodes.{module}", [str(a) for a in arguments], domain, log)
        children.append(child)
        return child

    yield start_one
    held: set[str] = set()
    for child in reversed(children):
        held |= shared_memory_of(str(child.pid))
        child.stop()
    left = {name for name in held if (SHARED_MEMORY / name).exists()}
    if left:
        left -= set().union(*(shared_memory_of(entry.name) for entry in PROC.glob("[0-9]*")))
    for name in left:
        (SHARED_MEMORY / name).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def tiny_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`FRAMES` frames of a camera, a LiDAR and a radar that stand and see ground and a car at `CAR_XY`."""
    path = tmp_path_factory.mktemp("bags") / "tiny"
    with BagWriter(path) as writer:
        write_statics(writer)
        for number in range(FRAMES):
            write_frame(writer, START_NS + number * PERIOD_NS)
    return path


def write_statics(writer: BagWriter) -> None:
    mounts = {
        "lidar": from_rpy_deg((0, 0, 0), (1.0, 0.0, 1.8)),
        "camera": from_rpy_deg((-90, 0, -90), (1.5, 0, 1.5)),
    }
    mounts["radar"] = from_rpy_deg((0, 0, 0), (3.5, 0.0, 0.5))
    edges = tuple(
        StampedTransform(START_NS, "base_link", name, pose, static=True) for name, pose in mounts.items()
    )
    writer.write("/tf_static", encode_transforms(edges, message_type), START_NS - EARLY_NS)
    write_camera_info(writer, START_NS, START_NS - EARLY_NS)


def write_camera_info(writer: BagWriter, stamp_ns: int, receipt_ns: int) -> None:
    matrix = np.array([[200.0, 0, 160], [0, 200, 90], [0, 0, 1]])
    model = CameraModel(matrix, np.zeros(0), "plumb_bob", 320, 180)
    writer.write(
        "/camera/camera_info", encode_camera_info(model, stamp_ns, "camera", message_type), receipt_ns
    )


def write_frame(writer: BagWriter, stamp_ns: int, sensors: str = "clr") -> None:
    """One message of each sensor whose letter is in `sensors`, received after it as drivers deliver them."""
    if "c" in sensors:
        write_camera_info(writer, stamp_ns, stamp_ns + 1_000_000)
        image = encode_compressed_image(jpeg(), stamp_ns, "camera", message_type)
        writer.write("/camera/image/compressed", image, stamp_ns + 10_000_000)
    if "r" in sensors:
        writer.write(
            "/radar/points", encode_radar_cloud(radar_scan(stamp_ns), message_type), stamp_ns + 20_000_000
        )
    if "l" in sensors:
        writer.write(
            "/lidar/points", encode_lidar(lidar_sweep(stamp_ns), message_type), stamp_ns + 55_000_000
        )


def jpeg() -> bytes:
    import cv2

    return bytes(cv2.imencode(".jpg", np.full((180, 320, 3), 90, np.uint8))[1])


def lidar_sweep(stamp_ns: int) -> LidarSweep:
    """Ground and the near sides of a car; noise differs from stamp to stamp, as in nature."""
    rng = np.random.default_rng(stamp_ns % 2**32)
    ground = np.column_stack([rng.uniform(3, 30, 1500), rng.uniform(-12, 12, 1500), np.full(1500, -1.8)])
    along, across, up = rng.uniform(0, 1, (3, 300))
    rear = np.column_stack([np.full(150, 10.0), 1.1 + 1.8 * across[:150], -1.6 + 1.3 * up[:150]])
    side = np.column_stack([10.0 + 4.2 * along[150:], np.full(150, 1.1), -1.6 + 1.3 * up[150:]])
    xyz = (np.concatenate([ground, rear, side]) + rng.normal(0, 0.01, (1800, 3))).astype(np.float32)
    times = np.linspace(-5e7, 5e7, len(xyz)).astype(np.int32)
    return LidarSweep(stamp_ns, "lidar", xyz, np.full(1800, 0.5, np.float32), times, np.zeros(1800, np.int16))


def radar_scan(stamp_ns: int) -> RadarScan:
    rng = np.random.default_rng(stamp_ns % 2**32 + 1)
    xyz = np.column_stack([rng.uniform(6.5, 8, 8), rng.uniform(1.2, 2.8, 8), rng.uniform(0, 0.5, 8)]).astype(
        np.float32
    )
    zeros = rng.normal(0, 0.05, 8).astype(np.float32)
    return RadarScan(stamp_ns, "radar", xyz, zeros, np.full(8, 20.0, np.float32), "rcs")
