"""The numbers of one subset."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import empty_detections
from mm_fusion.evaluation.job_scores import map_draws, scored_tree, scores_of
from test.evaluation.hand_made import CAR, objects, pair

BUS = 2


def test_without_frames_there_are_no_scores() -> None:
    tree = scores_of([], 0, 10, whole=True, with_kitti=True)
    assert tree["nuscenes"] == {} and tree["draws"] == {} and tree["velocity"]["objects"] == 0


def test_ranges_take_what_is_in_them() -> None:
    """Found at 10 m, missed at 30 m, nothing at 40 m."""
    truth = objects([[10, 0, 0], [0, 30, 0]])
    tree = scores_of([pair(truth, objects([[10, 0, 0]]))], 1, 10, whole=True, with_kitti=False)
    bands = tree["by_range"]
    assert bands["0-20"]["map"] == pytest.approx(100) and bands["20-35"] == {"map": 0.0, "car": 0.0}
    assert np.isnan(bands["35-50"]["map"]) and tree["truths"] == {"car": 2}


def test_every_detection_is_scored_right_or_wrong() -> None:
    truth = objects([[10, 0, 0]])
    found = objects([[10, 0.5, 0], [30, 0, 0], [40, 0, 0]], [0.9, 0.4, 0.2])
    found.class_id[2] = BUS
    assert scored_tree([pair(truth, found)]) == {
        "car": {"score": [0.9, 0.4], "hit": [1, 0]},
        "bus": {"score": [0.2], "hit": [0]},
    }


def test_draws_are_the_same_for_the_same_runs_and_centre_on_the_score() -> None:
    """Three drives found, three missed."""
    truth = objects([[10, 0, 0]])
    pairs = [pair(truth, truth if run < 3 else empty_detections(), run=run) for run in range(6)]
    tree = scores_of(pairs, 6, 300, whole=True, with_kitti=False)
    again = scores_of(pairs, 6, 20, whole=False, with_kitti=False)
    draws = map_draws(tree["draws"])
    assert len(draws) == 300 and np.array_equal(draws[:20], map_draws(again["draws"]))
    assert draws.min() < tree["nuscenes"]["map"] < draws.max()
    assert "by_range" not in again


def test_map_draws_leave_out_classes_without_truth() -> None:
    draws = map_draws({"car": [10.0, None], "bus": [30.0, 50.0], "kitti car 3d 0.5 easy": [1.0, 1.0]})
    assert draws.tolist() == [20.0, 50.0] and len(map_draws({})) == 0


def test_kitti_is_drawn_where_asked_for() -> None:
    pairs = [pair(objects([[10, 0, 0]]), objects([[10, 0, 0]]), run=run) for run in range(3)]
    tree = scores_of(pairs, 3, 5, whole=False, with_kitti=True)
    assert set(tree["draws"]) >= {"car", "kitti car 3d 0.5 moderate"} and CAR == 0
