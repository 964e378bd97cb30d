"""Where other frames are found."""

from __future__ import annotations

import numpy as np

from mm_fusion.training.changes import another, file_of
from test.inputs import scene
from test.training.frames_of import ListedFrames


def test_another_frame_is_of_the_same_file_and_not_itself() -> None:
    frames = ListedFrames([scene.frame({})] * 7)
    assert file_of(frames, 6) == (0, 7)
    frames.shard_ends = np.array([3, 7])
    assert [file_of(frames, number) for number in (0, 2, 3, 6)] == [(0, 3), (0, 3), (3, 7), (3, 7)]
    rng = np.random.default_rng(0)
    assert {another(frames, 4, rng) for _ in range(50)} == {3, 5, 6}


def test_a_frame_alone_is_its_own_neighbour() -> None:
    assert another(ListedFrames([scene.frame({})]), 0, np.random.default_rng(0)) == 0
