"""Scenes flipped, turned and scaled: the truth follows."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.training.augmentation import Augmentation, drawn_scene, moved_objects
from mm_fusion.training.settings import AugmentConfig
from test.inputs import scene
from test.training.frames_of import ListedFrames


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
    matrix = drawn_scene(AugmentConfig(), np.random.default_rng(seed))
    car = make_detections(
        1, center=np.array([[5.0, 2.0, 1.0]]), size=np.array([[4.0, 2.0, 1.5]]), yaw=np.array([0.4])
    )
    moved = moved_objects(car, matrix)
    front = np.array([5 + 2 * math.cos(0.4), 2 + 2 * math.sin(0.4), 1.0])
    expected = matrix[:3, :3] @ front
    heading = np.array([np.cos(moved.yaw[0]), np.sin(moved.yaw[0])])
    np.testing.assert_allclose(moved.center[0, :2] + moved.size[0, 0] / 2 * heading, expected[:2], atol=1e-4)


def test_the_same_draws_give_the_same_frame_and_labels_come_from_the_honest_one() -> None:
    frames = ListedFrames([scene.frame({"lidar": scene.sweep([[5, 0, 1]]), "camera": scene.image()})] * 3)
    augment = Augmentation(frames, scene.config(), AugmentConfig(lies=1.0))
    frame, truth = frames[1]
    one, other = (augment(1, frame, truth, np.random.default_rng(7), 0.5) for _ in range(2))
    np.testing.assert_array_equal(one.scene_from_base, other.scene_from_base)
    assert one.whole is frame and one.frame.age_ns == other.frame.age_ns
    assert pickle.loads(pickle.dumps(augment))(
        1, frame, truth, np.random.default_rng(7), 0.5
    ).frame.age_ns == (one.frame.age_ns)


def test_one_more_change_leaves_the_draws_of_the_others() -> None:
    frames = ListedFrames([scene.frame({"lidar": scene.sweep([[5, 0, 1]])})])
    scenes = [
        Augmentation(frames, scene.config(), settings)(0, *frames[0], np.random.default_rng(7), 0.0)
        for settings in (AugmentConfig(), AugmentConfig(lies=0, time_jitter=0, calibration_jitter=0))
    ]
    np.testing.assert_array_equal(scenes[0].scene_from_base, scenes[1].scene_from_base)
