from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.errors import DropReason, TransformError
from mm_fusion.geometry.motion import exp_twist
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.geometry.transforms import from_rpy_deg, inverse
from mm_fusion.measurements import StampedTransform

SECOND = 1_000_000_000
BASE_FROM_LIDAR = from_rpy_deg((1, 2, 3), (1, 0, 2))
LIDAR_FROM_CAMERA = from_rpy_deg((-90, 0, -90), (0.2, 0, -0.1))


def moving(stamp_ns: int, parent: str, child: str, x: float, yaw_deg: float = 0.0) -> StampedTransform:
    return StampedTransform(stamp_ns, parent, child, from_rpy_deg((0, 0, yaw_deg), (x, 0, 0)))


def car() -> TransformBuffer:
    """odom -> base_link at 10 Hz from 1 s to 2 s at 10 m/s; base_link -> lidar -> camera, static."""
    buffer = TransformBuffer()
    buffer.add(
        (
            StampedTransform(0, "base_link", "lidar", BASE_FROM_LIDAR, True),
            StampedTransform(0, "lidar", "camera", LIDAR_FROM_CAMERA, True),
        )
    )
    buffer.add(tuple(moving(SECOND + k * SECOND // 10, "odom", "base_link", k) for k in range(11)))
    return buffer


def test_an_empty_buffer_knows_no_frame():
    with pytest.raises(TransformError, match=r"'lidar'.*none yet|'base_link'.*none yet") as caught:
        TransformBuffer().lookup("base_link", "lidar", 0)
    assert caught.value.reason is DropReason.UNKNOWN_FRAME


def test_a_frame_in_itself_is_identity_at_any_time():
    assert np.array_equal(TransformBuffer().lookup("base_link", "base_link", -5), np.eye(4))


def test_a_missing_frame_is_named_with_those_there():
    with pytest.raises(TransformError, match=r"'radar'.*base_link, camera, lidar, odom") as caught:
        car().lookup("base_link", "radar", SECOND)
    assert caught.value.reason is DropReason.UNKNOWN_FRAME


def test_static_chains_hold_at_any_time_both_ways():
    buffer = car()
    expected = BASE_FROM_LIDAR @ LIDAR_FROM_CAMERA
    assert np.allclose(buffer.lookup("base_link", "camera", -(10**18)), expected)
    assert np.allclose(buffer.lookup("camera", "base_link", 10**18), inverse(expected))


def test_a_look_up_may_be_written_to():
    buffer = car()
    buffer.lookup("base_link", "lidar", 0)[:] = 0
    assert np.allclose(buffer.lookup("base_link", "lidar", 0), BASE_FROM_LIDAR)


def test_moving_edges_are_interpolated_in_a_chain():
    odom_from_lidar = car().lookup("odom", "lidar", SECOND + 250_000_000)
    assert np.allclose(odom_from_lidar, from_rpy_deg((0, 0, 0), (2.5, 0, 0)) @ BASE_FROM_LIDAR)


def test_through_a_shared_ancestor():
    buffer = car()
    buffer.add((StampedTransform(0, "base_link", "radar", from_rpy_deg((0, 0, 90)), True),))
    expected = inverse(from_rpy_deg((0, 0, 90))) @ BASE_FROM_LIDAR
    assert np.allclose(buffer.lookup("radar", "lidar", 0), expected)


def test_the_newest_is_held_for_200_ms_and_no_longer():
    buffer = car()
    assert buffer.lookup("odom", "base_link", 2 * SECOND + 200_000_000)[0, 3] == 10
    with pytest.raises(TransformError, match=r"1\.000 s to 2\.000 s") as caught:
        buffer.lookup("odom", "base_link", 2 * SECOND + 200_000_001)
    assert caught.value.reason is DropReason.NO_TRANSFORM


def test_before_the_first_there_is_nothing():
    with pytest.raises(TransformError, match=r"'odom' <- 'base_link' at 0\.900 s"):
        car().lookup("odom", "base_link", 900_000_000)


def test_trees_that_nothing_joins_name_their_roots():
    buffer = car()
    buffer.add((StampedTransform(0, "trailer", "rear_lidar", np.eye(4), True),))
    with pytest.raises(TransformError, match=r"'odom'.*'trailer'") as caught:
        buffer.lookup("lidar", "rear_lidar", SECOND)
    assert caught.value.reason is DropReason.NO_TRANSFORM


def test_a_circle_is_named_and_left_by_a_new_parent():
    buffer = TransformBuffer()
    buffer.add(
        tuple(StampedTransform(0, p, c, np.eye(4), True) for p, c in (("a", "b"), ("b", "c"), ("c", "a")))
    )
    with pytest.raises(TransformError, match="circle"):
        buffer.lookup("a", "c", 0)
    buffer.add((StampedTransform(0, "map", "a", np.eye(4), True),))
    assert np.array_equal(buffer.lookup("map", "c", 0), np.eye(4))


def test_a_frame_that_is_its_own_parent_is_left_out(caplog):
    buffer = TransformBuffer()
    with caplog.at_level(logging.WARNING):
        buffer.add((StampedTransform(0, "a", "a", np.eye(4), True),) * 3)
    assert buffer.frames() == set() and len(caplog.records) == 1


def test_of_two_parents_the_last_wins_and_it_is_said_once(caplog):
    buffer = car()
    with caplog.at_level(logging.WARNING):
        for k in range(3):
            buffer.add((moving(3 * SECOND + k, "map", "base_link", 7),))
    assert [r.getMessage().count("'map'") for r in caplog.records] == [1]
    assert buffer.lookup("map", "lidar", 3 * SECOND)[0, 3] == pytest.approx(8)
    with pytest.raises(TransformError):
        buffer.lookup("odom", "lidar", SECOND)


def test_a_new_static_value_takes_effect():
    buffer = car()
    buffer.lookup("base_link", "camera", 0)
    buffer.add((StampedTransform(1, "base_link", "lidar", np.eye(4), True),))
    assert np.allclose(buffer.lookup("base_link", "camera", 0), LIDAR_FROM_CAMERA)


def test_leading_slashes_do_not_matter():
    buffer = TransformBuffer()
    buffer.add((StampedTransform(0, "/base_link", "/lidar", BASE_FROM_LIDAR, True),))
    assert np.allclose(buffer.lookup("base_link", "/lidar", 0), BASE_FROM_LIDAR)


def test_history_is_bounded():
    buffer = TransformBuffer(history_s=1.0)
    buffer.add(tuple(moving(k * SECOND // 100, "odom", "base_link", k) for k in range(1000)))
    assert len(buffer.edges()["base_link"].stamps_ns) == 101


def test_one_sample_from_the_far_future_does_not_lock_the_edge():
    buffer = car()
    buffer.add((moving(10**18, "odom", "base_link", 99),))
    for k in range(4):
        buffer.add((moving((21 + k) * SECOND // 10, "odom", "base_link", 11 + k),))
    assert buffer.lookup("odom", "base_link", 24 * SECOND // 10)[0, 3] == 14


def test_clearing_keeps_static_edges_alone():
    buffer = car()
    buffer.clear_moving()
    assert np.allclose(buffer.lookup("base_link", "lidar", 0), BASE_FROM_LIDAR)
    with pytest.raises(TransformError):
        buffer.lookup("odom", "lidar", SECOND)


@settings(max_examples=30, deadline=None)
@given(st.permutations(list(range(8))), st.integers(0, 700_000_000))
def test_the_order_of_arrival_does_not_matter(order, after_ns):
    buffer = TransformBuffer()
    for k in order:
        buffer.add((moving(k * SECOND // 10, "odom", "base_link", k, 10 * k),))
    expected = from_rpy_deg((0, 0, after_ns * 1e-7), (after_ns * 1e-8, 0, 0))
    assert np.allclose(buffer.lookup("odom", "base_link", after_ns), expected, atol=1e-9)


def test_twist_from_the_last_two_transforms():
    linear, angular = np.array([10.0, 0.5, 0.0]), np.array([0.0, 0.01, 0.3])
    buffer = TransformBuffer()
    start = from_rpy_deg((0, 0, 40), (100, 50, 0))
    buffer.add(
        tuple(
            StampedTransform(
                k * SECOND // 20, "odom", "base_link", start @ exp_twist(linear, angular, k / 20)
            )
            for k in range(5)
        )
    )
    ego = buffer.ego_motion("odom", "base_link", 170_000_000)
    assert ego is not None and ego.stamp_ns == 150_000_000
    assert np.allclose(ego.linear_velocity, linear) and np.allclose(ego.angular_velocity, angular)
    assert np.allclose(ego.odom_from_base, start @ exp_twist(linear, angular, 0.15))


@pytest.mark.parametrize("stamp_ns", [SECOND, 2 * SECOND + 200_000_001, 0])
def test_no_twist_without_two_transforms_just_before(stamp_ns):
    assert car().ego_motion("odom", "base_link", stamp_ns) is None


def test_no_twist_of_what_is_bolted_on_or_unknown():
    assert car().ego_motion("base_link", "lidar", SECOND) is None
    assert car().ego_motion("map", "base_link", SECOND) is None
