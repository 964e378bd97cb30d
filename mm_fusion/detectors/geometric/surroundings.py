"""What stands around a cluster: what hides its ends, what a box would have to swallow, how its neighbours
stand.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.detectors.geometric.class_claims import Claims
from mm_fusion.measurements import Float64

SECTORS = 720
"""Azimuth sectors of half a degree in which the nearest obstacle is kept."""
BESIDE = np.arange(1, 5)
"""Sectors beside a cluster's end that are looked at: two degrees."""

NEARER = 0.4
"""What stands beside an end and is nearer by this, m, hides what may follow."""


def hidden_ends(
    xy: Float64, starts: NDArray[np.int64], obstacles_xy: np.ndarray, sensor_xy: np.ndarray
) -> np.ndarray:
    """Whether (K, 2) the right and the left end of each cluster has something nearer beside it.

    xy: (N, 2) points in order of their cluster. What cannot be seen may go on.
    """
    nearest = np.full(SECTORS, np.inf)
    azimuth, distance = _polar(obstacles_xy - sensor_xy)
    np.minimum.at(nearest, _sector(azimuth), distance)
    azimuth, distance = _polar(xy - sensor_xy)
    first = np.repeat(azimuth[starts[:-1]], np.diff(starts))
    turn = _wrapped(azimuth - first)
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.lexsort((turn, owner))
    hidden = np.zeros((len(starts) - 1, 2), bool)
    for side, (end, way) in enumerate(((order[starts[:-1]], -1), (order[starts[1:] - 1], 1))):
        beside = _sector(azimuth[end])[:, None] + way * BESIDE
        hidden[:, side] = nearest[beside % SECTORS].min(axis=1) < distance[end] - NEARER
    return hidden


def intrusions(
    boxes: Float64, owner: NDArray[np.int64], xy: np.ndarray, label: NDArray[np.int64], margin: float
) -> Float64:
    """Points (B,) well inside each box (B, 7) that belong to another cluster than its `owner` (B,)."""
    return _intrusions(
        np.ascontiguousarray(boxes, np.float64), owner, np.ascontiguousarray(xy, np.float64), label, margin
    )


def support(
    first: Claims, second: Claims, take_second: NDArray[np.bool_], trust: Float64, reach: float
) -> Float64:
    """How far (K,) in -1..1 the neighbours' directions speak for the second claim of each cluster.

    The neighbours stand as `take_second` (K,) says and count by `trust` (K,) 0..1 and nearness (`reach` m).
    Cars park in rows and drive in lanes: what stands beside another mostly stands like it.
    """
    yaw = np.where(take_second, second.yaw, first.yaw)
    apart = np.linalg.norm(first.center_xy[:, None] - first.center_xy[None], axis=2)
    weight = np.exp(-((apart / reach) ** 2)) * trust[None, :]
    np.fill_diagonal(weight, 0.0)
    alike = np.cos(2 * (second.yaw[:, None] - yaw[None, :]))
    return (weight * alike).sum(axis=1) / (weight.sum(axis=1) + 0.5)


def _polar(offset: np.ndarray) -> tuple[Float64, Float64]:
    offset = offset.astype(np.float64)
    return np.arctan2(offset[:, 1], offset[:, 0]), np.hypot(offset[:, 0], offset[:, 1])


def _sector(azimuth: np.ndarray) -> np.ndarray:
    return np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS).astype(np.int64) % SECTORS


def _wrapped(angle: Float64) -> Float64:
    return np.mod(angle + np.pi, 2 * np.pi) - np.pi


@njit(cache=True)
def _intrusions(
    boxes: Float64, owner: NDArray[np.int64], xy: Float64, label: NDArray[np.int64], margin: float
) -> Float64:
    counts = np.zeros(len(boxes))
    for b in range(len(boxes)):
        half_l, half_w = boxes[b, 3] / 2 - margin, boxes[b, 4] / 2 - margin
        c, s = np.cos(boxes[b, 6]), np.sin(boxes[b, 6])
        reach = half_l * half_l + half_w * half_w
        for i in range(len(xy)):
            dx, dy = xy[i, 0] - boxes[b, 0], xy[i, 1] - boxes[b, 1]
            if dx * dx + dy * dy > reach or label[i] == owner[b]:
                continue
            if abs(c * dx + s * dy) < half_l and abs(c * dy - s * dx) < half_w:
                counts[b] += 1
    return counts
