"""Folds of runs: even, whole, and the same for training and for scoring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import empty_detections
from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation import labelled_data
from mm_fusion.evaluation.folds import fold_of_frames, folds_of_runs
from mm_fusion.evaluation.labelled_data import LabelledData, open_data
from mm_fusion.evaluation.matching import RUN_GAP_NS
from mm_fusion.training import recorded_frames
from mm_fusion.training.selected_frames import split_by_runs
from test.inputs import scene
from test.training.frames_of import ListedFrames

SECOND = 10**9
STAMPS_S = (100, 0, 1, 2, 101, 300, 500, 501)  # four runs, not in order


def test_runs_fall_into_even_folds():
    assert folds_of_runs(np.array([5, 1, 1, 4, 1]), 2).tolist() == [0, 1, 0, 1, 1]
    with pytest.raises(ConfigurationError, match="at most 2"):
        folds_of_runs(np.array([5, 1]), 3)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=30, unique=True), st.integers(1, 4))
def test_no_run_is_parted(seconds: list[int], folds: int):
    stamps = np.array(seconds, np.int64) * SECOND
    order = np.argsort(stamps)
    run = np.concatenate([[0], np.cumsum(np.diff(stamps[order]) > RUN_GAP_NS)])
    if run[-1] + 1 < folds:
        with pytest.raises(ConfigurationError, match="number of runs"):
            fold_of_frames(stamps, folds)
        return
    found = fold_of_frames(stamps, folds)
    assert set(found.tolist()) == set(range(folds))
    assert all(len(set(found[order][run == each])) == 1 for each in range(run[-1] + 1))


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> ListedFrames:
    """A recording at hand in place of one in a file, with a truth at 3 s that no frame goes with."""
    frames = ListedFrames([scene.frame({}, stamp_ns=each * SECOND) for each in STAMPS_S])
    truths = [TruthFrame(each * SECOND, "base_link", empty_detections(), {}) for each in (*STAMPS_S, 3)]
    monkeypatch.setattr(recorded_frames, "BagFrames", lambda _: frames)
    monkeypatch.setattr("mm_fusion.bags.truth.read_truth", lambda _: truths)
    monkeypatch.setattr("mm_fusion.offline.input_hashes", lambda *_: {"recording": "a", "vehicle": "b"})
    return frames


def stamps_of(data: LabelledData) -> list[int]:
    return [data.frames[number][0].stamp_ns for number in range(len(data))]


def test_what_is_scored_is_what_training_left_out(recording: ListedFrames, tmp_path: Path):
    whole = open_data(tmp_path, "test")
    assert len(whole) == len(STAMPS_S) and whole.unmatched == 1 and whole.fold is None
    digests, unmatched = {whole.digest}, 0
    for fold in range(3):
        data = open_data(tmp_path, "test", folds=3, fold=fold)
        kept, left = split_by_runs(recording, 3, fold)
        assert stamps_of(data) == [left[n][0].stamp_ns for n in range(len(left))]
        assert not set(stamps_of(data)) & {kept[n][0].stamp_ns for n in range(len(kept))}
        assert sorted(set(data.run)) == list(range(data.run.max() + 1))
        assert data.fold == f"fold {fold} of 3"
        digests.add(data.digest)
        unmatched += data.unmatched
    assert len(digests) == 4 and unmatched == 1


def test_more_folds_than_runs_are_refused(recording: ListedFrames, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="at most 4, the number of runs"):
        open_data(tmp_path, "test", folds=5, fold=0)


def test_the_region_is_chosen_as_for_the_whole(recording: ListedFrames, tmp_path: Path):
    whole, part = open_data(tmp_path, "test"), open_data(tmp_path, "test", folds=2, fold=1)
    assert part.region is whole.region and part.region is not labelled_data.REGIONS["everywhere"]
