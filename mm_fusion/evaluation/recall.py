"""Recall near the car: what share of the objects was seen at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES
from mm_fusion.evaluation.bootstrap import Key, Statistic
from mm_fusion.evaluation.matching import Pair, classes_with_truth


def recall_near_statistics(
    pairs: Sequence[Pair], within_m: float = 30.0, match_m: float = 2.0
) -> dict[Key, Statistic]:
    """Recall in percent by ("recall_30m", class): truths of occlusion 2 at most whose centre is within
    `match_m` of a detection of their class, one for one and nearest first, whatever its score.
    """
    return {
        ("recall_30m", CLASSES[c]): _recall(pairs, c, within_m, match_m) for c in classes_with_truth(pairs)
    }


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """Found objects of all objects, by run, in percent."""

    found: NDArray[np.int64]
    total: NDArray[np.int64]

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """Recall with each run counted that many times; NaN without truth."""
        total = int(run_weights @ self.total)
        return 100.0 * float(run_weights @ self.found) / total if total else float("nan")


def _recall(pairs: Sequence[Pair], class_id: int, within_m: float, match_m: float) -> Recall:
    runs = max((pair.run for pair in pairs), default=-1) + 1
    found, total = np.zeros((2, runs), np.int64)
    for pair in pairs:
        near = np.hypot(pair.truth.center[:, 0], pair.truth.center[:, 1]) <= within_m
        occlusion = np.nan_to_num(pair.extra.get("occlusion", np.zeros(len(pair.truth))))
        wanted = near & pair.truth_inside & (pair.truth.class_id == class_id) & (np.asarray(occlusion) <= 2)
        mine = pair.detections.class_id == class_id
        gaps = pair.truth.center[wanted][:, None, :2] - pair.detections.center[mine][None, :, :2]
        found[pair.run] += sum(1 for _ in _nearest_first(np.hypot(gaps[..., 0], gaps[..., 1]), match_m))
        total[pair.run] += int(wanted.sum())
    return Recall(found, total)


def _nearest_first(distance: np.ndarray, limit: float) -> Iterator[tuple[int, int]]:
    rows, columns = np.nonzero(distance <= limit)
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for k in np.argsort(distance[rows, columns], kind="stable"):
        i, j = int(rows[k]), int(columns[k])
        if i not in used_rows and j not in used_columns:
            used_rows.add(i)
            used_columns.add(j)
            yield i, j
