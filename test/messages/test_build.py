from __future__ import annotations

import array

import numpy as np

from mm_fusion.messages.build import field_names, is_rclpy, light, sequence_of, time_of, yaw_quaternion


def test_time(types):
    stamp = time_of(1_700_000_000_123_456_789, types)
    assert (stamp.sec, stamp.nanosec) == (1_700_000_000, 123_456_789)


def test_sequences_are_what_each_library_takes_at_once(types):
    kind = types("sensor_msgs/msg/PointCloud2")
    for values in ([], [1, 2, 255]):
        made = sequence_of(np.array(values), "u1", kind)
        assert isinstance(made, array.array if is_rclpy(kind) else np.ndarray)
        assert list(made) == values
    assert list(sequence_of([0.5, -1], "f8", kind)) == [0.5, -1]


def test_field_names(types):
    assert field_names(types("std_msgs/msg/Header")) == {"stamp", "frame_id"}


def test_light_messages_are_those_of_the_constructor_and_share_nothing_that_is_given(types):
    point, pose = types("geometry_msgs/msg/Point"), types("geometry_msgs/msg/Pose")
    turn = yaw_quaternion(0.5, types)
    near, far = (light(point)(x=x, y=2.0, z=3.0) for x in (1.0, 5.0))
    one, other = (light(pose)(position=each, orientation=turn) for each in (near, far))
    assert one == pose(position=point(x=1.0, y=2.0, z=3.0), orientation=turn)
    assert (one.position.x, other.position.x) == (1.0, 5.0)
    assert not is_rclpy(pose) or pose().position == point()


def test_yaw(types):
    quaternion = yaw_quaternion(np.pi, types)
    assert abs(quaternion.z - 1) < 1e-9 and abs(quaternion.w) < 1e-9
