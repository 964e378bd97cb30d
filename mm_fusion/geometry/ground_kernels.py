"""Compiled loops of the ground, all in one file for numba's cache."""

from __future__ import annotations

import numpy as np
from numba import njit

from mm_fusion.measurements import Float32, Float64

STEP_M = 0.15
STEP_PER_M = 0.025
STEP_MAX_M = 0.45
"""How far a low point may lie from the height carried on: curbs, noise and the road's change of slope."""
SLOPE_LIMIT = 0.25
SLOPE_GAIN_M = 8.0
"""Distance over which a new slope is half believed: a single low point does not tilt the road."""
PLANE_TRIES = 300
NEAR_M = 15.0
"""Range at which a low point's vote for the plane has fallen to a third."""


@njit(cache=True, nogil=True, error_model="numpy")
def cell_minima(xyz: Float64, cell: float, reach: float) -> Float64:
    """The second lowest point (K, 3) of each square cell within reach, since mirror images are alone."""
    side = int(2 * reach / cell) + 1
    first, second = np.full(side * side, -1, np.int64), np.full(side * side, -1, np.int64)
    for i in range(len(xyz)):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        if not (abs(x) < reach and abs(y) < reach and np.isfinite(z)):
            continue
        k = int((x + reach) / cell) * side + int((y + reach) / cell)
        if first[k] < 0 or z < xyz[first[k], 2]:
            second[k] = first[k]
            first[k] = i
        elif second[k] < 0 or z < xyz[second[k], 2]:
            second[k] = i
    out = np.empty((side * side, 3))
    count = 0
    for k in range(side * side):
        i = second[k] if second[k] >= 0 else first[k]
        if i >= 0:
            out[count] = xyz[i]
            count += 1
    return out[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def robust_plane(
    xyz: Float64, low: Float64, min_up: float, band: float, reach: float
) -> tuple[Float64, float, int]:
    """Unit normal (3,), offset and low points within `band`, by sampling `low` and refining on `xyz`."""
    best, most = np.array([0.0, 0.0, 0.0]), -1e9
    seed = np.uint32(9973)
    # The plane under the vehicle is wanted: far off the ground may bend or fall away.
    weights = (1 + (low[:, 0] ** 2 + low[:, 1] ** 2) / NEAR_M**2) ** -1.5
    for _ in range(PLANE_TRIES):
        picked = np.empty(3, np.int64)
        for k in range(3):
            seed = np.uint32(seed * np.uint32(1664525) + np.uint32(1013904223))
            picked[k] = np.int64(seed >> np.uint32(8)) % len(low)
        plane = _through(low[picked[0]], low[picked[1]], low[picked[2]])
        if not _upright(plane, min_up):
            continue
        score = 0.0
        for i in range(len(low)):
            height = low[i, 2] - plane[0] * low[i, 0] - plane[1] * low[i, 1] - plane[2]
            if abs(height) < band:
                score += weights[i] * (1 - (height / band) ** 2)
            elif height < -band:
                # ground has nothing under it: a roof or a hedge has
                score -= 0.5 * weights[i]
        if score > most:
            most, best = score, plane
    if most < 0:
        return np.array([0.0, 0.0, 1.0]), 0.0, 0
    best = _refined(low, best, band, 1e9)
    best = _refined(xyz, best, 0.6 * band, reach)
    votes = 0
    for i in range(len(low)):
        votes += abs(low[i, 2] - best[0] * low[i, 0] - best[1] * low[i, 1] - best[2]) < band
    up = 1 / np.sqrt(1 + best[0] ** 2 + best[1] ** 2)
    return np.array([-best[0] * up, -best[1] * up, up]), -best[2] * up, votes


@njit(cache=True, error_model="numpy")
def _through(p: Float64, q: Float64, r: Float64) -> Float64:
    # z = a x + b y + c
    ux, uy, uz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    vx, vy, vz = r[0] - p[0], r[1] - p[1], r[2] - p[2]
    area = ux * vy - uy * vx
    if abs(area) < 1.0:
        return np.array([np.nan, np.nan, np.nan])
    a, b = (uz * vy - uy * vz) / area, (ux * vz - uz * vx) / area
    return np.array([a, b, p[2] - a * p[0] - b * p[1]])


@njit(cache=True, error_model="numpy")
def _upright(plane: Float64, min_up: float) -> bool:
    # False for NaN too
    return (1 + plane[0] ** 2 + plane[1] ** 2) * min_up**2 <= 1


@njit(cache=True, error_model="numpy")
def _refined(points: Float64, plane: Float64, band: float, reach: float) -> Float64:
    # Tukey's weight, and 1/range so that the dense rings near the vehicle do not decide the tilt alone
    for _ in range(10):
        normal, right = np.eye(3) * 1e-9, np.zeros(3)
        for i in range(len(points)):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            if not (abs(x) < reach and abs(y) < reach):
                continue
            error = z - plane[0] * x - plane[1] * y - plane[2]
            if not abs(error) < band:
                continue
            weight = (1 - (error / band) ** 2) ** 2 * min(np.sqrt(x * x + y * y), 20.0)
            row = (x, y, 1.0)
            for j in range(3):
                right[j] += weight * row[j] * error
                for k in range(3):
                    normal[j, k] += weight * row[j] * row[k]
        change = np.linalg.solve(normal, right)
        plane = plane + change
        if abs(change[0]) + abs(change[1]) < 1e-7:
            break
    return plane


@njit(cache=True, error_model="numpy")
def _bin_of(radius: float, nearest: float, farthest: float, bins: int) -> float:
    # Bins grow with range like the distance between rings: even in its square root
    start = np.sqrt(nearest)
    return (np.sqrt(radius) - start) / (np.sqrt(farthest) - start) * bins


@njit(cache=True, error_model="numpy")
def _range_of(place: float, nearest: float, farthest: float, bins: int) -> float:
    start = np.sqrt(nearest)
    return (start + place / bins * (np.sqrt(farthest) - start)) ** 2


@njit(cache=True, nogil=True, error_model="numpy")
def lowest_by_sector(
    xyz: Float32, plane: Float64, sectors: int, bins: int, nearest: float, farthest: float
) -> tuple[Float64, Float64]:
    """Lowest height over z = a x + b y + c and its range by cell (sectors, bins); NaN where it is empty."""
    lowest, ranges = np.full((sectors, bins), np.nan), np.full((sectors, bins), np.nan)
    for i in range(len(xyz)):
        x, y = np.float64(xyz[i, 0]), np.float64(xyz[i, 1])
        z = xyz[i, 2] - plane[0] * x - plane[1] * y - plane[2]
        radius = np.sqrt(x * x + y * y)
        if not (radius >= nearest and radius < farthest and np.isfinite(z)):
            continue
        sector = int((np.arctan2(y, x) / (2 * np.pi) + 0.5) * sectors) % sectors
        k = min(int(_bin_of(radius, nearest, farthest, bins)), bins - 1)
        if not z >= lowest[sector, k]:
            lowest[sector, k], ranges[sector, k] = z, radius
    return lowest, ranges


@njit(cache=True, nogil=True, error_model="numpy")
def ground_table(lowest: Float64, ranges: Float64, nearest: float, farthest: float) -> Float64:
    """Height of the ground over the plane at the inner edge of each bin, (sectors, bins + 1)."""
    sectors, bins = lowest.shape
    edges = np.empty(bins + 1)
    for k in range(bins + 1):
        edges[k] = _range_of(k, nearest, farthest, bins)
    raw = np.empty((sectors, bins + 1))
    for s in range(sectors):
        _follow(lowest[s], ranges[s], edges, raw[s])
    return _smoothed(raw)


@njit(cache=True, error_model="numpy")
def _follow(lowest: Float64, ranges: Float64, edges: Float64, out: Float64) -> None:
    # Outwards from the plane below the vehicle; `slope` is what is believed, not what one point says.
    radius, height, slope, done = 0.0, 0.0, 0.0, 0
    for k in range(len(lowest)):
        if np.isnan(lowest[k]):
            continue
        ahead = ranges[k] - radius
        expected = height + slope * ahead
        step = min(STEP_M + STEP_PER_M * ahead, STEP_MAX_M)
        if not abs(lowest[k] - expected) <= step:
            continue
        while done < len(edges) and edges[done] <= ranges[k]:
            share = (edges[done] - radius) / max(ahead, 1e-6)
            out[done] = height + share * (lowest[k] - height)
            done += 1
        seen = (lowest[k] - height) / max(ahead, 0.5)
        slope += (seen - slope) * ahead / (ahead + SLOPE_GAIN_M)
        slope = min(max(slope, -SLOPE_LIMIT), SLOPE_LIMIT)
        radius, height = ranges[k], lowest[k]
    while done < len(edges):
        # Beyond the last ground seen a slope is carried on for as far as it was worth believing
        out[done] = height + slope * min(edges[done] - radius, 2 * SLOPE_GAIN_M)
        done += 1


@njit(cache=True, error_model="numpy")
def _smoothed(raw: Float64) -> Float64:
    # Median of five neighbouring sectors: one that followed a car's bonnet is outvoted
    sectors, width = raw.shape
    out = np.empty_like(raw)
    five = np.empty(5)
    for s in range(sectors):
        for k in range(width):
            for n in range(5):
                value = raw[(s + n - 2) % sectors, k]
                at = n
                while at > 0 and five[at - 1] > value:
                    five[at] = five[at - 1]
                    at -= 1
                five[at] = value
            out[s, k] = five[2]
    return out


@njit(cache=True, error_model="numpy")
def _ground_at(x: float, y: float, plane: Float64, table: Float64, nearest: float, farthest: float) -> float:
    level = plane[0] * x + plane[1] * y + plane[2]
    sectors, bins = table.shape[0], table.shape[1] - 1
    radius = np.sqrt(x * x + y * y)
    sector = int((np.arctan2(y, x) / (2 * np.pi) + 0.5) * sectors) % sectors
    if radius <= nearest:
        return level + table[sector, 0] * radius / nearest
    place = min(_bin_of(radius, nearest, farthest, bins), bins - 1e-9)
    k = int(place)
    inner, outer = _range_of(k, nearest, farthest, bins), _range_of(k + 1, nearest, farthest, bins)
    share = min((radius - inner) / (outer - inner), 1.0)
    return level + table[sector, k] + share * (table[sector, k + 1] - table[sector, k])


@njit(cache=True, nogil=True, error_model="numpy")
def point_heights(xyz: Float32, plane: Float64, table: Float64, nearest: float, farthest: float) -> Float32:
    """Height (N,) above the ground of plane and table; NaN for points not finite."""
    out = np.full(len(xyz), np.nan, np.float32)
    for i in range(len(xyz)):
        x, y, z = np.float64(xyz[i, 0]), np.float64(xyz[i, 1]), np.float64(xyz[i, 2])
        if np.isfinite(x) and np.isfinite(y) and np.isfinite(z):
            out[i] = z - _ground_at(x, y, plane, table, nearest, farthest)
    return out


@njit(cache=True, error_model="numpy")
def table_heights(
    places: Float64, plane: Float64, table: Float64, nearest: float, farthest: float
) -> Float64:
    """Ground z (M,) at places (M, 2); NaN for places not finite."""
    out = np.full(len(places), np.nan)
    for i in range(len(places)):
        if np.isfinite(places[i, 0]) and np.isfinite(places[i, 1]):
            out[i] = _ground_at(places[i, 0], places[i, 1], plane, table, nearest, farthest)
    return out
