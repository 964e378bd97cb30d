"""Odometry and TwistWithCovarianceStamped to `EgoMotion`; the twist is in the vehicle's own frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from mm_fusion.errors import DropReason, MeasurementError
from mm_fusion.geometry.transforms import from_quaternion
from mm_fusion.measurements import EgoMotion, Float64
from mm_fusion.messages.header import frame_name, header_ns, reading


def decode_odometry(message: Any, base_frame: str | None = None, topic: str = "odometry") -> EgoMotion:
    """Twist and pose of nav_msgs/Odometry, whose child frame must be `base_frame`."""
    with reading("Odometry", topic):
        _check_frame(frame_name(message.child_frame_id), base_frame, "child_frame_id")
        return _ego_motion(message, _pose(message.pose.pose))


def decode_twist(message: Any, base_frame: str | None = None, topic: str = "twist") -> EgoMotion:
    """Twist of geometry_msgs/TwistWithCovarianceStamped, whose frame must be `base_frame`."""
    with reading("TwistWithCovarianceStamped", topic):
        _check_frame(frame_name(message.header.frame_id), base_frame, "frame_id")
        return _ego_motion(message, None)


def _ego_motion(message: Any, odom_from_base: Float64 | None) -> EgoMotion:
    twist = message.twist.twist
    linear, angular = _vector(twist.linear), _vector(twist.angular)
    return EgoMotion(
        header_ns(message), linear, angular, odom_from_base, _linear_cov(message.twist.covariance)
    )


def _check_frame(name: str, base_frame: str | None, field: str) -> None:
    """A sender that leaves the frame empty means the vehicle."""
    if base_frame and name and name != base_frame:
        raise MeasurementError(
            f"expected a twist in {base_frame}, got {field} {name!r}; publish it in {base_frame}, or set "
            "`base_frame` in the vehicle file",
            DropReason.UNKNOWN_FRAME,
        )


def _vector(vector: Any) -> Float64:
    return np.array([vector.x, vector.y, vector.z], np.float64)


def _pose(pose: Any) -> Float64 | None:
    """The pose in `odom`, None where it was left empty: the twist is good without it."""
    q = pose.orientation
    try:
        return from_quaternion((q.x, q.y, q.z, q.w), _vector(pose.position))
    except MeasurementError:
        return None


def _linear_cov(covariance: Any) -> Float64 | None:
    """(3, 3) of the 6x6 by rows; None where it was left at zero or is marked unknown by -1."""
    cov = np.array(covariance, np.float64).reshape(6, 6)[:3, :3]
    return cov if np.isfinite(cov).all() and (np.diag(cov) > 0).any() and (np.diag(cov) >= 0).all() else None
