"""Are scores probabilities? Expected calibration error, and curves that make them so.

A detection is right if it is matched to truth of its class within 2 m. Sources: Naeini et al. 2015 (ECE),
Nguyen and O'Connor 2015 (bins of equal mass), Platt 1999 (logistic curve, with his smoothed targets),
Zadrozny and Elkan 2002 (isotonic curve, pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detectors.score_calibration import ALL, Curve
from mm_fusion.measurements import Float64

BINS = 15
MATCH_M = 2.0
FEWEST_DETECTIONS, FEWEST_HITS = 60, 10
"""With fewer a class shares the curve of its mode."""
ISOTONIC_FROM = 1000
"""Detections from which the isotonic curve is fitted; below, two parameters are safer."""
KNOTS = 33
LEAST_STEP = 1e-6
_EDGE = 1e-6

Scored = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""(score (N,), hit (N,)) by class."""


def reliability_bins(score: np.ndarray, hit: np.ndarray, bins: int = BINS) -> list[dict[str, float]]:
    """{count, score, hit_share} of bins of equal mass, weakest scores first; fewer where there are fewer."""
    order = np.argsort(score, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [
        {
            "count": len(part),
            "score": float(np.mean(score[part])),
            "hit_share": float(np.mean(hit[part])),
        }
        for part in parts
    ]


def expected_calibration_error(score: np.ndarray, hit: np.ndarray, bins: int = BINS) -> float:
    """sum_b n_b / N |mean score - share of hits|; NaN without detections."""
    if not len(score):
        return float("nan")
    table = reliability_bins(score, hit, bins)
    return sum(row["count"] * abs(row["score"] - row["hit_share"]) for row in table) / len(score)


def fit_curve(score: np.ndarray, hit: np.ndarray) -> tuple[str, Curve]:
    """("isotonic" | "platt", curve) that says how often a score is right."""
    if len(score) >= ISOTONIC_FROM:
        return "isotonic", isotonic_curve(score, hit)
    return "platt", platt_curve(score, hit)


def platt_curve(score: np.ndarray, hit: np.ndarray) -> Curve:
    """1 / (1 + exp(-(a logit(score) + b))) with a above 0, as knots evenly spaced in the score."""
    x, y = _logit(score), np.asarray(hit, bool)
    hits, misses = int(y.sum()), int((~y).sum())
    target = np.where(y, (hits + 1) / (hits + 2), 1 / (misses + 2))
    a, b = _logistic_fit(x, target)
    knots = np.linspace(_EDGE, 1 - _EDGE, KNOTS)
    return _rising(knots, 1 / (1 + np.exp(-(max(a, 1e-3) * _logit(knots) + b))))


def isotonic_curve(score: np.ndarray, hit: np.ndarray) -> Curve:
    """The monotone step function nearest to the hits, as straight lines between the middles of its steps."""
    order = np.argsort(score, kind="stable")
    blocks: list[list[float]] = []  # sum of scores, of hits, count
    for s, h in zip(np.asarray(score, np.float64)[order], np.asarray(hit, np.float64)[order]):
        blocks.append([s, h, 1.0])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            last = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], last)]
    table = np.array(blocks)
    knots, values = table[:, 0] / table[:, 2], table[:, 1] / table[:, 2]
    return _rising(np.concatenate([[0.0], knots, [1.0]]), np.concatenate([values[:1], values, values[-1:]]))


def _rising(score: Float64, probability: Float64) -> Curve:
    """Knots at distinct scores; probabilities kept inside 0..1 and apart by a hair, so that order is kept."""
    keep = np.concatenate([[True], np.diff(score) > _EDGE])
    score, probability = score[keep], np.maximum.accumulate(probability[keep])
    hair = LEAST_STEP * np.arange(len(score))
    return Curve(score, np.clip(probability, 0, 1 - hair[-1]) + hair)


def _logit(score: np.ndarray) -> Float64:
    p = np.clip(np.asarray(score, np.float64), _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))


def _logistic_fit(x: Float64, target: Float64) -> tuple[float, float]:
    """(a, b) of the logistic regression of soft targets, by Newton's method, slightly held to (1, 0)."""
    rows, beta = np.stack([x, np.ones(len(x))], 1), np.array([1.0, 0.0])
    prior = beta.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(rows @ beta, -50, 50)))
        slope = rows.T @ (p - target) + 1e-3 * (beta - prior)
        curvature = (rows * (p * (1 - p))[:, None]).T @ rows + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        beta = beta - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(beta[1])


def fit_mode(scored: Scored) -> dict[str, tuple[dict[str, Any], Curve]]:
    """(entry for the file, curve) by class with enough detections, and `all` over every class."""
    found: dict[str, tuple[dict[str, Any], Curve]] = {}
    for name, (score, hit) in {**scored, ALL: joined(scored)}.items():
        if len(score) >= FEWEST_DETECTIONS and FEWEST_HITS <= int(np.sum(hit)) < len(score):
            method, curve = fit_curve(score, hit)
            entry = {"method": method, "detections": len(score), "hits": int(np.sum(hit))}
            knots = {"score": _short(curve.score), "probability": _short(curve.probability)}
            found[name] = ({**entry, **knots}, curve)
    return found


def joined(scored: Scored) -> tuple[Float64, NDArray[np.bool_]]:
    """Scores and hits of all classes together."""
    pairs = list(scored.values())
    return (
        np.concatenate([np.empty(0), *(score for score, _ in pairs)]),
        np.concatenate([np.empty(0, bool), *(np.asarray(hit, bool) for _, hit in pairs)]),
    )


def _short(values: Float64) -> Sequence[float]:
    return [float(value) for value in values]
