"""Some of a set of frames: all runs but one fold, or every frame with another one's truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.evaluation.folds import fold_of_frames
from mm_fusion.frame import Frame
from mm_fusion.training.changes import Frames, class_ids_of, file_of


class SelectedFrames:
    """The frames of `frames` that `numbers` names, which lie in one file."""

    def __init__(self, frames: Frames, numbers: NDArray[np.int64]) -> None:
        self._frames, self._numbers = frames, numbers
        self.vehicle, self.region = frames.vehicle, frames.region

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        return self._frames[int(self._numbers[number])]

    def class_ids(self) -> list[NDArray[Any]]:
        """Class ids of each frame's objects."""
        ids = class_ids_of(self._frames)
        return [ids[number] for number in self._numbers]


class ShuffledLabels:
    """Frames with the truth of other frames of the same file: what is learned from them is cheating."""

    def __init__(self, frames: Frames, seed: int) -> None:
        self._frames = frames
        self.vehicle, self.region = frames.vehicle, frames.region
        self.shard_ends = np.asarray(getattr(frames, "shard_ends", [len(frames)]))
        self._truth = np.arange(len(frames))
        for first, end in {file_of(frames, int(end) - 1) for end in self.shard_ends}:
            order = first + np.random.default_rng((seed, first)).permutation(end - first)
            self._truth[order] = np.roll(order, 1)  # no frame keeps its own

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        frame, _ = self._frames[number]
        _, truth = self._frames[int(self._truth[number])]
        return frame, replace(truth, stamp_ns=frame.stamp_ns)

    def class_ids(self) -> list[NDArray[Any]]:
        """Class ids of the truth that each frame gets."""
        ids = class_ids_of(self._frames)
        return [ids[number] for number in self._truth]


def split_by_runs(frames: Frames, folds: int, fold: int) -> tuple[SelectedFrames, SelectedFrames]:
    """The frames outside and inside a fold; runs stay whole. Raises `ConfigurationError`."""
    stamps = np.array([frames[number][0].stamp_ns for number in range(len(frames))], np.int64)
    inside = fold_of_frames(stamps, folds) == fold
    return SelectedFrames(frames, np.flatnonzero(~inside)), SelectedFrames(frames, np.flatnonzero(inside))
