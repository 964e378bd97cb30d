"""Curves through steps: values, rates and turning agree."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.simulation.motion_table import LEAD_S, STEP_S, MotionTable, body_rates, poses, rotations


def table() -> MotionTable:
    times = -LEAD_S + STEP_S * np.arange(101)
    straight = np.column_stack([3 * times, 0 * times, 0 * times, *(0 * times for _ in range(3)), 3 * times])
    turning = np.column_stack(
        [np.cos(times), np.sin(times), 0.1 * times, times, 0.2 * np.sin(times), 0.1 * np.cos(times), times]
    )
    return MotionTable(np.stack([straight, turning], axis=1))


def test_a_straight_line_is_met_exactly() -> None:
    value, rate = table().state(0.513)
    assert value[0, 0] == pytest.approx(3 * 0.513) and rate[0, 0] == pytest.approx(3)
    assert np.allclose(poses(value)[0, :3, :3], np.eye(3))


def test_rotation_is_that_of_the_transforms() -> None:
    value, _ = table().state(0.7)
    roll, pitch, yaw = np.degrees(value[1, [5, 4, 3]])
    assert np.allclose(poses(value)[1], from_rpy_deg((roll, pitch, yaw), value[1, :3]))


def test_turning_is_the_derivative_of_the_rotation() -> None:
    motion, step = table(), 1e-5
    before, after = (rotations(motion.state(0.4 + t)[0])[1] for t in (-step, step))
    skew = before.T @ (after - before) / (2 * step)
    expected = [skew[2, 1], skew[0, 2], skew[1, 0]]
    assert np.allclose(body_rates(*motion.state(0.4))[1], expected, atol=1e-4)


def test_a_time_outside_the_drive_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="known from -1 to 4 s"):
        table().state(4.2)
