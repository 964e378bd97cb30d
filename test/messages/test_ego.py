from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import DropReason, MeasurementError
from mm_fusion.measurements import EgoMotion
from mm_fusion.messages.build import fixed_of, header_of, vector_of
from mm_fusion.messages.ego import decode_odometry, decode_twist
from mm_fusion.messages.encode import encode_odometry


@pytest.fixture
def twist(types):
    """TwistWithCovarianceStamped of a linear velocity."""

    def build(linear=(5, 0, 0), frame="base_link", cov=None):
        inner = types("geometry_msgs/msg/Twist")(
            linear=vector_of(linear, types), angular=vector_of((0, 0, 0.1), types)
        )
        covariance = fixed_of(np.zeros(36) if cov is None else cov)
        with_cov = types("geometry_msgs/msg/TwistWithCovariance")(twist=inner, covariance=covariance)
        return types("geometry_msgs/msg/TwistWithCovarianceStamped")(
            header=header_of(7, frame, types), twist=with_cov
        )

    return build


def test_odometry_round_trip(types, on_the_wire):
    pose = np.eye(4)
    pose[:2, :2], pose[:3, 3] = [[0, -1], [1, 0]], (1, 2, 3)
    sent = EgoMotion(5, np.array([10.0, 1, 0]), np.array([0, 0, 0.2]), pose, np.eye(3) * 0.04)
    got = decode_odometry(on_the_wire(encode_odometry(sent, types)), "base_link")
    assert got.stamp_ns == 5 and got.linear_velocity == pytest.approx([10, 1, 0])
    assert got.angular_velocity == pytest.approx([0, 0, 0.2])
    assert got.odom_from_base == pytest.approx(pose) and got.linear_cov == pytest.approx(sent.linear_cov)


def test_an_empty_pose_does_not_cost_the_twist(types):
    got = decode_odometry(encode_odometry(EgoMotion(5, np.ones(3), np.zeros(3)), types), "base_link")
    assert got.odom_from_base is None and got.linear_cov is None and got.linear_velocity[0] == 1


def test_twist(twist, on_the_wire):
    got = decode_twist(on_the_wire(twist()), "base_link")
    assert (got.stamp_ns, got.linear_velocity[0], got.angular_velocity[2]) == (7, 5, 0.1)


@pytest.mark.parametrize("frame", ["", "/base_link", "base_link"])
def test_own_frame_spelled_in_every_way(twist, frame):
    assert decode_twist(twist(frame=frame), "base_link").linear_velocity[0] == 5


def test_another_frame_is_said(twist, types):
    with pytest.raises(
        MeasurementError, match="/speed: expected a twist in base_link, got frame_id 'imu'"
    ) as caught:
        decode_twist(twist(frame="imu"), "base_link", "/speed")
    assert caught.value.reason is DropReason.UNKNOWN_FRAME
    message = encode_odometry(EgoMotion(5, np.ones(3), np.zeros(3)), types, base_frame="imu")
    with pytest.raises(MeasurementError, match="child_frame_id 'imu'"):
        decode_odometry(message, "base_link")


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_unknown_covariance(twist, value):
    assert decode_twist(twist(cov=np.full(36, value))).linear_cov is None


def test_velocities_that_are_not_finite(twist):
    with pytest.raises(MeasurementError, match="expected finite velocities"):
        decode_twist(twist(linear=(np.nan, 0, 0)))
