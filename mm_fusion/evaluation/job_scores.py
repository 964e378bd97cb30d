"""Everything that is said of one subset or condition: scores, their draws, ranges, calibration, velocity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES
from mm_fusion.evaluation import kitti, nuscenes
from mm_fusion.evaluation.bootstrap import FEWEST_RUNS, Key, Statistic, drawn_weights
from mm_fusion.evaluation.matched import Matched, VelocityErrors, matched, variance_tree, velocity_errors
from mm_fusion.evaluation.matching import Pair, classes_with_truth
from mm_fusion.evaluation.reliability import MATCH_M

RANGES_M = ((0.0, 20.0), (20.0, 35.0), (35.0, 50.0))
CONDITION_DRAWS = 200
"""Bootstrap draws of a condition, beside those of the subsets."""
KITTI_DRAWN = [
    ("kitti", "car", metric, "0.5", level)
    for metric in ("3d", "bev")
    for level in ("easy", "moderate", "hard")
]
_DIGITS = 4


def scores_of(pairs: Sequence[Pair], runs: int, draws: int, whole: bool, with_kitti: bool) -> dict[str, Any]:
    """The tree of one job's numbers.

    whole: of a subset, with ranges, calibration, variances and velocity; else of a condition, with the scores
    alone and fewer draws. with_kitti: the data are labelled in the KITTI manner.
    """
    statistics = nuscenes.nuscenes_statistics(pairs)
    if with_kitti:
        statistics |= kitti.kitti_statistics(pairs)
    draws = draws if whole else min(draws, CONDITION_DRAWS)
    tree = _values(statistics, runs)
    tree["truths"] = _truth_counts(pairs)
    tree["draws"] = drawn(statistics, runs, draws)
    if whole:
        rows = matched(pairs)
        tree |= {
            "by_range": {f"{low:g}-{high:g}": _in_range(pairs, low, high, runs) for low, high in RANGES_M},
            "scored": scored_tree(pairs),
            "variance": variance_tree(rows),
            "velocity": velocity_tree(rows),
        }
    return tree


def _values(statistics: Mapping[Key, Statistic], runs: int) -> dict[str, Any]:
    once = np.ones(runs, np.int64)
    tree: dict[str, Any] = {"nuscenes": {}}
    for key, statistic in statistics.items():
        place = tree
        for part in key[:-1]:
            place = place.setdefault(part, {})
        place[key[-1]] = statistic.value(once)
    return tree


def _truth_counts(pairs: Sequence[Pair]) -> dict[str, int]:
    counts = {
        CLASSES[c]: int(sum((pair.truth.class_id[pair.truth_inside] == c).sum() for pair in pairs))
        for c in classes_with_truth(pairs)
    }
    return counts


def drawn(statistics: Mapping[Key, Statistic], runs: int, draws: int) -> dict[str, list[float]]:
    """AP of each class, and KITTI's of cars, in each of `draws` draws of the runs; empty with too few runs.

    The same number of runs gives the same draws: methods and conditions can be paired draw by draw.
    """
    if runs < FEWEST_RUNS:
        return {}
    weights = drawn_weights(runs, draws)
    table = {}
    for key, statistic in statistics.items():
        if isinstance(statistic, nuscenes.DistancePrecision) and key[-1] == "ap_mean":
            bare = nuscenes.DistancePrecision([replace(one, errors={}) for one in statistic.matches])
            table[key[1]] = _each(bare, weights)
        elif key in KITTI_DRAWN:
            table[" ".join(key)] = _each(statistic, weights)
    return table


def _each(statistic: Statistic, weights: NDArray[np.int64]) -> list[float]:
    return [round(statistic.value(row), _DIGITS) for row in weights]


def map_draws(draws: Mapping[str, Sequence[float | None]]) -> NDArray[np.float64]:
    """(D,) mAP in each draw: the mean over the classes that have truth in it; empty without draws."""
    classes = [np.array(values, np.float64) for name, values in draws.items() if name in CLASSES]
    if not classes:
        return np.empty(0)
    table = np.stack(classes)
    known = np.isfinite(table)
    total = np.where(known, table, 0).sum(0)
    return np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)


def _in_range(pairs: Sequence[Pair], low: float, high: float, runs: int) -> dict[str, float]:
    """AP of each class and their mean, of truths and detections whose centre is that far from the car."""
    near = [
        replace(
            pair,
            truth_inside=pair.truth_inside & _within(pair.truth.center, low, high),
            detections_inside=pair.detections_inside & _within(pair.detections.center, low, high),
        )
        for pair in pairs
    ]
    once = np.ones(runs, np.int64)
    table = {
        CLASSES[c]: nuscenes.DistancePrecision(
            [nuscenes.match(near, c, distance) for distance in nuscenes.DISTANCES]
        ).value(once)
        for c in classes_with_truth(near)
    }
    known = [value for value in table.values() if np.isfinite(value)]
    return {"map": float(np.mean(known)) if known else float("nan"), **table}


def _within(center: np.ndarray, low: float, high: float) -> NDArray[np.bool_]:
    distance = np.hypot(center[:, 0], center[:, 1])
    return np.asarray((distance >= low) & (distance < high))


def scored_tree(pairs: Sequence[Pair]) -> dict[str, dict[str, list[float]]]:
    """{class: {score, hit}} of every detection in the region, right or wrong within 2 m.

    Classes without truth count too: each of their detections is wrong.
    """
    found = {int(c) for pair in pairs for c in pair.detections.class_id[pair.detections_inside]}
    known = sorted((found | set(classes_with_truth(pairs))) - {CLASSES.index("unknown")})
    tree = {}
    for class_id in known:
        one = nuscenes.match(pairs, class_id, MATCH_M)
        columns = {"score": one.score.round(5), "hit": one.hit.astype(np.float64)}
        tree[CLASSES[class_id]] = {key: [float(value) for value in column] for key, column in columns.items()}
    return tree


def velocity_tree(rows: Matched) -> dict[str, Any]:
    """Errors of moving objects, radial and tangential apart, with each object's own for pairing."""
    errors: VelocityErrors = velocity_errors(rows)
    return {
        "objects": len(errors.key),
        "known_share": _percent(errors.known),
        "radial": _three(errors.radial),
        "tangential": _three(errors.tangential),
        "each": {
            "key": errors.key.tolist(),
            "run": errors.run.tolist(),
            "radial": [round(float(value), 3) for value in errors.radial],
            "tangential": [round(float(value), 3) for value in errors.tangential],
        },
    }


def _three(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(("mean", "median", "rms"), float("nan"))
    return {
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "rms": float(np.sqrt((values**2).mean())),
    }


def _percent(mask: np.ndarray) -> float:
    return 100 * float(mask.mean()) if len(mask) else float("nan")
