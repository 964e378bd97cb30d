"""Average precision in the KITTI manner: rotated overlap, three difficulties, 40 and 11 recall positions.

Follows KITTI's evaluate_object as OpenPCDet and InterFusion run it on Astyx: matching per frame, score
thresholds at 40 steps of recall, ignored objects and detections count neither way. No truncation rule, as
published. Sources: Geiger et al. 2012; Simonelli et al. 2019 (R40); Wang et al. 2022 (InterFusion).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID, Detections
from mm_fusion.evaluation.bootstrap import Key, Statistic
from mm_fusion.evaluation.matching import Pair, classes_with_truth
from mm_fusion.geometry.boxes import boxes_of, iou_3d, iou_bev

OVERLAPS = (0.3, 0.5, 0.7)
METRICS = ("3d", "bev")
STEPS = 40

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "truck": ("bus", "trailer", "construction_vehicle"),
    "bus": ("truck",),
    "trailer": ("truck",),
    "construction_vehicle": ("truck",),
    "motorcycle": ("bicycle",),
    "bicycle": ("motorcycle",),
}
"""Classes so alike that finding one for the other counts neither way, as KITTI does for car and van."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What a difficulty asks of the truth: occlusion at most, height in the image at least (px, detections
    too).
    """

    name: str
    occlusion: int
    height_px: float


KITTI = (Difficulty("easy", 0, 40.0), Difficulty("moderate", 1, 25.0), Difficulty("hard", 2, 25.0))
OCCLUSION = (Difficulty("easy", 0, 0.0), Difficulty("moderate", 1, 0.0), Difficulty("hard", 2, 0.0))
"""Occlusion alone: nothing is too small."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What average precision needs, by run: valid truths (R,), and at each of T candidate thresholds,
    falling, the true and false positives (R, T); `run` (T,) is the run whose match brought the threshold.
    """

    truths: NDArray[np.int64]
    run: NDArray[np.int64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AveragePrecision:
    """Average precision in percent at 40 recall positions, or at KITTI's older 11."""

    counts: Counts
    eleven: bool = False

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """AP with each run counted that many times; NaN without truth."""
        counts = self.counts
        total = int(run_weights @ counts.truths)
        if total == 0:
            return float("nan")
        picked = _threshold_steps(run_weights[counts.run], total)[: STEPS + 1]
        precision = np.zeros(STEPS + 1)
        tp, fp = (run_weights @ table[:, picked] for table in (counts.true_positives, counts.false_positives))
        precision[: len(picked)] = tp / np.maximum(tp + fp, 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        return 100.0 * float(precision[::4].mean() if self.eleven else precision[1:].mean())


def kitti_statistics(pairs: Sequence[Pair]) -> dict[Key, Statistic]:
    """AP by ("kitti" | "kitti_r11" | "kitti_occlusion", class, "3d" | "bev", IoU, difficulty) of classes with
    truth.
    """
    table: dict[Key, Statistic] = {}
    for class_id in classes_with_truth(pairs):
        for metric in METRICS:
            views = [_view(pair, class_id, metric) for pair in pairs]
            for overlap in OVERLAPS:
                table |= _of_overlap(views, (CLASSES[class_id], metric, f"{overlap:g}"), overlap)
    return table


def _of_overlap(views: list[_View], key: Key, overlap: float) -> dict[Key, Statistic]:
    table: dict[Key, Statistic] = {}
    for difficulty in KITTI:
        counts = count(views, difficulty, overlap)
        table |= {
            ("kitti", *key, difficulty.name): AveragePrecision(counts),
            ("kitti_r11", *key, difficulty.name): AveragePrecision(counts, eleven=True),
        }
    for difficulty in OCCLUSION:
        table |= {
            ("kitti_occlusion", *key, difficulty.name): AveragePrecision(count(views, difficulty, overlap))
        }
    return table


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One frame as one class and metric see it; only detections of the class, only truths that matter to it.

    overlap (D, G) IoU; covered (D,) largest share of a detection that lies in an object of no known class;
    *_ignored (bool): outside the region, or truth of a neighbouring class.
    """

    run: int
    overlap: np.ndarray
    covered: np.ndarray
    score: np.ndarray
    height_px: np.ndarray
    ignored: np.ndarray
    truth_height_px: np.ndarray
    truth_occlusion: np.ndarray
    truth_ignored: np.ndarray


def _view(pair: Pair, class_id: int, metric: str) -> _View:
    neighbours = [CLASSES.index(name) for name in NEIGHBOURS.get(CLASSES[class_id], ())]
    mine = pair.detections.class_id == class_id
    own = pair.truth.class_id == class_id
    there = own | np.isin(pair.truth.class_id, neighbours)
    detections, truth = pair.detections.select(mine), pair.truth.select(there)
    iou = iou_3d if metric == "3d" else iou_bev
    occlusion = pair.extra.get("occlusion", np.zeros(len(pair.truth)))
    return _View(
        pair.run,
        iou(boxes_of(detections), boxes_of(truth)),
        _covered(detections, pair.truth.select(pair.truth.class_id == UNKNOWN_CLASS_ID), metric),
        detections.score.astype(np.float64),
        pair.detections_height_px[mine],
        ~pair.detections_inside[mine],
        pair.truth_height_px[there],
        np.nan_to_num(np.asarray(occlusion, np.float64)[there]),
        ~(own & pair.truth_inside)[there],
    )


def _covered(detections: Detections, unclaimed: Detections, metric: str) -> np.ndarray:
    """(D,) largest share of each detection inside a truth of class `unknown` (KITTI's don't-care areas)."""
    if len(unclaimed) == 0 or len(detections) == 0:
        return np.zeros(len(detections))
    axes = 3 if metric == "3d" else 2
    iou = (iou_3d if metric == "3d" else iou_bev)(boxes_of(detections), boxes_of(unclaimed))
    mine, theirs = (side.size[:, :axes].astype(np.float64).prod(axis=1) for side in (detections, unclaimed))
    shared = iou * (mine[:, None] + theirs[None, :]) / (1 + iou)
    return np.asarray((shared / np.maximum(mine, 1e-9)[:, None]).max(axis=1))


def count(views: Sequence[_View], difficulty: Difficulty, overlap: float) -> Counts:
    """True and false positives of all frames at the scores where recall could step."""
    runs = max((view.run for view in views), default=-1) + 1
    truths = np.zeros(runs, np.int64)
    matched: list[tuple[float, int]] = []
    tables: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = []
    for view in views:
        ignored, truth_ignored = _ignored(view, difficulty)
        truths[view.run] += int((~truth_ignored).sum())
        scores, table = _match(view.overlap, view.covered, view.score, ignored, truth_ignored, overlap)
        matched += [(float(score), view.run) for score in scores]
        tables.append((view.run, np.sort(view.score), table[:, 0], table[:, 1]))
    matched.sort(reverse=True)
    thresholds = np.array([score for score, _ in matched])
    true_positives, false_positives = np.zeros((2, runs, len(matched)), np.int64)
    for run, rising, tp, fp in tables:
        above = len(rising) - np.searchsorted(rising, thresholds, "left")
        true_positives[run] += tp[above]
        false_positives[run] += fp[above]
    run_of = np.array([run for _, run in matched], np.int64)
    return Counts(truths, run_of, true_positives, false_positives)


def _ignored(view: _View, difficulty: Difficulty) -> tuple[np.ndarray, np.ndarray]:
    too_hard = (view.truth_occlusion > difficulty.occlusion) | (view.truth_height_px < difficulty.height_px)
    return view.ignored | (view.height_px < difficulty.height_px), view.truth_ignored | too_hard


def _match(
    overlap: np.ndarray,
    covered: np.ndarray,
    score: np.ndarray,
    ignored: np.ndarray,
    truth_ignored: np.ndarray,
    least: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the first pass's matches, and (D + 1, 2) true and false positives with the k best detections.

    Of equal scores the row of the last counts, as a threshold takes them together.
    """
    matched = _match_by_score(overlap, score, ignored, truth_ignored, least)
    order = np.argsort(-score, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return matched, _counts_by_rank(overlap, covered >= least, rank, ignored, truth_ignored, least)


@njit(cache=True)
def _match_by_score(
    overlap: np.ndarray, score: np.ndarray, ignored: np.ndarray, truth_ignored: np.ndarray, least: float
) -> np.ndarray:
    """Scores of true positives when each truth takes the best-scored detection that overlaps enough."""
    taken = np.zeros(len(score), np.bool_)
    found = []
    for g in range(overlap.shape[1]):
        best = -1
        for d in range(overlap.shape[0]):
            if not taken[d] and overlap[d, g] > least and (best < 0 or score[d] > score[best]):
                best = d
        if best < 0:
            continue
        taken[best] = True
        if not truth_ignored[g] and not ignored[best]:
            found.append(score[best])
    return np.array(found, np.float64)


@njit(cache=True)
def _counts_by_rank(
    overlap: np.ndarray,
    excused: np.ndarray,
    rank: np.ndarray,
    ignored: np.ndarray,
    truth_ignored: np.ndarray,
    least: float,
) -> np.ndarray:
    table = np.zeros((len(rank) + 1, 2), np.int64)
    for k in range(1, len(rank) + 1):
        table[k, 0], table[k, 1] = _match_by_overlap(
            overlap, excused, rank < k, ignored, truth_ignored, least
        )
    return table


@njit(cache=True)
def _match_by_overlap(
    overlap: np.ndarray,
    excused: np.ndarray,
    used: np.ndarray,
    ignored: np.ndarray,
    truth_ignored: np.ndarray,
    least: float,
) -> tuple[int, int]:
    """True and false positives of the `used` detections; a valid detection is preferred to an ignored one."""
    taken = np.zeros(len(used), np.bool_)
    true_positives = 0
    for g in range(overlap.shape[1]):
        best, spare = -1, -1
        for d in range(overlap.shape[0]):
            if taken[d] or not used[d] or overlap[d, g] <= least:
                continue
            if ignored[d]:
                spare = d if spare < 0 else spare
            elif best < 0 or overlap[d, g] > overlap[best, g]:
                best = d
        chosen = best if best >= 0 else spare
        if chosen < 0:
            continue
        taken[chosen] = True
        if not truth_ignored[g] and not ignored[chosen]:
            true_positives += 1
    false_positives = (used & ~taken & ~ignored & ~excused).sum()
    return true_positives, false_positives


def _threshold_steps(weights: NDArray[np.int64], truths: int) -> NDArray[np.int64]:
    """Indices of the matched scores at which recall has stepped on by 1/40, each score counted weights[i]
    times.
    """
    return _steps(np.repeat(np.arange(len(weights)), weights), truths)


@njit(cache=True)
def _steps(indices: NDArray[np.int64], truths: int) -> NDArray[np.int64]:
    picked = []
    recall = 0.0
    for i in range(len(indices)):
        last = i == len(indices) - 1
        left = (i + 1) / truths
        right = left if last else (i + 2) / truths
        if right - recall < recall - left and not last:
            continue
        picked.append(indices[i])
        recall += 1.0 / 40
    return np.array(picked, np.int64)
