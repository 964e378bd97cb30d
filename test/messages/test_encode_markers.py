from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.messages.encode import encode_markers
from mm_fusion.messages.encode_markers import COLORS

CUBE, ARROW, TEXT, DELETE_ALL = 1, 0, 9, 3


def test_an_empty_array_deletes_the_last_one(types, on_the_wire):
    (only,) = on_the_wire(encode_markers(empty_detections(), 5, "base_link", types)).markers
    assert only.action == DELETE_ALL


def test_boxes_arrows_and_text(types, on_the_wire):
    detections = make_detections(
        3,
        center=np.array([[10, 2, 1], [20, 0, 1], [30, 0, 1]]),
        size=np.full((3, 3), 2),
        velocity=np.array([[3, 4], [np.nan, np.nan], [0.1, 0]]),
        class_id=np.arange(3),
        score=np.array([0.91, 0.5, 0.2]),
        contribution=np.array([[0.2, 0.7, 0.1]] * 3),
    )
    markers = on_the_wire(encode_markers(detections, 5, "base_link", types)).markers
    assert markers[0].action == DELETE_ALL and {m.header.frame_id for m in markers} == {"base_link"}
    kinds = [m.type for m in markers[1:]]
    assert (kinds.count(CUBE), kinds.count(TEXT), kinds.count(ARROW)) == (3, 3, 1)
    arrow = next(m for m in markers[1:] if m.type == ARROW)
    assert (arrow.points[1].x, arrow.points[1].y) == pytest.approx((13, 6))
    text = next(m.text for m in markers if m.type == TEXT)
    assert text == "car 0.91 C20 L70 R10"
    assert len({(m.ns, m.id) for m in markers[1:]}) == len(markers) - 1


def test_every_class_has_its_colour():
    assert set(COLORS) == set(CLASSES) and len(set(COLORS.values())) == len(CLASSES)
