"""Folds by run, and labels of other frames."""

from __future__ import annotations

import numpy as np

from mm_fusion.training.selected_frames import ShuffledLabels, split_by_runs
from test.inputs import scene
from test.training.frames_of import ListedFrames

SECOND = 10**9


def listed(*stamps_s: float) -> ListedFrames:
    return ListedFrames([scene.frame({}, stamp_ns=round(each * SECOND)) for each in stamps_s])


def test_inside_and_outside_a_fold_are_all_frames_once():
    frames = listed(100, 0, 1, 2, 101, 300)  # three runs, not in order
    seen = []
    for fold in range(3):
        kept, left = split_by_runs(frames, 3, fold)
        stamps = [[part[n][0].stamp_ns // SECOND for n in range(len(part))] for part in (kept, left)]
        assert len({stamp // 50 for stamp in stamps[1]}) == 1 and not set(stamps[0]) & set(stamps[1])
        assert len(stamps[0]) + len(stamps[1]) == 6 and kept.vehicle is frames.vehicle
        seen += stamps[1]
    assert sorted(seen) == [0, 1, 2, 100, 101, 300]


def test_no_frame_keeps_its_truth_and_none_is_lost():
    frames = listed(*range(9))
    frames.shard_ends = np.array([4, 9])
    shuffled = ShuffledLabels(frames, 1)
    truths = [frames[n][1].extra["occlusion"] for n in range(9)]
    moved = [next(k for k in range(9) if truths[k] is shuffled[n][1].extra["occlusion"]) for n in range(9)]
    assert sorted(moved[:4]) == [0, 1, 2, 3] and sorted(moved[4:]) == [4, 5, 6, 7, 8]
    assert all(n != m for n, m in enumerate(moved))
    assert shuffled[2][0] is frames[2][0] and shuffled[2][1].stamp_ns == 2 * SECOND


def test_classes_are_those_of_the_truth_that_comes_with_each_frame():
    frames = listed(0, 1, 100)
    frames.class_ids = lambda: [np.array([number]) for number in range(3)]
    shuffled, (kept, left) = ShuffledLabels(frames, 1), split_by_runs(frames, 2, 1)
    assert [ids[0] for ids in kept.class_ids()] == [0, 1] and [ids[0] for ids in left.class_ids()] == [2]
    assert all(ids[0] != number for number, ids in enumerate(shuffled.class_ids()))
