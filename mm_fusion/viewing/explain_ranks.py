"""Whether what a model says of its sensors ranks them as removing them does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mm_fusion.evaluation.bootstrap import drawn_weights
from mm_fusion.viewing.explain import SENSORS, Explanation

METHODS = ("stated", "gate", "shapley")
"""The network's own contribution, the operator's raw weights, and Shapley values measured by all subsets."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well one way to rank sensors agrees with removing them, -1..1 but for `first`.

    spearman, kendall: within a detection, averaged over those where two or more sensors are present and
    removal tells them apart (NaN without any). interval: the middle 95 % of `spearman`, frames drawn again.
    first: share 0..1 of detections whose strongest sensor is the same. pooled: Spearman over all pairs of
    detection and sensor.
    """

    spearman: float
    interval: tuple[float, float] | None
    kendall: float
    first: float
    pooled: float
    detections: int

    def tree(self) -> dict[str, Any]:
        """For a JSON file."""
        return {name: getattr(self, name) for name in self.__slots__}


def agreements(frames: Sequence[Explanation]) -> dict[str, Agreement]:
    """Agreement with removal by method, over the detections of all frames."""
    return {method: agreement(frames, method) for method in METHODS}


def agreement(frames: Sequence[Explanation], method: str) -> Agreement:
    """How one method's ranks of the sensors agree with those of removal."""
    ranked = [_ranks(frame, method) for frame in frames]
    rows = np.concatenate([np.zeros((0, 3)), *ranked])
    spearman, kendall, first = rows.mean(0) if len(rows) else (np.nan,) * 3
    return Agreement(
        float(spearman),
        _interval(ranked),
        float(kendall),
        float(first),
        _pooled(frames, method),
        len(rows),
    )


def _ranks(frame: Explanation, method: str) -> np.ndarray:
    """(M, 3) Spearman, Kendall and whether the strongest agrees, of the detections that can be ranked."""
    rows = []
    for told, lost, there in zip(getattr(frame, method), frame.removed, frame.present):
        told, lost = told[there], lost[there]
        if len(lost) < 2 or np.ptp(lost) == 0:
            continue
        if np.ptp(told) == 0:
            rows.append((0.0, 0.0, 0.0))  # says nothing, which is no agreement
            continue
        rho, tau = stats.spearmanr(told, lost).statistic, stats.kendalltau(told, lost).statistic
        rows.append((float(rho), float(tau), float(told.argmax() == lost.argmax())))
    return np.array(rows).reshape(-1, 3)


def _interval(ranked: Sequence[np.ndarray]) -> tuple[float, float] | None:
    counts = np.array([len(rows) for rows in ranked])
    if (counts > 0).sum() < 3:
        return None
    weights = drawn_weights(len(ranked))
    totals = weights @ np.array([rows[:, 0].sum() for rows in ranked])
    drawn = totals / np.maximum(weights @ counts, 1)
    low, high = np.percentile(drawn[weights @ counts > 0], (2.5, 97.5))
    return float(low), float(high)


def _pooled(frames: Sequence[Explanation], method: str) -> float:
    pairs = [(getattr(each, method)[each.present], each.removed[each.present]) for each in frames]
    told = np.concatenate([np.zeros(0), *(pair[0] for pair in pairs)])
    lost = np.concatenate([np.zeros(0), *(pair[1] for pair in pairs)])
    if len(told) < 3 or np.ptp(told) == 0 or np.ptp(lost) == 0:
        return float("nan")
    return float(stats.spearmanr(told, lost).statistic)


def mean_by_sensor(frames: Sequence[Explanation]) -> dict[str, dict[str, float]]:
    """Means over all detections of each method and of removal, by sensor where it is present."""
    table: dict[str, dict[str, float]] = {}
    for method in (*METHODS, "removed"):
        table[method] = {}
        for number, sensor in enumerate(SENSORS):
            parts = [getattr(each, method)[each.present[:, number], number] for each in frames]
            values = np.concatenate([np.zeros(0), *parts])
            table[method][sensor] = float(values.mean()) if len(values) else float("nan")
    return table
