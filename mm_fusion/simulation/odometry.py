"""What the vehicle itself says of its motion: twist and pose with the errors of wheels and gyroscopes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mm_fusion.config import VehicleConfig
from mm_fusion.geometry.motion import exp_twist
from mm_fusion.measurements import EgoMotion, Float64, StampedTransform
from mm_fusion.messages.build import Types, fixed_of, header_of, vector_of
from mm_fusion.messages.encode import encode_odometry, encode_transforms
from mm_fusion.simulation.clocks import random_of

if TYPE_CHECKING:
    from mm_fusion.simulation.world import World

PERIOD_NS = 20_000_000
LATENCY_NS = (800_000, 2_500_000)
SCALE_SIGMA = 0.004
"""Of wheel radius: the speed is off by this share through a whole drive."""
LINEAR_SIGMA = np.array([0.03, 0.02, 0.02])
ANGULAR_SIGMA = np.array([0.002, 0.002, 0.001])
BIAS_SIGMA = np.array([0.001, 0.001, 0.0005])
ODOMETRY, TWIST, TF = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/TwistWithCovarianceStamped",
    "tf2_msgs/msg/TFMessage",
)
DEFAULT_TOPIC = "/odom"


def odometry_topics(vehicle: VehicleConfig) -> dict[str, str]:
    """Type by topic: what the vehicle file lists, /odom where it lists none, and /tf always."""
    topics = {"/tf": TF}
    for source in vehicle.ego_motion:
        if source.topic and source.kind in ("odometry", "twist"):
            topics[source.topic] = ODOMETRY if source.kind == "odometry" else TWIST
    return topics if len(topics) > 1 else {**topics, DEFAULT_TOPIC: ODOMETRY}


def fixed_frame(vehicle: VehicleConfig) -> str:
    """The parent of `base_frame` on /tf."""
    return next((source.frame for source in vehicle.ego_motion if source.kind == "tf"), "odom")


class Odometry:
    """The noisy motion of one drive, asked for in order of time."""

    def __init__(self, world: World, seed: int) -> None:
        rng = random_of(seed, "odometry")
        self._world, self._seed = world, seed
        self._scale = 1 + rng.normal(0, SCALE_SIGMA)
        self._bias = rng.normal(0, BIAS_SIGMA)
        self._pose, self._index = np.eye(4), 0

    def at(self, index: int, start_ns: int = 0) -> EgoMotion:
        """Measurement number `index`, not before the one asked for last; the drive begins at `start_ns`."""
        while self._index < index:
            middle_s = (self._index + 0.5) * PERIOD_NS / 1e9
            linear, angular = self._measured(middle_s, self._index, "pose")
            self._pose = self._pose @ exp_twist(linear, angular, PERIOD_NS / 1e9)
            self._index += 1
        linear, angular = self._measured(index * PERIOD_NS / 1e9, index, "twist")
        cov = np.diag(LINEAR_SIGMA**2 + (SCALE_SIGMA * linear) ** 2)
        return EgoMotion(start_ns + index * PERIOD_NS, linear, angular, self._pose, cov)

    def receipt_ns(self, index: int) -> int:
        """When measurement `index` is received, from the drive's start."""
        low, high = LATENCY_NS
        return index * PERIOD_NS + int(random_of(self._seed, "odometry latency", index).integers(low, high))

    def _measured(self, t_s: float, index: int, use: str) -> tuple[Float64, Float64]:
        rng = random_of(self._seed, "odometry", use, index)
        linear, angular = self._world.twist(t_s)
        return (
            np.asarray(linear, np.float64) * self._scale + rng.normal(0, LINEAR_SIGMA),
            np.asarray(angular, np.float64) + self._bias + rng.normal(0, ANGULAR_SIGMA),
        )


def odometry_messages(ego: EgoMotion, vehicle: VehicleConfig, types: Types) -> Iterator[tuple[str, Any]]:
    """(topic, message) of one measurement on every topic that carries it."""
    frame = fixed_frame(vehicle)
    for topic, kind in odometry_topics(vehicle).items():
        if kind == ODOMETRY:
            yield topic, encode_odometry(ego, types, frame, vehicle.base_frame)
        elif kind == TWIST:
            yield topic, _twist_message(ego, vehicle.base_frame, types)
        elif ego.odom_from_base is not None:
            edge = StampedTransform(ego.stamp_ns, frame, vehicle.base_frame, ego.odom_from_base)
            yield topic, encode_transforms((edge,), types)


def _twist_message(ego: EgoMotion, base_frame: str, types: Types) -> Any:
    covariance = np.zeros((6, 6))
    if ego.linear_cov is not None:
        covariance[:3, :3] = ego.linear_cov
    twist = types("geometry_msgs/msg/Twist")(
        linear=vector_of(ego.linear_velocity, types), angular=vector_of(ego.angular_velocity, types)
    )
    with_covariance = types("geometry_msgs/msg/TwistWithCovariance")(
        twist=twist, covariance=fixed_of(covariance)
    )
    return types(TWIST)(header=header_of(ego.stamp_ns, base_frame, types), twist=with_covariance)
