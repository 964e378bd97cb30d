"""What the bird's-eye view shows, asked of its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.viewing import palette
from mm_fusion.viewing.birds_eye import AHEAD, AROUND, Extent, draw_birds_eye, extent_for

EXTENT = Extent(-10.0, 90.0, -50.0, 50.0)
NO_POINTS, NO_RADAR = np.zeros((0, 3), np.float32), np.zeros((0, 4), np.float32)


def car(x: float, y: float, name: str = "car", velocity: tuple[float, float] = (0.0, 0.0)) -> Detections:
    return make_detections(
        1,
        center=np.array([[x, y, 0.8]]),
        size=np.array([[4.0, 2.0, 1.6]]),
        velocity=np.array([velocity]),
        score=np.array([0.9]),
        class_id=np.array([CLASSES.index(name)]),
    )


def draw(detections: Detections, points: np.ndarray = NO_POINTS, radar: np.ndarray = NO_RADAR) -> np.ndarray:
    return draw_birds_eye(detections, points, radar, extent=EXTENT, width_px=1210)


def where(picture: np.ndarray, colour: palette.Colour) -> np.ndarray:
    """(N, 2) metres of the pixels of nearly this colour, left of the legend."""
    rows, columns = np.nonzero((np.abs(picture[:, :1000].astype(int) - colour) < 60).all(axis=2))
    return np.column_stack([EXTENT.x_max - (rows + 0.5) / 10, EXTENT.y_max - (columns + 0.5) / 10])


def test_nothing_gives_rings_ego_and_legend() -> None:
    picture = draw(empty_detections())
    assert picture.shape == (1000, 1210, 3) and picture.dtype == np.uint8
    assert len(where(picture, palette.EGO)) > 20
    assert (picture[:, 1000:] == palette.TEXT).all(axis=2).any()


def test_a_box_lies_where_the_object_is_in_its_colour() -> None:
    colour = palette.CLASS_COLOURS[CLASSES.index("car")]
    at = where(draw(car(40, 20)), colour)
    box = at[np.abs(at[:, 1] - 20) < 1.5]
    np.testing.assert_allclose(box[:, 0].min(), 38, atol=0.3)
    np.testing.assert_allclose(box[:, 0].max(), 42, atol=0.3)
    left = at[:, 1].max()
    assert left == pytest.approx(21, abs=0.3), "left of the car is left in the picture"


def test_the_velocity_arrow_ends_a_second_ahead() -> None:
    colour = palette.CLASS_COLOURS[CLASSES.index("car")]
    moving = where(draw(car(40, 20, velocity=(15.0, 0.0))), colour)
    assert moving[np.abs(moving[:, 1] - 20) < 0.5][:, 0].max() == pytest.approx(55, abs=0.5)


def test_points_and_radar_have_their_colours() -> None:
    high = np.array([[30.0, 10.0, 3.0]], np.float32)
    at = where(draw(empty_detections(), high), palette.LIDAR_HIGH)
    np.testing.assert_allclose(at[np.abs(at[:, 1] - 10) < 2].mean(axis=0), [30, 10], atol=0.2)
    radar = np.array([[60.0, 0.0, 0.0, 0.1], [60, 30, 0, 4.0], [60, -30, 0, np.nan]], np.float32)
    picture = draw(empty_detections(), radar=radar)
    standing, moving = where(picture, palette.RADAR), where(picture, palette.RADAR_MOVING)
    assert set(np.round(standing[:, 1]).tolist()) == {0, -30}
    assert moving[:, 0].max() > 61.5, "receding: the stroke points away from the car"


def test_truth_is_dashed_and_white() -> None:
    picture = draw_birds_eye(empty_detections(), NO_POINTS, NO_RADAR, car(40, 20), EXTENT, width_px=1210)
    ends = where(picture, palette.TRUTH)
    assert 20 < len(ends) < 250


def test_the_extent_follows_what_is_seen() -> None:
    ahead = np.array([[20.0, 0, 0, 0]], np.float32)
    behind = np.array([[-20.0, 0, 0]], np.float32)
    assert extent_for(behind, NO_RADAR) is AROUND
    assert extent_for(behind, ahead) is AHEAD
    assert extent_for(NO_POINTS, NO_RADAR) is AHEAD


def test_what_lies_outside_or_is_not_finite_does_not_stop_the_picture() -> None:
    lost = car(1000, 1000, velocity=(np.nan, np.nan))
    points = np.array([[1e9, 0, 0], [-1e9, 5, 1]], np.float32)
    radar = np.array([[np.inf, 0, 0, 3.0]], np.float32)
    assert draw(lost, points, radar).shape == (1000, 1210, 3)
