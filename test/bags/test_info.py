"""A made-up recording with known offsets, tilt, Doppler and faults, and the vehicle file made from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from mm_fusion.bags.info import inspect_bag, vehicle_yaml
from mm_fusion.bags.report import BagReport
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import load_vehicle
from mm_fusion.errors import BagError
from mm_fusion.geometry.motion import wrap_velocity
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import CameraModel, EgoMotion, LidarSweep, RadarScan, StampedTransform
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_odometry,
    encode_radar_cloud,
    encode_radar_scan,
    encode_transforms,
)

MS = 1_000_000
START_NS = 1_700_000_000 * 10**9
BASE_FROM_RADAR = from_rpy_deg((0.0, 0.0, 10.0), (3.0, 0.0, 0.5))
SPEED_MPS, INTERVAL_MPS = 12.0, 20.0
COUNT = 30


def sweep(stamp_ns: int, tilt_deg: float) -> LidarSweep:
    """A flat ground seen from 2 m above it, its scan begun 20 ms before and ended 80 ms after the stamp."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-30, 30, 0.9), np.arange(-30, 30, 0.9)))
    level = np.stack([x, y, np.zeros_like(x)], axis=1)
    base_from_lidar = from_rpy_deg((0.0, 0.0, 0.0), (0.0, 0.0, 2.0))
    tilted = transform_points(from_rpy_deg((0.0, tilt_deg, 0.0)), level)
    xyz = transform_points(inverse(base_from_lidar), tilted).astype(np.float32)
    offsets = np.linspace(0, 100 * MS, len(xyz)).astype(np.int32)
    return LidarSweep(stamp_ns, "lidar", xyz, np.full(len(xyz), 0.5, np.float32), offsets, None)


def radar(stamp_ns: int, rng: np.random.Generator) -> RadarScan:
    """Static returns seen from a car at 12 m/s by a radar whose Doppler is approaching positive and wraps."""
    azimuth, distance = rng.uniform(-0.9, 0.9, 200), rng.uniform(5, 60, 200)
    xyz = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), np.zeros(200)], axis=1)
    rays_base = (xyz / distance[:, None]) @ BASE_FROM_RADAR[:3, :3].T
    receding = -SPEED_MPS * rays_base[:, 0] + rng.normal(0, 0.03, 200)
    raw = wrap_velocity(-receding, INTERVAL_MPS)
    strength = np.full(200, 30, np.float32)
    return RadarScan(stamp_ns, "radar", xyz.astype(np.float32), np.asarray(raw, np.float32), strength)


def statics() -> Any:
    edges = {"lidar": from_rpy_deg((0, 0, 0), (0, 0, 2.0)), "radar": BASE_FROM_RADAR, "camera": np.eye(4)}
    return encode_transforms(
        tuple(StampedTransform(START_NS, "base_link", name, matrix, True) for name, matrix in edges.items()),
        message_type,
    )


def write_drive(
    path: Path, tilt_deg: float = 0.0, camera_ahead_s: float = 0.0, with_info: bool = True
) -> Path:
    """3 s at 10 Hz; the camera's stamps lie 30 ms after the LiDAR's, two images are missing."""
    rng = np.random.default_rng(3)
    model = CameraModel(np.diag([500.0, 500.0, 1.0]), np.array([0.1, 0, 0, 0, 0]), "plumb_bob", 64, 48)
    with BagWriter(path) as writer:
        writer.write("/tf_static", statics(), START_NS)
        for number in range(COUNT):
            stamp_ns = START_NS + number * 100 * MS
            writer.write(
                "/lidar/points", encode_lidar(sweep(stamp_ns, tilt_deg), message_type), stamp_ns + 120 * MS
            )
            scan = radar(stamp_ns + 10 * MS, rng)
            writer.write("/radar/points", encode_radar_cloud(scan, message_type), stamp_ns + 60 * MS)
            writer.write("/radar/scan", encode_radar_scan(scan, message_type), stamp_ns + 60 * MS)
            ego = EgoMotion(stamp_ns, np.array([SPEED_MPS, 0, 0]), np.zeros(3), np.eye(4))
            writer.write("/odometry", encode_odometry(ego, message_type), stamp_ns + 5 * MS)
            if number in (10, 11, 12):
                continue
            image_ns = stamp_ns + 30 * MS + round(camera_ahead_s * 1e9)
            receipt_ns = stamp_ns + 70 * MS
            jpeg = encode_compressed_image(b"jpeg", image_ns, "camera", message_type)
            writer.write("/front/image_raw/compressed", jpeg, receipt_ns)
            if with_info:
                info = encode_camera_info(model, image_ns, "camera", message_type)
                writer.write("/front/camera_info", info, receipt_ns)
    return path


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BagReport]:
    yield inspect_bag(write_drive(tmp_path_factory.mktemp("info") / "drive"))


def test_topics_and_timing(drive: BagReport) -> None:
    by_name = {topic.name: topic for topic in drive.topics}
    assert by_name["/lidar/points"].timing.rate_hz == pytest.approx(10)
    assert by_name["/lidar/points"].timing.latency_ms == pytest.approx(120)
    assert by_name["/front/image_raw/compressed"].timing.gaps == 1
    assert by_name["/odometry"].frame_id == "odom"
    assert drive.duration_s == pytest.approx(3.02) and drive.problems == ()


