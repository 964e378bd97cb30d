"""Average precision by distance of centres, and errors of what was found, in the nuScenes manner.

Thresholds 0.5, 1, 2 and 4 m; recall and precision below 0.1 count nothing; errors of matches within 2 m.
Differences, all stated in the score file: there are no attributes, so the summary is not NDS; a detection of
unknown velocity counts as standing; classes without truth are left out of the means; the region is the data
set's. Source: Caesar et al. 2020, nuscenes-devkit eval/detection/algo.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES
from mm_fusion.evaluation.bootstrap import Key, Statistic
from mm_fusion.evaluation.matching import Pair, classes_with_truth
from mm_fusion.geometry.transforms import wrap_angle

DISTANCES = (0.5, 1.0, 2.0, 4.0)
ERROR_DISTANCE = 2.0
LEAST_RECALL = 0.1
LEAST_PRECISION = 0.1
ERRORS = ("ate", "ase", "aoe", "ave")
"""Translation m, scale 1 - IoU of aligned boxes, orientation rad, velocity m/s."""

_SENSELESS = {"traffic_cone": {"aoe", "ave"}, "barrier": {"ave"}}
_RECALLS = np.linspace(0.0, 1.0, 101)
_FIRST = round(100 * LEAST_RECALL) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Detections of one class over all frames, best score first, joined to truth nearest centre by centre.

    score, hit, run: (P,); errors: name -> (P,), NaN where not a hit or the truth does not say. truths: (R,)
    by run.
    """

    score: np.ndarray
    hit: NDArray[np.bool_]
    run: NDArray[np.int64]
    errors: Mapping[str, np.ndarray]
    truths: NDArray[np.int64]

    def drawn(self, run_weights: NDArray[np.int64]) -> Matches:
        """The same with each run counted that many times."""
        rows = np.repeat(np.arange(len(self.score)), run_weights[self.run])
        errors = {name: values[rows] for name, values in self.errors.items()}
        return Matches(self.score[rows], self.hit[rows], self.run[rows], errors, self.truths * run_weights)


@dataclass(frozen=True, slots=True, eq=False)
class DistancePrecision:
    """Average precision in percent of one class, the mean over the given matches (one per distance)."""

    matches: Sequence[Matches]

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """AP with each run counted that many times; NaN without truth."""
        return 100.0 * float(np.mean([average_precision(one.drawn(run_weights)) for one in self.matches]))


