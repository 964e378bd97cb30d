"""The oriented rectangle of each cluster's footprint, as an L is seen of a car."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.measurements import Float64

NEAR_EDGE = 0.1
"""Points nearer to an edge than this, m, count alike: the noise of ranges."""


@dataclass(frozen=True, slots=True, eq=False)
class Rectangles:
    """One rectangle per cluster: yaw (K,) in [0, pi/2) of its first axis; low, high (K, 2) m on both axes.

    evidence: (K,) how much sharper the best yaw is than the average one, 0 where all are alike.
    """

    yaw: Float64
    low: Float64
    high: Float64
    evidence: Float64


def fit_rectangles(
    xy: Float64, starts: NDArray[np.int64], yaw_step_deg: float, road_weight: float = 0.0
) -> Rectangles:
    """The rectangles of clusters whose points (N, 2) lie in order, cluster k from starts[k] to starts[k + 1].

    road_weight: how far those of few points are taken to stand along or across our own heading, as roads go.
    Source: search-based L-shape fitting with the closeness criterion, Zhang et al. 2017, IV.
    """
    yaws = np.arange(0.0, np.pi / 2 - 1e-9, np.radians(yaw_step_deg))
    yaw, low, high, evidence = _fit(
        np.ascontiguousarray(xy, np.float64), np.asarray(starts, np.int64), yaws, road_weight
    )
    return Rectangles(yaw, low, high, evidence)


@njit(cache=True)
def _fit(
    xy: Float64, starts: NDArray[np.int64], yaws: Float64, road_weight: float
) -> tuple[Float64, Float64, Float64, Float64]:
    count = len(starts) - 1
    yaw, evidence = np.zeros(count), np.zeros(count)
    low, high = np.zeros((count, 2)), np.zeros((count, 2))
    for k in range(count):
        points = xy[starts[k] : starts[k + 1]]
        best, total, likeliest = 0.0, 0.0, -1.0
        road = road_weight / np.sqrt(max(len(points), 1))
        for angle in yaws:
            score = _closeness(points, angle)
            total += score
            likely = score * (1 + road * np.cos(4 * angle))
            if likely > likeliest:
                likeliest, best, yaw[k] = likely, score, angle
        evidence[k] = 1 - total / (len(yaws) * best) if best > 0 else 0.0
        low[k], high[k] = _extent(points, yaw[k])
    return yaw, low, high, evidence


@njit(cache=True)
def _extent(points: Float64, angle: float) -> tuple[Float64, Float64]:
    c, s = np.cos(angle), np.sin(angle)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for i in range(len(points)):
        along, across = c * points[i, 0] + s * points[i, 1], c * points[i, 1] - s * points[i, 0]
        low[0], high[0] = min(low[0], along), max(high[0], along)
        low[1], high[1] = min(low[1], across), max(high[1], across)
    return low, high


@njit(cache=True)
def _closeness(points: Float64, angle: float) -> float:
    c, s = np.cos(angle), np.sin(angle)
    low, high = _extent(points, angle)
    total = 0.0
    for i in range(len(points)):
        along, across = c * points[i, 0] + s * points[i, 1], c * points[i, 1] - s * points[i, 0]
        distance = min(min(along - low[0], high[0] - along), min(across - low[1], high[1] - across))
        total += 1 / max(distance, NEAR_EDGE)
    return total / max(len(points), 1)
