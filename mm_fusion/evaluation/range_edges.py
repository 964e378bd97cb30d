"""Where a LiDAR's surfaces end before something farther: the edges that a camera should see at the same
place.

A point is an edge towards a neighbour when that neighbour lies well beyond the surface through the point and
the one on its other side, so that no slanted ground makes an edge. The edge itself is put halfway between the
two rays, at the nearer range. Only edges that go on in the next line are kept, which leaves out foliage.
Source: Levinson and Thrun 2013 (depth discontinuities along each ring), with the surface test added.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float64, LidarSweep

LEAST_JUMP_M = 0.5
LEAST_JUMP_SHARE = 0.1
"""How far beyond the surface the neighbour must lie: the larger of both, the second as a share of the range.
"""
ALIKE_M, ALIKE_SHARE = 0.3, 0.05
"""Edges of one object in neighbouring lines differ by less in range."""
HOLE_STEPS = 4
"""So many steps without a return are a hole, seen as infinitely far."""
NEAREST_M = 1.0
_RING_GAP_RAD = np.deg2rad(0.03)
_FEWEST_POINTS = 10


@dataclass(frozen=True, slots=True, eq=False)
class RangeEdges:
    """Edges in the sensor's frame, m. xyz (N, 3); along (N, 3): unit vector along each edge; between_rings
    (N,) bool: surfaces that end above or below, found between rings, and not to the left or right along one.
    """

    xyz: Float64
    along: Float64
    between_rings: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Ring:
    """One line of a scan in order of azimuth; all (N,)."""

    azimuth: Float64
    distance: Float64
    elevation: Float64


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Edges of one ring in one direction: azimuth, distance (N,) and xyz (N, 3)."""

    azimuth: Float64
    distance: Float64
    xyz: Float64


def _edges(azimuth: Float64, distance: Float64, elevation: Float64) -> _Edges:
    flat = distance * np.cos(elevation)
    height = distance * np.sin(elevation)
    return _Edges(
        azimuth, distance, np.column_stack([flat * np.cos(azimuth), flat * np.sin(azimuth), height])
    )


def range_edges(sweep: LidarSweep) -> RangeEdges:
    """The edges of one sweep; without ring numbers rings are told apart by elevation."""
    rings = _rings(sweep)
    if len(rings) < 3:
        return _joined([], [])
    step = float(np.median([np.median(np.diff(ring.azimuth)) for ring in rings]))
    side, top = [], []
    for direction in (1, -1):
        found = [_ends_along(ring, step, direction) for ring in rings]
        side += list(_that_go_on(found, step))
        for n in range(1, len(rings) - 1):
            edges = _ends_between(rings[n - direction], rings[n], rings[n + direction], step)
            top.append(_that_have_neighbours(edges, step))
    return _joined(side, top)


def _joined(side: list[tuple[Float64, Float64]], top: list[tuple[Float64, Float64]]) -> RangeEdges:
    none = np.zeros((0, 3))
    xyz, ends = (np.concatenate([none, *(part[k] for part in (*side, *top))]) for k in (0, 1))
    length = np.linalg.norm(ends, axis=1, keepdims=True)
    between = np.arange(len(xyz)) >= sum(len(part[0]) for part in side)
    return RangeEdges(xyz, ends / np.maximum(length, 1e-9), between)


def _rings(sweep: LidarSweep) -> list[_Ring]:
    """Rings from the lowest to the highest."""
    xyz = sweep.xyz.astype(np.float64)
    distance = np.linalg.norm(xyz, axis=1)
    seen = np.isfinite(distance) & (distance > NEAREST_M)
    xyz, distance = xyz[seen], distance[seen]
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    number = _ring_numbers(sweep, seen, elevation)
    rings = []
    for one in np.unique(number):
        rows = np.nonzero(number == one)[0]
        if len(rows) >= _FEWEST_POINTS:
            rows = rows[np.argsort(azimuth[rows], kind="stable")]
            rings.append(_Ring(azimuth[rows], distance[rows], elevation[rows]))
    return sorted(rings, key=lambda ring: float(np.median(ring.elevation)))


def _ring_numbers(sweep: LidarSweep, seen: NDArray[np.bool_], elevation: Float64) -> NDArray[np.int64]:
    """Of each seen point; one number for all is none at all, as some drivers and sources leave it at zero."""
    if sweep.ring is None or len(np.unique(sweep.ring)) < 2:
        return _by_elevation(elevation)
    return sweep.ring[seen].astype(np.int64)


def _by_elevation(elevation: Float64) -> NDArray[np.int64]:
    order = np.argsort(elevation, kind="stable")
    number = np.empty(len(elevation), np.int64)
    number[order] = np.concatenate([[0], np.cumsum(np.diff(elevation[order]) > _RING_GAP_RAD)])[: len(order)]
    return number