@dataclass(frozen=True, slots=True, eq=False)
class TrueError:
    """Mean error of what was found of one class, over recalls from 0.1 to the highest reached."""

    matches: Matches
    name: str

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """The error with each run counted that many times; 1 with recall below 0.1, NaN without truth."""
        return true_error(self.matches.drawn(run_weights), self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """The mean of other statistics, those that are NaN left out."""

    parts: Sequence[Statistic]

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """The mean with each run counted that many times; NaN where no part says anything."""
        return _mean([part.value(run_weights) for part in self.parts])


@dataclass(frozen=True, slots=True, eq=False)
class SumWithoutAttributes:
    """(5 mAP + sum of 1 - min(1, mean error)) over the number of terms, in percent: like NDS but not NDS."""

    precision: Statistic
    errors: Sequence[Statistic]

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """The sum with each run counted that many times; errors that the truth cannot say are left out."""
        errors = np.array([error.value(run_weights) for error in self.errors])
        terms = 1 - np.minimum(1, errors[np.isfinite(errors)])
        return 100.0 * float((5 * self.precision.value(run_weights) / 100 + terms.sum()) / (5 + len(terms)))


def nuscenes_statistics(pairs: Sequence[Pair]) -> dict[Key, Statistic]:
    """("nuscenes", class, "ap", distance), (.., "ap_mean"), (.., "ate" ...) and over classes "map", "mate"
    ..., "sum_without_attributes"; precision in percent, errors in m, 1 - IoU, rad and m/s.
    """
    table: dict[Key, Statistic] = {}
    for class_id in classes_with_truth(pairs):
        name = CLASSES[class_id]
        by_distance = {distance: match(pairs, class_id, distance) for distance in DISTANCES}
        for distance, matches in by_distance.items():
            table[("nuscenes", name, "ap", f"{distance:.1f}")] = DistancePrecision([matches])
        table[("nuscenes", name, "ap_mean")] = DistancePrecision(list(by_distance.values()))
        for error in ERRORS:
            if error not in _SENSELESS.get(name, ()):
                table[("nuscenes", name, error)] = TrueError(by_distance[ERROR_DISTANCE], error)
    return table | _over_classes(table)


def _over_classes(table: Mapping[Key, Statistic]) -> dict[Key, Statistic]:
    if not table:
        return {}
    precision = Mean([part for key, part in table.items() if key[-1] == "ap_mean"])
    errors = {name: Mean([part for key, part in table.items() if key[-1] == name]) for name in ERRORS}
    over: dict[Key, Statistic] = {("nuscenes", "map"): precision}
    over |= {("nuscenes", f"m{name}"): mean for name, mean in errors.items()}
    over[("nuscenes", "sum_without_attributes")] = SumWithoutAttributes(precision, list(errors.values()))
    return over


def match(pairs: Sequence[Pair], class_id: int, distance: float) -> Matches:
    """Each detection, best score first, takes the nearest free truth of its class in its frame if within
    `distance`.
    """
    truths = [_counted(pair, class_id) for pair in pairs]
    rows, partner = _joined(pairs, class_id, distance, truths)
    counts = np.zeros(max((pair.run for pair in pairs), default=-1) + 1, np.int64)
    for pair, mask in zip(pairs, truths):
        counts[pair.run] += int(mask.sum())
    return Matches(
        np.array([row.score for row in rows]),
        np.array([one is not None for one in partner], bool),
        np.array([pairs[row.pair].run for row in rows], np.int64),
        _errors(pairs, rows, partner, CLASSES[class_id]),
        counts,
    )


@dataclass(frozen=True, slots=True)
class _Row:
    score: float
    pair: int
    index: int


def taken_truths(pairs: Sequence[Pair], class_id: int, distance: float) -> list[tuple[int, int, int]]:
    """(number of the pair, detection, truth) of every match of a class, best score first."""
    truths = [_counted(pair, class_id) for pair in pairs]
    rows, partner = _joined(pairs, class_id, distance, truths)
    return [(row.pair, row.index, truth) for row, truth in zip(rows, partner) if truth is not None]


def _joined(
    pairs: Sequence[Pair], class_id: int, distance: float, truths: Sequence[NDArray[np.bool_]]
) -> tuple[list[_Row], list[int | None]]:
    rows = [_Row(*row) for pair_index, pair in enumerate(pairs) for row in _rows(pair, pair_index, class_id)]
    rows.sort(key=lambda row: -row.score)
    free = [np.nonzero(mask)[0].tolist() for mask in truths]
    return rows, [_take_nearest(pairs[row.pair], row.index, free[row.pair], distance) for row in rows]


def _rows(pair: Pair, pair_index: int, class_id: int) -> list[tuple[float, int, int]]:
    mine = np.nonzero((pair.detections.class_id == class_id) & pair.detections_inside)[0]
    return [(float(pair.detections.score[i]), pair_index, int(i)) for i in mine]


def _counted(pair: Pair, class_id: int) -> NDArray[np.bool_]:
    """(G,) truths of the class in the region; those that no LiDAR or radar point touched do not count."""
    counted = (pair.truth.class_id == class_id) & pair.truth_inside
    points = [pair.extra.get(name) for name in ("num_lidar_points", "num_radar_points")]
    if any(column is None for column in points):
        return np.asarray(counted)
    lidar, radar = (np.asarray(column, np.float64) for column in points)
    return np.asarray(counted & ~((lidar == 0) & (radar == 0)))


def _take_nearest(pair: Pair, index: int, free: list[int], distance: float) -> int | None:
    if not free:
        return None
    gaps = np.hypot(*(pair.truth.center[free, :2] - pair.detections.center[index, :2]).astype(np.float64).T)
    nearest = int(np.argmin(gaps))
    return free.pop(nearest) if gaps[nearest] < distance else None


def _errors(
    pairs: Sequence[Pair], rows: Sequence[_Row], partner: Sequence[int | None], name: str
) -> dict[str, np.ndarray]:
    errors = {error: np.full(len(rows), np.nan) for error in ERRORS}
    period = np.pi if name == "barrier" else 2 * np.pi
    for k, (row, truth) in enumerate(zip(rows, partner)):
        if truth is not None:
            for error, value in zip(ERRORS, _pair_errors(pairs[row.pair], row.index, truth, period)):
                errors[error][k] = value
    return errors


def _pair_errors(pair: Pair, i: int, j: int, period: float) -> tuple[float, float, float, float]:
    found, truth = pair.detections, pair.truth
    shift = found.center[i, :2].astype(np.float64) - truth.center[j, :2]
    sizes = found.size[i].astype(np.float64), truth.size[j].astype(np.float64)
    shared = np.minimum(*sizes).prod()
    scale = 1 - shared / (sizes[0].prod() + sizes[1].prod() - shared)
    turn = abs(float(wrap_angle(float(found.yaw[i]) - float(truth.yaw[j]))))
    velocity = np.nan_to_num(found.velocity[i].astype(np.float64)) - truth.velocity[j]
    return float(np.hypot(*shift)), float(scale), min(turn, abs(period - turn)), float(np.hypot(*velocity))


def average_precision(matches: Matches) -> float:
    """AP 0..1 above recall and precision of 0.1; NaN without truth, 0 without a hit."""
    total = int(matches.truths.sum())
    if total == 0:
        return float("nan")
    if not matches.hit.any():
        return 0.0
    precision, _ = _at_recalls(matches, total)
    return float(np.clip(precision[_FIRST:] - LEAST_PRECISION, 0, None).mean() / (1 - LEAST_PRECISION))


def true_error(matches: Matches, name: str) -> float:
    """Mean error over recalls from 0.1 to the highest reached; 1 where it is below 0.1, NaN where nobody can
    say.
    """
    total = int(matches.truths.sum())
    if total == 0:
        return float("nan")
    if not matches.hit.any():
        return 1.0
    values = matches.errors[name][matches.hit]
    if np.isnan(values).all():
        return float("nan")
    _, score = _at_recalls(matches, total)
    reached = np.nonzero(score)[0]
    last = int(reached[-1]) if len(reached) else 0
    if last < _FIRST:
        return 1.0
    running = _running_mean(values)
    at_recalls = np.interp(score[::-1], matches.score[matches.hit][::-1], running[::-1])[::-1]
    return float(at_recalls[_FIRST : last + 1].mean())


def _at_recalls(matches: Matches, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and score at each of 101 recalls, zero beyond the highest reached."""
    hits = np.cumsum(matches.hit).astype(np.float64)
    recall = hits / total
    precision = hits / np.arange(1, len(hits) + 1)
    return np.interp(_RECALLS, recall, precision, right=0), np.interp(
        _RECALLS, recall, matches.score, right=0
    )


def _running_mean(values: np.ndarray) -> np.ndarray:
    counted = np.cumsum(np.isfinite(values))
    return np.asarray(np.nancumsum(values) / np.maximum(counted, 1))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
