"""Boxes and points fall on the pixels where the camera sees them."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.measurements import CameraModel
from mm_fusion.viewing import palette
from mm_fusion.viewing.overlay import depth_colours, draw_overlay

CAMERA_FROM_BASE = np.array([[0, -1.0, 0, 0], [0, 0, -1, 1.0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""Looks ahead from 1 m above the ground."""
CAR = palette.CLASS_COLOURS[CLASSES.index("car")]


def model(distortion: tuple[float, ...] = ()) -> CameraModel:
    matrix = np.array([[500.0, 0, 400], [0, 500, 200], [0, 0, 1]])
    return CameraModel(matrix, np.array(distortion, np.float64), "plumb_bob", 800, 400)


def car(x: float, y: float = 0.0, velocity: tuple[float, float] = (0.0, 0.0)) -> Detections:
    return make_detections(
        1,
        center=np.array([[x, y, 1.0]]),
        size=np.array([[4.0, 2.0, 2.0]]),
        velocity=np.array([velocity]),
        score=np.array([0.9]),
        class_id=np.array([CLASSES.index("car")]),
    )


def image() -> np.ndarray:
    return np.zeros((400, 800, 3), np.uint8)


def spots(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) < 90).all(axis=2))
    return rows, columns


def test_nothing_to_draw_leaves_a_copy() -> None:
    pixels = image()
    drawn = draw_overlay(pixels, model(), CAMERA_FROM_BASE, empty_detections(), np.zeros((0, 3)))
    assert drawn is not pixels and not drawn.any()


def test_the_rear_face_is_where_the_camera_sees_it() -> None:
    """Rear at 10 m, 2 m wide and high around the horizon: 100 px to each side of... 500 / 10 = 50 px per
    metre.
    """
    rows, columns = spots(draw_overlay(image(), model(), CAMERA_FROM_BASE, car(12)), CAR)
    assert columns.min() == pytest.approx(350, abs=2) and columns.max() == pytest.approx(450, abs=2)
    assert rows.max() == pytest.approx(250, abs=2)


def test_a_box_behind_the_camera_is_not_drawn() -> None:
    assert not draw_overlay(image(), model(), CAMERA_FROM_BASE, car(-12)).any()


def test_edges_bend_with_the_lens() -> None:
    wide = car(4.6)
    straight = draw_overlay(image(), model(), CAMERA_FROM_BASE, wide)
    bent = draw_overlay(image(), model((-0.2, 0.0, 0.0, 0.0)), CAMERA_FROM_BASE, wide)
    assert spots(bent, CAR)[1].max() < spots(straight, CAR)[1].max()


def test_points_are_coloured_by_depth_and_near_ones_lie_on_top() -> None:
    points = np.array([[5.0, 0, 1], [50.0, 0, 1], [20.0, 4, 1]])
    picture = draw_overlay(image(), model(), CAMERA_FROM_BASE, empty_detections(), points)
    np.testing.assert_array_equal(picture[200, 400], depth_colours(np.array([5.0]))[0])
    np.testing.assert_array_equal(picture[200, 300], depth_colours(np.array([20.0]))[0])


def test_depth_colours_go_from_warm_to_cold() -> None:
    near, far = depth_colours(np.array([3.0, 60.0])).astype(int)
    assert near[0] > near[2] and far[2] > far[0]
    assert depth_colours(np.zeros(0)).shape == (0, 3)


def test_the_velocity_arrow_lies_on_the_ground() -> None:
    """From below the middle at 20 m to 20 m and 10 m to the left: 250 px left of the middle."""
    _, columns = spots(draw_overlay(image(), model(), CAMERA_FROM_BASE, car(20, velocity=(0.0, 10.0))), CAR)
    assert columns.min() == pytest.approx(150, abs=3)


def test_truth_is_dashed_in_white() -> None:
    picture = draw_overlay(image(), model(), CAMERA_FROM_BASE, empty_detections(), truth=car(12))
    assert (picture.min(axis=2) > 100).any()
