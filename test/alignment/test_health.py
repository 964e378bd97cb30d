from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from mm_fusion.alignment.condition import LOOK_EVERY, SECTORS, sector_centers, sector_of
from mm_fusion.alignment.health import HealthMonitor
from mm_fusion.alignment.sensor_state import SensorState
from mm_fusion.config import AlignmentConfig, SensorConfig, VehicleConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Calibration, Frame, SensorHealth
from mm_fusion.measurements import CameraImage, CameraModel, Deferred, LidarSweep, Measurement, RadarScan

MS = 1_000_000
KINDS = {"lidar": "lidar", "camera": "camera", "radar": "radar"}
BASE_FROM_OPTICAL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]], np.float64)
MODEL = CameraModel(np.array([[400.0, 0, 400], [0, 400, 300], [0, 0, 1]]), np.zeros(0), "plumb_bob", 800, 600)


def monitor() -> HealthMonitor:
    sensors = {name: SensorConfig(kind=kind, topic=f"/{name}") for name, kind in KINDS.items()}
    return HealthMonitor(VehicleConfig(sensors=sensors, alignment=AlignmentConfig(reference=["lidar"])))


def frame(index: int, **measurements: Measurement | Deferred) -> Frame:
    mounts = {"lidar": np.eye(4), "radar": np.eye(4), "camera": BASE_FROM_OPTICAL}
    return Frame(
        stamp_ns=index * 100 * MS,
        measurements=measurements,
        kinds=KINDS,
        available={name: name in measurements for name in KINDS},
        age_ns={},
        calibration=Calibration(mounts, {"camera": MODEL}),
    )


def sweep(index: int, blocked_deg: tuple[float, float] | None = None, count: int = 20_000) -> LidarSweep:
    rng = np.random.default_rng(index)
    azimuth = np.sort(rng.uniform(-np.pi, np.pi, count))
    if blocked_deg is not None:
        azimuth = azimuth[~((np.degrees(azimuth) > blocked_deg[0]) & (np.degrees(azimuth) < blocked_deg[1]))]
    reach = rng.uniform(5, 50, len(azimuth))
    xyz = np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth), np.zeros(len(azimuth))], 1)
    zeros = np.zeros(len(azimuth), np.float32)
    return LidarSweep(index * 100 * MS, "lidar", xyz.astype(np.float32), zeros, zeros.astype(np.int32))


def scan(index: int, count: int) -> RadarScan:
    values = np.random.default_rng(index).normal(0, 20, (count, 5)).astype(np.float32)
    return RadarScan(
        index * 100 * MS, "radar", values[:, :3].copy(), values[:, 3].copy(), values[:, 4].copy()
    )


def image(index: int, spoilt: str = "") -> CameraImage:
    rng = np.random.default_rng(index)
    coarse = rng.integers(20, 230, (75, 100, 3), np.uint8)
    pixels = cv2.resize(coarse, (800, 600), interpolation=cv2.INTER_NEAREST)
    if spoilt == "covered":
        pixels[:, :400] = 90 + index % 3
    if spoilt == "glare":
        pixels[:, 400:] = 255
    encoded = cv2.imencode(".jpg", pixels)[1]
    return CameraImage(index * 100 * MS, "camera", encoded=encoded.tobytes(), format="jpeg")


def coverage_at(health: SensorHealth, degrees: float) -> float:
    return float(health.sector_coverage[sector_of(np.radians([degrees]))[0]])


def test_no_frame_no_health_and_an_empty_frame_none_either() -> None:
    watched = monitor()
    assert watched.statuses() == [] and watched.residuals() == {} and watched.drifts() == {}
    assert watched.examine(frame(0)) == {}


def test_sectors_begin_behind_and_go_round_to_the_left() -> None:
    assert sector_of(np.array([-np.pi, 0.0, np.pi / 2, np.pi])).tolist() == [
        0,
        SECTORS // 2,
        SECTORS * 3 // 4,
        0,
    ]
    assert (sector_of(sector_centers()) == np.arange(SECTORS)).all()


def test_healthy_sensors_lose_nothing() -> None:
    watched = monitor()
    for index in range(40):
        found = watched.examine(
            frame(index, lidar=sweep(index), radar=scan(index, 100 + index), camera=image(index))
        )
    assert all((health.sector_coverage == 1).all() and health.remarks == () for health in found.values())
    assert {status.level for status in watched.statuses()} == {0}


@pytest.mark.parametrize("name", ["lidar", "camera", "radar"])
def test_a_payload_that_repeats_while_stamps_advance_is_frozen(name: str) -> None:
    def stuck(index: int) -> Measurement:
        if name == "lidar":
            still = sweep(7)
            return LidarSweep(index * 100 * MS, "lidar", still.xyz, still.intensity, still.time_offset_ns)
        if name == "radar":
            still = scan(7, 50)
            return RadarScan(index * 100 * MS, "radar", still.xyz, still.radial_velocity, still.strength_db)
        return CameraImage(index * 100 * MS, "camera", encoded=image(7).encoded, format="jpeg")

    watched = monitor()
    found = [watched.examine(frame(index, **{name: stuck(index)}))[name] for index in range(6)]
    assert found[0].sector_coverage.min() == 1
    assert found[-1].sector_coverage.max() == 0 and "frozen" in found[-1].remarks[0]
    recovered = watched.examine(frame(9, lidar=sweep(9), radar=scan(9, 50), camera=image(9)))[name]
    assert recovered.sector_coverage.min() == 1