def test_sensors_are_found_once_with_their_offsets(drive: BagReport) -> None:
    by_name = {sensor.name: sensor for sensor in drive.sensors}
    assert set(by_name) == {"front", "lidar", "radar"}
    assert by_name["radar"].replaces == ("/radar/scan",)
    assert by_name["front"].offset_ms == pytest.approx(30) and by_name[
        "front"
    ].offset_spread_ms == pytest.approx(0)
    assert by_name["front"].info_topic == "/front/camera_info"
    assert all(sensor.placed for sensor in drive.sensors)
    assert (drive.reference, drive.base_frame) == ("lidar", "base_link")
    assert [(source.kind, source.name) for source in drive.ego] == [("odometry", "/odometry"), ("radar", "")]


def test_scan_times_ground_and_doppler(drive: BagReport) -> None:
    lidar = next(sensor.lidar for sensor in drive.sensors if sensor.lidar)
    assert (lidar.stamp_at, lidar.rings) == ("start", None)
    assert lidar.duration_ms == pytest.approx(100, abs=1)
    assert lidar.ground and lidar.ground.tilt_deg < 0.05 and abs(lidar.ground.height_m) < 0.02
    found = next(sensor.radar for sensor in drive.sensors if sensor.radar)
    assert found.sign == -1 and found.confidence > 0.9
    assert found.ambiguity_mps == pytest.approx(INTERVAL_MPS, rel=0.05)
    assert found.estimates == found.scans == COUNT
    assert found.speed_mps == pytest.approx(SPEED_MPS, abs=0.2)
    assert found.inlier_share and found.inlier_share > 0.9


def test_written_vehicle_file_is_taken_as_it_is(drive: BagReport, tmp_path: Path) -> None:
    (tmp_path / "car.yaml").write_text(vehicle_yaml(drive))
    vehicle = load_vehicle(str(tmp_path / "car.yaml"))
    assert list(vehicle.sensors) == ["front", "lidar", "radar"]
    assert vehicle.sensors["lidar"].stamp_at == "start"
    assert vehicle.sensors["radar"].doppler_sign == -1
    assert vehicle.sensors["front"].info_topic == "/front/camera_info"
    assert vehicle.alignment.reference[0] == "lidar" and vehicle.alignment.rate_hz == 10
    assert vehicle.alignment.budget_ms >= 60
    assert [source.kind for source in vehicle.ego_motion] == ["odometry", "radar"]
    mount, camera = vehicle.sensors["radar"].mount, vehicle.sensors["front"].camera
    assert mount and camera  # the simulator needs them
    assert (mount.xyz, mount.rpy_deg) == ((3.0, 0.0, 0.5), (0.0, 0.0, 10.0))
    assert (camera.width_px, camera.matrix[0], camera.distortion[0]) == (64, 500.0, 0.1)


def test_faults_are_warned_of(tmp_path: Path) -> None:
    report = inspect_bag(write_drive(tmp_path / "drive", tilt_deg=3.0, camera_ahead_s=37.0, with_info=False))
    said = "\n".join(report.warnings)
    assert "tilts by 3.0 deg" in said
    assert "no usable CameraInfo" in said
    assert "+37.0 s" in said and "stamp_offset_ms: -37" in said
    text = vehicle_yaml(report)
    assert "unknown: no CameraInfo" in text
    offset_ms = yaml.safe_load(text)["sensors"]["front"]["stamp_offset_ms"]
    assert offset_ms == pytest.approx(-37_000, abs=100)


def test_without_transforms_mounts_are_unknown(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/points", encode_lidar(sweep(START_NS, 0.0), message_type), START_NS)
    report = inspect_bag(tmp_path / "bag")
    assert report.base_frame is None and not report.sensors[0].placed
    text = vehicle_yaml(report)
    assert text.count("unknown") >= 4
    (tmp_path / "car.yaml").write_text(text)
    assert load_vehicle(str(tmp_path / "car.yaml")).sensors["lidar"].mount is not None


def test_nothing_to_fuse_is_said(tmp_path: Path, make: SimpleNamespace) -> None:
    with BagWriter(tmp_path / "empty"):
        pass
    assert inspect_bag(tmp_path / "empty").duration_s == 0
    with BagWriter(tmp_path / "text") as writer:
        writer.write("/a", make.text("x"), 1)
    report = inspect_bag(tmp_path / "text")
    assert "no sensor topic" in report.warnings[0]
    with pytest.raises(BagError, match="no sensor"):
        vehicle_yaml(report)


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    inspect_bag(write_drive(tmp_path / "drive"), lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] and seen == sorted(seen)


def test_astyx_is_recognised(astyx: Path, tmp_path: Path) -> None:
    from mm_fusion.bags.convert.astyx import convert

    source = tmp_path / "some"
    source.mkdir()
    for path in sorted((astyx / "val").glob("*.npz"))[:24]:
        for suffix in (".npz", ".jpg", ".json"):
            (source / f"{path.stem}{suffix}").symlink_to(path.with_suffix(suffix))
    convert(source, tmp_path / "bag")
    report = inspect_bag(tmp_path / "bag")
    found = next(sensor.radar for sensor in report.sensors if sensor.radar)
    assert found.sign == -1 and found.ambiguity_mps == pytest.approx(10.4, abs=0.1)
    assert found.inlier_share and found.inlier_share > 0.7 and found.residual_mps and found.residual_mps < 0.2
