from __future__ import annotations

import numpy as np

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.detectors.coverage import Sectors, best_health, camera_coverage, health_at, lidar_coverage
from mm_fusion.frame import SensorHealth
from test.detectors.scene import CARS, frame, sweep

NO_SCAN = np.zeros((0, 3), np.float32)


def at(*xy, size=(4.2, 1.8, 1.6)):
    return make_detections(len(xy), center=[(*p, 0.8) for p in xy], size=np.tile(size, (len(xy), 1)))


def ring(count=3600, radius=40.0):
    angle = np.linspace(-np.pi, np.pi, count, endpoint=False)
    z = np.tile([-1.0, 0.0, 1.0], count)[:count]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1).astype(np.float32)


def test_no_returns_no_coverage():
    sectors = Sectors(NO_SCAN, np.zeros(2))
    np.testing.assert_array_equal(sectors.open_share(at((10, 0))), [0.0])
    assert len(sectors.open_share(empty_detections())) == 0


def test_only_directions_with_returns_are_seen():
    ahead = ring()[np.abs(np.arctan2(ring()[:, 1], ring()[:, 0])) < 0.8]
    share = Sectors(ahead, np.zeros(2)).open_share(at((10, 0), (-10, 0)))
    np.testing.assert_array_equal(share, [1.0, 0.0])


def test_what_stands_in_front_hides():
    sectors = Sectors(ring(), np.zeros(2))
    wall = np.stack([np.full(200, 8.0), np.linspace(-4, 4, 200), np.ones(200)], axis=1)
    sectors.hide_behind(wall)
    np.testing.assert_array_equal(sectors.open_share(at((20, 0), (5, 0), (0, 20))), [0.0, 1.0, 1.0])


def test_an_object_does_not_hide_itself():
    sectors = Sectors(ring(), np.zeros(2))
    face = np.stack([np.full(50, 17.9), np.linspace(-0.9, 0.9, 50), np.ones(50)], axis=1)
    sectors.hide_behind(face)
    assert sectors.open_share(at((20, 0)))[0] == 1.0


def test_fewer_returns_with_distance():
    expected = Sectors(ring(), np.zeros(2)).expected_returns(at((10, 0), (20, 0)))
    np.testing.assert_allclose(expected[0], 4 * expected[1], rtol=1e-6)


def test_a_blocked_sector_sees_nothing():
    """Four sectors from -pi: the third looks ahead to the left."""
    health = SensorHealth(np.array([1, 1, 0, 1], np.float32))
    np.testing.assert_array_equal(health_at(health, np.array([0.5, -0.5, 2.0, -2.0])), [0, 1, 1, 1])
    np.testing.assert_array_equal(health_at(None, np.array([0.5])), [1])


def test_lidar_coverage_follows_health_and_range():
    scan = frame({"lidar": sweep(CARS)})
    sectors = Sectors(sweep(CARS).xyz, np.zeros(2))
    places = at((10, 15), (60, 15))
    near, far = lidar_coverage(scan, ["lidar"], sectors, places)
    assert 0.7 < near <= 0.9 and far < near
    blocked = frame({"lidar": sweep(CARS)}, health={"lidar": SensorHealth(np.zeros(1, np.float32))})
    np.testing.assert_array_equal(lidar_coverage(blocked, ["lidar"], sectors, places), [0.0, 0.0])


def test_an_absent_sensor_covers_nothing():
    np.testing.assert_array_equal(best_health(frame({}), ["lidar"], np.array([[10.0, 0.0]])), [0.0])


def test_a_camera_names_only_what_has_a_name():
    scan = frame({"seen": None})  # type: ignore[dict-item]
    car = make_detections(1, center=[(10, 0, 1)], class_id=[0])
    assert camera_coverage(scan, "seen", np.array([True]), car)[0] > 0.4
    assert camera_coverage(scan, "seen", np.array([False]), car)[0] == 0
    assert camera_coverage(scan, "seen", np.array([True]), at((10, 0)))[0] == 0
