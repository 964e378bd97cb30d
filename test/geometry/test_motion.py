from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from mm_fusion.geometry.motion import (
    base_ref_from_base,
    deskew,
    exp_twist,
    ground_radial_velocity,
    log_twist,
    wrap_velocity,
)
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import EgoMotion

VECTOR = st.tuples(*[st.floats(-3, 3)] * 3)


def ego(linear=(0.0, 0.0, 0.0), angular=(0.0, 0.0, 0.0)) -> EgoMotion:
    return EgoMotion(0, np.array(linear, np.float64), np.array(angular, np.float64))


def test_no_points():
    assert deskew(np.empty((0, 3), np.float32), np.empty(0, np.int32), ego()).shape == (0, 3)


def test_a_point_ahead_measured_before_the_reference_has_come_nearer():
    ahead = np.array([[20, 0, 0]], np.float32)
    moved = deskew(ahead, np.array([-100_000_000], np.int32), ego((10, 0, 0)))
    assert np.allclose(moved, [[19, 0, 0]])
    matrix = base_ref_from_base(ego((10, 0, 0)), t_ns=900_000_000, ref_ns=1_000_000_000)
    assert np.allclose(transform_points(matrix, ahead), [[19, 0, 0]])


def test_one_time_per_point():
    with pytest.raises(ValueError, match="one time per point"):
        deskew(np.zeros((3, 3), np.float32), np.zeros(2, np.int32), ego())


def test_a_left_turn_moves_what_was_ahead_to_the_right():
    matrix = base_ref_from_base(ego(angular=(0, 0, 0.5)), t_ns=-200_000_000, ref_ns=0)
    assert np.allclose(transform_points(matrix, np.array([[10.0, 0, 0]])), [[9.95, -0.998, 0]], atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(VECTOR, VECTOR, st.floats(-1, 1))
def test_exponential_agrees_with_scipy(linear, angular, seconds):
    w = angular
    twist = np.array(
        [[0, -w[2], w[1], linear[0]], [w[2], 0, -w[0], linear[1]], [-w[1], w[0], 0, linear[2]], [0] * 4]
    )
    assert np.allclose(exp_twist(linear, angular, seconds), expm(twist * seconds), atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(VECTOR, st.tuples(*[st.floats(-1.5, 1.5)] * 3))
def test_logarithm_undoes_the_exponential(linear, angular):
    found = log_twist(exp_twist(linear, angular, 0.5), 0.5)
    assert np.allclose(found, (linear, angular), atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(
    VECTOR, st.tuples(*[st.floats(-9, 9)] * 3), st.lists(st.integers(-(10**8), 10**8), min_size=1, max_size=5)
)
def test_each_point_is_moved_by_its_own_time(linear, angular, times_ns):
    motion = ego(linear, angular)
    xyz = np.arange(3 * len(times_ns), dtype=np.float32).reshape(-1, 3) - 4
    moved = deskew(xyz, np.array(times_ns, np.int32), motion)
    for point, time_ns, result in zip(xyz, times_ns, moved):
        matrix = base_ref_from_base(motion, time_ns, 0)
        assert np.allclose(transform_points(matrix, point[None].astype(np.float64))[0], result, atol=1e-5)


def test_a_static_world_seen_from_a_moving_car_comes_together():
    motion = ego((15, 0.3, 0), (0, 0, 0.4))
    world = np.random.default_rng(3).uniform(-40, 40, (200, 3))
    times_ns = np.linspace(-5e7, 5e7, 200).astype(np.int32)
    seen = [
        transform_points(inverse(base_ref_from_base(motion, t, 0)), p[None])[0]
        for t, p in zip(times_ns, world)
    ]
    assert np.allclose(deskew(np.array(seen, np.float32), times_ns, motion), world, atol=1e-5)


@pytest.mark.parametrize(
    ("velocity", "wrapped"), [(0, 0), (5.2, -5.2), (-5.2, -5.2), (5.3, -5.1), (10.4, 0), (-15.5, -5.1)]
)
def test_velocities_wrap_to_the_half_open_interval(velocity, wrapped):
    assert wrap_velocity(velocity, 10.4) == pytest.approx(wrapped, abs=1e-12)


@given(st.floats(-1e5, 1e5), st.floats(0.5, 100))
def test_wrapped_velocities_are_in_range(velocity, interval):
    assert -interval / 2 <= wrap_velocity(velocity, interval) < interval / 2


def test_without_an_interval_velocities_stay():
    velocity = np.array([80, -3], np.float32)
    assert wrap_velocity(velocity, None) is velocity
    assert wrap_velocity(velocity, 10.0).dtype == np.float32


def radar_velocity(xyz_sensor, base_from_radar, motion):
    """Receding-positive raw velocities of a static world, by differences of ranges."""
    xyz_base = transform_points(base_from_radar, xyz_sensor)
    later = transform_points(
        inverse(exp_twist(motion.linear_velocity, motion.angular_velocity, 1e-6)), xyz_base
    )
    at = base_from_radar[:3, 3]
    return (np.linalg.norm(later - at, axis=1) - np.linalg.norm(xyz_base - at, axis=1)) / 1e-6


@pytest.mark.parametrize("interval", [None, 10.4])
def test_what_stands_still_has_no_velocity_over_ground(interval):
    motion = ego((13, 0.5, 0), (0, 0, 0.4))
    corner = from_rpy_deg((0, 3, 45), (3.5, 0.8, 0.5))
    xyz = np.random.default_rng(1).uniform(-50, 50, (100, 3))
    raw = wrap_velocity(radar_velocity(xyz, corner, motion), interval)
    over_ground = ground_radial_velocity(xyz.astype(np.float32), raw, corner, motion, interval)
    assert over_ground.dtype == np.float32 and np.abs(over_ground).max() < 1e-3


def test_a_car_ahead_drawing_away_has_its_own_speed_over_ground():
    # we drive 10 m/s, it drives 15 m/s: raw +5, over ground 15, which is 4.6 modulo 10.4
    xyz = np.array([[30, 0, 0]], np.float32)
    for interval, expected in ((None, 15.0), (10.4, 4.6)):
        found = ground_radial_velocity(xyz, np.array([5.0]), np.eye(4), ego((10, 0, 0)), interval)
        assert found[0] == pytest.approx(expected, abs=1e-5)


def test_a_return_at_the_sensor_itself_gives_no_nan():
    found = ground_radial_velocity(
        np.zeros((1, 3), np.float32), np.array([1.0]), np.eye(4), ego((10, 0, 0)), None
    )
    assert found[0] == 1.0
