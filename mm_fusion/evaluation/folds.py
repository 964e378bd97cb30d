"""The runs of a recording in folds: `train` leaves one out, `evaluate` scores the very same one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.matching import runs_of


def fold_of_frames(stamps_ns: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """(N,) fold of each frame, by the stamps of all (in any order); runs stay whole.

    Raises `ConfigurationError` with fewer runs than folds.
    """
    order = np.argsort(stamps_ns, kind="stable")
    runs = np.empty(len(stamps_ns), np.int64)
    runs[order] = runs_of(stamps_ns[order])
    return folds_of_runs(np.bincount(runs), folds)[runs]


def folds_of_runs(lengths: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Fold of each run, by its number of frames: the longest first, each to what is shortest so far.

    Raises `ConfigurationError` with fewer runs than folds.
    """
    if len(lengths) < folds:
        raise ConfigurationError(
            f"folds: expected at most {len(lengths)}, the number of runs in the recording, got {folds}"
        )
    filled, fold_of_run = np.zeros(folds), np.empty(len(lengths), np.int64)
    for run in np.argsort(-lengths, kind="stable"):
        fold_of_run[run] = int(np.argmin(filled))
        filled[fold_of_run[run]] += lengths[run]
    return fold_of_run
