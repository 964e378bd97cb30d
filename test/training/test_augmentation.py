"""Scenes flipped, turned and scaled: the truth follows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.training.augmentation import SceneAugmentation, moved_objects


def test_no_objects_stay_none() -> None:
    assert len(moved_objects(empty_detections(), np.eye(4))) == 0


def test_a_flip_mirrors_yaw_and_velocity() -> None:
    car = make_detections(
        1, center=np.array([[5.0, 2.0, 1.0]]), yaw=np.array([0.4]), velocity=np.array([[3.0, 1.0]])
    )
    moved = moved_objects(car, np.diag([1.0, -1.0, 1.0, 1.0]))
    assert moved.center[0].tolist() == [5.0, -2.0, 1.0]
    assert moved.yaw[0] == pytest.approx(-0.4)
    assert moved.velocity[0].tolist() == [3.0, -1.0]


@given(st.integers(0, 2**32 - 1))
def test_corners_of_a_box_follow_the_scene(seed: int) -> None:
    matrix = SceneAugmentation().draw(np.random.default_rng(seed))
    car = make_detections(
        1, center=np.array([[5.0, 2.0, 1.0]]), size=np.array([[4.0, 2.0, 1.5]]), yaw=np.array([0.4])
    )
    moved = moved_objects(car, matrix)
    front = np.array([5 + 2 * math.cos(0.4), 2 + 2 * math.sin(0.4), 1.0])
    expected = matrix[:3, :3] @ front
    heading = np.array([np.cos(moved.yaw[0]), np.sin(moved.yaw[0])])
    np.testing.assert_allclose(moved.center[0, :2] + moved.size[0, 0] / 2 * heading, expected[:2], atol=1e-4)
