from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.detectors.geometric.camera_objects import camera_objects, projected_rectangles, view_of
from mm_fusion.detectors.geometric.class_claims import PriorTable
from mm_fusion.frame import Calibration
from mm_fusion.model_config import load_geometric
from test.detectors.scene import CARS, STAMP, frame, image_detections

CONFIG = load_geometric()
PRIORS = PriorTable.of(CONFIG.classes)
VIEW = view_of(frame({}), "seen", STAMP)


def found(seen, candidates=None):
    assert VIEW is not None
    return camera_objects(seen, VIEW, candidates or empty_detections(), PRIORS, CONFIG.camera)


def candidate(box, **changes):
    fields = {"center": [box[:3]], "size": [box[3:6]], "yaw": [box[6]]}
    return make_detections(1, **{**fields, **changes})


def test_nothing_seen():
    assert len(found(image_detections(np.zeros((0, 7)), []))) == 0


def test_an_uncalibrated_camera_has_no_view():
    assert view_of(frame({}, calibration=Calibration()), "seen", STAMP) is None


def test_alone_it_stands_where_its_lower_edge_meets_the_ground():
    """A car ahead at 15 m: bearing sharp, distance blunt and said to be."""
    objects = found(image_detections(CARS[:1], ["car"]))
    np.testing.assert_allclose(objects.center[0, :2], CARS[0, :2], atol=2.0)
    along, _, across = objects.position_cov[0]
    assert along > 4 * across
    np.testing.assert_array_equal(objects.contribution, [[1, 0, 0]])
    assert objects.class_names() == ["car"]


def test_it_takes_the_distance_of_what_it_frames():
    beside = candidate(CARS[1])
    seen = image_detections(CARS[:2], ["car", "truck"])
    objects = found(seen, beside)
    assert objects.class_names() == ["car", "truck"]
    np.testing.assert_allclose(
        np.hypot(*(objects.center[1, :2] - [1, 0])), np.hypot(*(CARS[1, :2] - [1, 0])), atol=0.1
    )
    assert objects.yaw[1] == pytest.approx(CARS[1, 6])
    assert objects.position_cov[1].max() > 1, "the range is not measured twice"


def test_a_box_at_the_horizon_is_placed_by_its_height():
    seen = replace(
        image_detections(CARS[:1], ["pedestrian"]), box_px=np.array([[780, 380, 820, 430]], np.float32)
    )
    objects = found(seen)
    assert objects.center[0, 0] - 1 == pytest.approx(900 * 1.72 / 50, abs=1.0)


def test_bad_boxes_are_left_out():
    good = image_detections(CARS[:1], ["car"]).box_px[0]
    rows = [good, [np.nan] * 4, good[[2, 1, 0, 3]], good, good]
    score = np.array([0.9, 0.9, 0.9, 0.1, np.nan], np.float32)
    seen = image_detections(np.repeat(CARS[:1], 5, axis=0), ["car"] * 5)
    assert len(found(replace(seen, box_px=np.array(rows, np.float32), score=score))) == 1


def test_a_class_number_that_is_none_is_unknown():
    seen = replace(image_detections(CARS[:1], ["car"]), class_id=np.array([99], np.int16))
    assert found(seen).class_names() == ["unknown"]


def test_projection_of_what_is_behind():
    assert VIEW is not None
    behind = candidate(np.array([-20, 0, 0.8, 4, 2, 1.5, 0]))
    _, seen = projected_rectangles(behind, VIEW)
    assert seen.tolist() == [False]
    assert projected_rectangles(empty_detections(), VIEW)[0].shape == (0, 4)
