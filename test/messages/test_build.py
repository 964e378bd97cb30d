from __future__ import annotations

import array

import numpy as np

from mm_fusion.messages.build import field_names, is_rclpy, sequence_of, time_of, yaw_quaternion


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


def test_yaw(types):
    quaternion = yaw_quaternion(np.pi, types)
    assert abs(quaternion.z - 1) < 1e-9 and abs(quaternion.w) < 1e-9
