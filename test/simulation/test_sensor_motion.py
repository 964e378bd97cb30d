"""Poses between knots are those of the world; a sensor's velocity is the derivative of its place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.simulation.sensor_motion import sensor_poses, sensor_velocity

MOUNT = from_rpy_deg((3, -5, 40), (3.4, 0.8, 0.6))


def test_one_time_gives_that_pose(world_of: Callable) -> None:
    rotations, positions = sensor_poses(world_of(), MOUNT, np.array([2.0]))
    pose = world_of().world_from_base(2.0) @ MOUNT
    assert np.allclose(rotations[0], pose[:3, :3]) and np.allclose(positions[0], pose[:3, 3])


@pytest.mark.parametrize("scenario", ["straight", "intersection"])
def test_poses_between_knots_miss_by_less_than_a_millimetre(world_of: Callable, scenario: str) -> None:
    world, times = world_of(scenario=scenario), np.linspace(7.95, 8.05, 41)
    rotations, positions = sensor_poses(world, MOUNT, times)
    for time_s, rotation, position in zip(times, rotations, positions):
        pose = world.world_from_base(float(time_s)) @ MOUNT
        assert np.abs(position - pose[:3, 3]).max() < 1e-3
        assert np.abs(rotation - pose[:3, :3]).max() < 1e-4


@pytest.mark.parametrize("time_s", [1.0, 8.0, 15.0])
def test_velocity_is_the_derivative_of_position(world_of: Callable, time_s: float) -> None:
    world, step = world_of(scenario="intersection"), 1e-4
    before, after = ((world.world_from_base(time_s + s) @ MOUNT)[:3, 3] for s in (-step, step))
    velocity = sensor_velocity(world, MOUNT, time_s)
    assert velocity == pytest.approx((after - before) / (2 * step), abs=1e-3)