def test_one_measurement_taken_by_two_frames_is_not_frozen() -> None:
    watched, item = monitor(), sweep(3)
    for index in range(10):
        assert watched.examine(frame(index, lidar=item))["lidar"].remarks == ()


def test_no_returns_at_all_are_not_frozen() -> None:
    watched = monitor()
    for index in range(10):
        assert watched.examine(frame(index, radar=scan(index, 0)))["radar"].remarks == ()


def test_a_blocked_sector_of_a_lidar_is_found_and_forgotten() -> None:
    watched = monitor()
    for index in range(30):
        watched.examine(frame(index, lidar=sweep(index)))
    for index in range(30, 50):
        blocked = watched.examine(frame(index, lidar=sweep(index, (20, 60))))["lidar"]
    assert coverage_at(blocked, 45) == 0 and coverage_at(blocked, -45) == 1 and coverage_at(blocked, 100) == 1
    assert "blocked" in blocked.remarks[0] and "45" in blocked.remarks[0]
    for index in range(50, 70):
        free = watched.examine(frame(index, lidar=sweep(index)))["lidar"]
    assert free.sector_coverage.min() == 1


def test_a_turned_lidar_reports_sectors_in_base_axes() -> None:
    watched = monitor()
    turned = np.eye(4)
    turned[:2, :2] = [[0, -1], [1, 0]]

    def seen(index: int, item: LidarSweep) -> SensorHealth:
        placed = frame(index, lidar=item)
        placed.calibration.base_from_sensor["lidar"] = turned  # type: ignore[index]
        return watched.examine(placed)["lidar"]

    for index in range(30):
        seen(index, sweep(index))
    for index in range(30, 50):
        blocked = seen(index, sweep(index, (-20, 20)))
    assert coverage_at(blocked, 90) == 0 and coverage_at(blocked, 0) == 1


@pytest.mark.parametrize(
    ("spoilt", "low_deg", "good_deg", "word"),
    [("covered", 25, -25, "covered"), ("glare", -25, 25, "saturated")],
)
def test_a_spoilt_part_of_an_image_lowers_its_directions(
    spoilt: str, low_deg: float, good_deg: float, word: str
) -> None:
    watched = monitor()
    clear, bad = [image(k) for k in range(4)], [image(k, spoilt) for k in range(4)]
    for index in range(14 * LOOK_EVERY):
        shown = (clear if index < 6 * LOOK_EVERY else bad)[index % 4]
        stamped = CameraImage(index * 100 * MS, "camera", encoded=shown.encoded, format="jpeg")
        health = watched.examine(frame(index, camera=stamped))["camera"]
    assert coverage_at(health, low_deg) < 0.3
    assert coverage_at(health, good_deg) == 1 and coverage_at(health, 120) == 1
    assert any(word in remark for remark in health.remarks)


def test_a_radar_that_falls_quiet_is_covered_less() -> None:
    watched = monitor()
    for index in range(40):
        watched.examine(frame(index, radar=scan(index, 200)))
    for index in range(40, 60):
        health = watched.examine(frame(index, radar=scan(index, 1)))["radar"]
    assert health.sector_coverage.max() < 0.1
    assert "few returns" in health.remarks[0]


def test_a_payload_that_cannot_be_decoded_is_left_out() -> None:
    def fail() -> LidarSweep:
        raise MeasurementError("cut")

    assert monitor().examine(frame(0, lidar=Deferred(0, "lidar", 0, fail))) == {}


@dataclass
class Pair:
    a: str
    b: str
    offset: np.ndarray


def test_mean_residual_between_sensors_boxes_is_kept_and_named_when_large() -> None:
    watched, rng = monitor(), np.random.default_rng(1)
    watched.observe_matches([Pair("lidar", "camera", np.zeros((0, 2)))])
    assert watched.residuals() == {}
    for _ in range(60):
        watched.observe_matches([Pair("lidar", "radar", rng.normal((1.0, -0.2), 0.3, (5, 2)))])
    residual = watched.residuals()["lidar", "radar"]
    assert residual.matches == 300 and residual.offset == pytest.approx([1.0, -0.2], abs=0.06)
    status = watched.statuses()[0]
    assert status.level == 1 and "radar" in status.message and status.values["matches"] == "300"


def test_stamps_that_drift_against_receipt_are_named() -> None:
    watched = monitor()
    for second in range(0, 1000, 10):
        watched.examine(frame(second, lidar=sweep(second, count=100)))
        state = SensorState("alive", latency_p50_ms=20 + second * 0.05, last_receipt_ns=second * 10**9)
        watched.observe_states({"lidar": state, "radar": SensorState("never")})
    assert watched.drifts()["lidar"].ppm == pytest.approx(50, rel=0.02)
    assert "drifted" in watched.statuses()[0].message
    assert set(watched.drifts()) == {"lidar"}


def test_the_same_frames_give_the_same_health() -> None:
    first, second = monitor(), monitor()
    for index in range(30):
        made = frame(index, lidar=sweep(index), camera=image(index), radar=scan(index, index))
        one, two = first.examine(made), second.examine(made)
        assert all((one[name].sector_coverage == two[name].sector_coverage).all() for name in one)
