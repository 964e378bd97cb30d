from __future__ import annotations

from dataclasses import replace

import numpy as np

from mm_fusion.config import EgoBox
from mm_fusion.detectors.geometric.points import lidar_points, radar_returns
from mm_fusion.frame import Calibration
from mm_fusion.geometry.transforms import rigid
from mm_fusion.measurements import LidarSweep, RadarScan
from test.detectors.scene import BASE_FROM_RADAR, STAMP, frame


def sweep(xyz, offset_ns=0, stamp=STAMP):
    xyz = np.array(xyz, np.float32).reshape(-1, 3)
    times = np.full(len(xyz), offset_ns, np.int32)
    return LidarSweep(stamp, "lidar", xyz, np.zeros(len(xyz), np.float32), times)


def scan(xyz, velocity, **changes):
    xyz, velocity = np.array(xyz, np.float32).reshape(-1, 3), np.array(velocity, np.float32)
    return RadarScan(STAMP, "radar", xyz, velocity, np.zeros(len(xyz), np.float32), **changes)


def test_no_sensor_no_points():
    assert len(lidar_points(frame({}), None).xyz) == 0
    assert len(radar_returns(frame({}), None).xyz) == 0


def test_an_uncalibrated_sensor_is_left_out():
    uncalibrated = frame({"lidar": sweep([[5, 0, 0]])}, calibration=Calibration())
    assert len(lidar_points(uncalibrated, None).xyz) == 0


def test_points_stand_in_base_link():
    points = lidar_points(frame({"lidar": sweep([[5, 0, -1.8]])}), None)
    np.testing.assert_allclose(points.xyz, [[5, 0, 0]], atol=1e-6)


def test_the_car_itself_and_bad_rows_are_no_points():
    box = EgoBox(min=(-1, -1, 0), max=(4, 1, 2))
    rows = [[2, 0, -1], [10, 0, -1], [np.nan, 0, 0], [np.inf, 0, 0], [1e30, 0, 0]]
    np.testing.assert_allclose(
        lidar_points(frame({"lidar": sweep(rows)}), box).xyz, [[10, 0, 0.8]], atol=1e-6
    )


def test_a_point_measured_before_lies_nearer_now():
    """At 10 m/s a point 20 m ahead, measured 0.1 s before the reference, lies at 19 m."""
    before = frame({"lidar": sweep([[20, 0, 0]], offset_ns=-100_000_000)}, ego_speed=10.0)
    np.testing.assert_allclose(lidar_points(before, None).xyz[:, 0], [19.0], atol=1e-4)


def test_older_sweeps_only_with_ego_motion():
    older = sweep([[20, 0, 0]], stamp=STAMP - 100_000_000)
    for speed, expected in ((10.0, [20.0, 19.0]), (None, [20.0])):
        both = frame({"lidar": sweep([[20, 0, 0]])}, ego_speed=speed, earlier={"lidar": (older,)})
        np.testing.assert_allclose(lidar_points(both, None).xyz[:, 0], expected, atol=1e-4)


def test_doppler_over_ground():
    """What stands ahead of a radar at 10 m/s approaches at 10."""
    returns = radar_returns(frame({"radar": scan([[20, 0, 0], [0, 20, 0]], [-10, 0])}, ego_speed=10.0), None)
    np.testing.assert_allclose(returns.velocity, [0, 0], atol=1e-4)
    np.testing.assert_allclose(returns.ray, [[1, 0], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(returns.origin, np.tile(BASE_FROM_RADAR[:2, 3], (2, 1)))
    assert np.isinf(returns.ambiguity).all()


def test_velocity_is_unknown_without_ego_motion_unless_the_driver_took_it_out():
    rows, speeds = [[20, 0, 0]], [-10]
    assert np.isnan(radar_returns(frame({"radar": scan(rows, speeds)}, None), None).velocity).all()
    done = radar_returns(frame({"radar": scan(rows, speeds, compensated=True)}, None), None)
    assert done.velocity.tolist() == [-10]


def test_several_radars_are_one_list():
    kinds = {"left": "radar", "right": "radar"}
    poses = Calibration({"left": rigid(np.eye(3), (0, 1, 0)), "right": rigid(np.eye(3), (0, -1, 0))})
    scans = {"left": scan([[5, 0, 0]], [0]), "right": replace(scan([[5, 0, 0]], [0]), ambiguity_mps=8.0)}
    returns = radar_returns(frame(scans, kinds=kinds, calibration=poses), None)
    np.testing.assert_allclose(returns.xyz[:, 1], [1, -1])
    assert returns.ambiguity.tolist() == [np.inf, 8.0]
