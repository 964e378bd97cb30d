"""Records of detections: shapes are checked once, one mask cuts all arrays."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, concatenate_detections, empty_detections, make_detections, mode_of
from mm_fusion.errors import MeasurementError


def test_empty() -> None:
    none = empty_detections()
    assert len(none) == 0 and none.class_names() == [] and len(none.select(np.zeros(0, bool))) == 0
    assert len(concatenate_detections([])) == 0


def test_unknown_is_unknown() -> None:
    one = empty_detections(1)
    assert np.isnan(one.velocity).all() and one.class_names() == ["unknown"] and one.track_id is None
    assert one.velocity_cov.tolist() == [[np.inf, 0, np.inf]]


def test_select_cuts_every_array() -> None:
    three = make_detections(3, center=np.arange(9).reshape(3, 3), track_id=np.array([5, 6, 7]))
    cut = three.select(np.array([2, 0]))
    assert (
        cut.center[:, 0].tolist() == [6, 0] and cut.track_id is not None and cut.track_id.tolist() == [7, 5]
    )


@pytest.mark.parametrize(
    ("name", "array"), [("size", np.zeros((2, 2))), ("yaw", np.zeros((3,))), ("variance", np.zeros((2, 4)))]
)
def test_a_wrong_shape_is_named(name: str, array: np.ndarray) -> None:
    with pytest.raises(MeasurementError, match=rf"Detections\.{name}: expected .* got"):
        make_detections(2, **{name: array})


def test_joined_ids_are_minus_one_where_a_part_has_none() -> None:
    joined = concatenate_detections([make_detections(1, track_id=np.array([9])), empty_detections(2)])
    assert joined.track_id is not None and joined.track_id.tolist() == [9, -1, -1]


@pytest.mark.parametrize(
    ("groups", "mode"),
    [((), "-"), (("radar", "camera"), "CR"), ({"camera": False, "lidar": True, "radar": True}, "LR")],
)
def test_mode(groups: object, mode: str) -> None:
    assert mode_of(groups) == mode  # type: ignore[arg-type]


def test_classes_are_ten_and_unknown() -> None:
    assert len(CLASSES) == 11 and CLASSES[-1] == "unknown"
