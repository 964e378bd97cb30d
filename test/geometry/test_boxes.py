from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.geometry.boxes import bev_corners, boxes_of, corners, iou_3d, iou_bev, points_in_boxes

SIZE = st.floats(0.1, 20)
BOX = st.tuples(*[st.floats(-10, 10)] * 3, SIZE, SIZE, SIZE, st.floats(-7, 7))
UNIT = [0, 0, 0, 2, 2, 2, 0]


def test_no_boxes():
    assert corners(np.empty((0, 7))).shape == (0, 8, 3)
    assert iou_bev(np.empty((0, 7)), [UNIT]).shape == (0, 1)
    assert points_in_boxes(np.zeros((2, 3), np.float32), np.empty((0, 7))).tolist() == [-1, -1]
    assert points_in_boxes(np.empty((0, 3), np.float32), [UNIT]).shape == (0,)
    assert boxes_of(empty_detections()).shape == (0, 7)


def test_boxes_of_detections():
    detections = make_detections(1, center=[[1, 2, 3]], size=[[4, 2, 1.5]], yaw=[0.5])
    assert np.allclose(boxes_of(detections), [[1, 2, 3, 4, 2, 1.5, 0.5]])


def test_corners_go_round_from_front_left():
    box = [[10, 5, 1, 4, 2, 1.5, np.pi / 2]]
    assert np.allclose(bev_corners(box)[0], [[9, 7], [9, 3], [11, 3], [11, 7]])
    eight = corners(box)[0]
    assert np.allclose(eight[:4, 2], 0.25) and np.allclose(eight[4:, 2], 1.75)
    assert np.allclose(eight[:4, :2], eight[4:, :2])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (UNIT, 1.0),
        ([1, 0, 0, 2, 2, 2, 0], 1 / 3),
        ([2, 0, 0, 2, 2, 2, 0], 0.0),
        ([0, 0, 0, 1, 1, 2, 0], 0.25),
        ([0, 0, 0, 2, 2, 2, np.pi / 4], 1 / np.sqrt(2)),
        ([0, 0, 0, 2, 2, 2, np.pi / 2], 1.0),
        ([0, 0, 0, 4, 1, 2, np.pi / 2], 2 / 6),
        ([1, 1, 0, np.sqrt(2), np.sqrt(2), 2, np.pi / 4], 1 / 11),
    ],
)
def test_overlaps_worked_out_by_hand(other, expected):
    assert iou_bev([UNIT], [other])[0, 0] == pytest.approx(expected, abs=1e-12)


def test_height_counts_in_3d_alone():
    above = [[0, 0, 1, 2, 2, 2, 0]]
    assert iou_3d([UNIT], above)[0, 0] == pytest.approx(1 / 3)
    assert iou_bev([UNIT], above)[0, 0] == 1.0
    assert iou_3d([UNIT], [[0, 0, 2, 2, 2, 2, 0]])[0, 0] == 0.0


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_boxes_that_are_not_finite_overlap_nothing(column, value):
    broken = np.array([UNIT], np.float64)
    broken[0, column] = value
    for overlap in (iou_bev, iou_3d):
        assert overlap(broken, [UNIT])[0, 0] == overlap([UNIT], broken)[0, 0] == 0.0
    assert points_in_boxes(np.full((1, 3), 50, np.float32), broken).tolist() == [-1]


@pytest.mark.parametrize("size", [(0, 2, 2), (2, 0, 2), (2, 2, 0), (-2, 2, 2)])
def test_boxes_without_volume_overlap_nothing_in_3d(size):
    flat = [[0, 0, 0, *size, 0]]
    assert iou_3d(flat, [UNIT])[0, 0] == 0 and iou_3d(flat, flat)[0, 0] == 0


@settings(max_examples=200, deadline=None)
@given(BOX, BOX)
def test_overlap_is_symmetric_in_range_and_whole_with_itself(a, b):
    for overlap in (iou_bev, iou_3d):
        forth, back = overlap([a], [b])[0, 0], overlap([b], [a])[0, 0]
        assert 0 <= forth <= 1 and forth == pytest.approx(back, abs=1e-9)
        assert overlap([a], [a])[0, 0] == pytest.approx(1, abs=1e-9)
    assert iou_bev([a], [b])[0, 0] * 1.0000001 >= 0


@settings(max_examples=100, deadline=None)
@given(BOX, BOX, st.floats(-7, 7), st.tuples(*[st.floats(-300, 300)] * 3))
def test_overlap_does_not_change_when_both_are_moved(a, b, turn, shift):
    def moved(box):
        c, s = np.cos(turn), np.sin(turn)
        x, y = c * box[0] - s * box[1] + shift[0], s * box[0] + c * box[1] + shift[1]
        return [x, y, box[2] + shift[2], *box[3:6], box[6] + turn]

    assert iou_3d([moved(a)], [moved(b)])[0, 0] == pytest.approx(iou_3d([a], [b])[0, 0], abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(BOX, BOX)
def test_overlap_agrees_with_counting_points(a, b):
    rng = np.random.default_rng(0)
    local = rng.uniform(-0.5, 0.5, (20_000, 2)) * (a[3], a[4])
    c, s = np.cos(a[6]), np.sin(a[6])
    xy = np.column_stack([c * local[:, 0] - s * local[:, 1] + a[0], s * local[:, 0] + c * local[:, 1] + a[1]])
    flat = np.array([[*b[:2], 0, *b[3:5], 2, b[6]]])
    shared = (points_in_boxes(np.column_stack([xy, np.zeros(len(xy))]), flat) == 0).mean() * a[3] * a[4]
    expected = shared / (a[3] * a[4] + b[3] * b[4] - shared)
    assert iou_bev([a], [b])[0, 0] == pytest.approx(expected, abs=0.03)


def test_points_belong_to_the_first_box_that_holds_them():
    boxes = [[5, 0, 0, 4, 2, 2, np.pi / 2], [5, 0, 0, 10, 10, 10, 0]]
    points = np.array(
        [[5, 1.9, 0], [6.9, 0, 0], [5, 2, 1], [5, 0, 1.1], [50, 0, 0], [np.nan, 0, 0]], np.float32
    )
    assert points_in_boxes(points, boxes).tolist() == [0, 1, 0, 1, -1, -1]