def _beyond(before: Float64, here: Float64, next_one: Float64) -> NDArray[np.bool_]:
    """Whether `next_one` lies beyond the surface through `before` and `here`, which must be one surface.

    On a plane the inverse range changes evenly from ray to ray.
    """
    jump = np.maximum(LEAST_JUMP_M, LEAST_JUMP_SHARE * here)
    expected = np.maximum(1 / np.maximum(2 / here - 1 / before, 1e-3), here)
    return np.asarray((np.abs(before - here) < jump) & (next_one > expected + jump))


def _ends_along(ring: _Ring, step: float, direction: int) -> _Edges:
    """Edges of a ring towards larger (1) or smaller (-1) azimuth; its own two ends count as followed by
    nothing unless it goes all round.
    """
    azimuth, distance, elevation = (
        values[::direction] for values in (ring.azimuth, ring.distance, ring.elevation)
    )
    gap = np.abs(np.diff(azimuth))
    all_round = 2 * np.pi - np.abs(azimuth[-1] - azimuth[0]) < HOLE_STEPS * step
    last = distance[0] if all_round else np.inf
    following = np.append(np.where(gap > HOLE_STEPS * step, np.inf, distance[1:]), last)
    halfway = np.append(azimuth[:-1] + np.diff(azimuth) / 2, azimuth[-1])
    halfway = np.where(np.isinf(following), azimuth + direction * step / 2, halfway)
    joined = np.append(False, gap <= HOLE_STEPS * step)
    before = np.append(distance[0], distance[:-1])
    keep = joined & _beyond(before, distance, following)
    return _edges(halfway[keep], distance[keep], elevation[keep])


def _that_go_on(found: list[_Edges], step: float) -> Iterator[tuple[Float64, Float64]]:
    """Of each ring's edges those with a like one in the ring above or below, and the way there."""
    for n, edges in enumerate(found):
        way = np.zeros_like(edges.xyz)
        goes_on = np.zeros(len(edges.xyz), bool)
        for other in found[max(0, n - 1) : n] + found[n + 1 : n + 2]:
            if len(other.xyz) == 0 or len(edges.xyz) == 0:
                continue
            turn = np.where(_alike(edges, other), _turn(edges, other), np.inf)
            nearest = turn.argmin(axis=1)
            near = (turn.min(axis=1) <= 2 * step) & ~goes_on
            way[near] = (other.xyz[nearest] - edges.xyz)[near]
            goes_on |= near
        yield edges.xyz[goes_on], way[goes_on]


def _ends_between(before: _Ring, here: _Ring, beyond: _Ring, step: float) -> _Edges:
    """Edges of a ring towards the ring `beyond`; what lies outside that ring's own ends is not known."""
    previous, _ = _at(before, here.azimuth, step)
    following, elevation = _at(beyond, here.azimuth, step)
    known = np.isfinite(previous) & ~np.isnan(following)
    keep = known & _beyond(np.where(known, previous, 1.0), here.distance, np.where(known, following, 0.0))
    halfway = (here.elevation + elevation) / 2
    return _edges(here.azimuth[keep], here.distance[keep], halfway[keep])


def _at(ring: _Ring, azimuth: Float64, step: float) -> tuple[Float64, Float64]:
    """Range and elevation of a ring near each azimuth: infinite in a hole, NaN where it cannot be said."""
    right = np.clip(np.searchsorted(ring.azimuth, azimuth), 1, len(ring.azimuth) - 1)
    nearer = np.abs(ring.azimuth[right] - azimuth) < np.abs(ring.azimuth[right - 1] - azimuth)
    row = np.where(nearer, right, right - 1)
    away = np.abs(ring.azimuth[row] - azimuth)
    within = (azimuth > ring.azimuth[0]) & (azimuth < ring.azimuth[-1])
    hole = (away > HOLE_STEPS * step) & within
    distance = np.where(away <= step, ring.distance[row], np.where(hole, np.inf, np.nan))
    return distance, np.where(hole, np.median(ring.elevation), ring.elevation[row])


def _that_have_neighbours(edges: _Edges, step: float) -> tuple[Float64, Float64]:
    """Those with a like edge one step to the left and one to the right, and the way from right to left."""
    if len(edges.xyz) == 0:
        return edges.xyz, edges.xyz
    shift = edges.azimuth[None, :] - edges.azimuth[:, None]
    alike = _alike(edges, edges)
    left, right = (alike & (np.abs(shift - side * step) < 0.6 * step) for side in (1, -1))
    both = left.any(axis=1) & right.any(axis=1)
    way = edges.xyz[left.argmax(axis=1)] - edges.xyz[right.argmax(axis=1)]
    return edges.xyz[both], way[both]


def _alike(a: _Edges, b: _Edges) -> NDArray[np.bool_]:
    limit = np.maximum(ALIKE_M, ALIKE_SHARE * a.distance)[:, None]
    return np.asarray(np.abs(a.distance[:, None] - b.distance[None, :]) < limit)


def _turn(a: _Edges, b: _Edges) -> Float64:
    return np.abs(a.azimuth[:, None] - b.azimuth[None, :])
