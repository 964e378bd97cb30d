"""Lines to drive and walk along, the roads around them and the ground below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mm_fusion.measurements import Float64

POINT_STEP = 0.5


class Path:
    """A smooth line on the map, by distance along it; straight on beyond both ends."""

    def __init__(self, points: Float64) -> None:
        from scipy.interpolate import CubicSpline

        chords = np.hypot(*np.diff(points, axis=0).T)
        points = points[np.concatenate([[True], chords > 1e-3])]
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        self.length = float(along[-1])
        self._curve = CubicSpline(along, points)
        self._tangent = self._curve.derivative()

    def at(self, s: Float64, offset: Float64 | float = 0.0) -> Float64:
        """(..., 2) points at distances `s`, `offset` m to the left of the line."""
        inside = np.clip(s, 0.0, self.length)
        tangent = self.direction(s)
        left = np.stack([-tangent[..., 1], tangent[..., 0]], axis=-1)
        beyond = (np.asarray(s) - inside)[..., None] * tangent
        points: Float64 = self._curve(inside) + beyond + np.asarray(offset)[..., None] * left
        return points

    def direction(self, s: Float64) -> Float64:
        """(..., 2) unit tangents."""
        tangent = self._tangent(np.clip(s, 0.0, self.length))
        unit: Float64 = tangent / np.linalg.norm(tangent, axis=-1, keepdims=True)
        return unit

    def samples(self, step: float = POINT_STEP) -> Float64:
        """(K,) distances from 0 to the length, about `step` apart."""
        return np.linspace(0.0, self.length, max(int(np.ceil(self.length / step)), 1) + 1)

    def beside(self, offset: float) -> Path:
        """The line `offset` m to the left of this one, in the same direction."""
        return Path(self.at(self.samples(2.0), offset))

    def backwards(self) -> Path:
        """The same line the other way."""
        return Path(self.at(self.samples(2.0))[::-1])


def line(start: ArrayLike, end: ArrayLike) -> Float64:
    """(K, 2) points of a straight piece, about 4 m apart."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    count = max(int(np.hypot(*(b - a)) / 4), 1) + 1
    return a + np.linspace(0, 1, count)[:, None] * (b - a)


def arc(centre: Sequence[float], radius: float, start: float, end: float) -> Float64:
    """(K, 2) points of a circular piece from one angle to another (rad), 1.5 m or 10 degrees apart."""
    count = max(int(abs(end - start) * max(radius / 1.5, 5.7)), 2) + 1
    angle = np.linspace(start, end, count)
    return np.asarray(centre) + radius * np.column_stack([np.cos(angle), np.sin(angle)])


def bend(start: ArrayLike, yaw: float, end: ArrayLike, end_yaw: float) -> Float64:
    """(K, 2) points of a turn that leaves and arrives in given directions (a Bezier curve)."""
    a, d = np.asarray(start, np.float64), np.asarray(end, np.float64)
    turn = abs((end_yaw - yaw + np.pi) % (2 * np.pi) - np.pi)
    chord = float(np.hypot(*(d - a)))
    handle = chord * (0.3333 if turn < 0.1 else 4 / 3 * np.tan(turn / 4) / (2 * np.sin(turn / 2)))
    b = a + handle * np.array([np.cos(yaw), np.sin(yaw)])
    c = d - handle * np.array([np.cos(end_yaw), np.sin(end_yaw)])
    u = np.linspace(0, 1, max(int(chord / 1.5), 4) + 1)[:, None]
    return (1 - u) ** 3 * a + 3 * u * (1 - u) ** 2 * b + 3 * u**2 * (1 - u) * c + u**3 * d


def rounded(corners: Float64, width: float) -> Float64:
    """(K, 2) points of a line through corners (C, 2) that are cut over about `width` m."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    s = np.linspace(0, along[-1], max(int(along[-1] / 0.3), 4))
    dense = np.column_stack([np.interp(s, along, axis) for axis in corners.T])
    half = max(int(width / 0.6), 1)
    kernel = np.hanning(2 * half + 3)[1:-1]
    ends = [2 * dense[0] - dense[half:0:-1], dense, 2 * dense[-1] - dense[-2 : -half - 2 : -1]]
    padded = np.concatenate(ends)
    smooth = [np.convolve(axis, kernel / kernel.sum(), mode="valid") for axis in padded.T]
    return np.column_stack(smooth)[::3]


def winding(length: float, rng: np.random.Generator, tightest: float, widest: float) -> Float64:
    """(K, 2) points, about 2 m apart, of a line from the origin along x that turns left and right in arcs."""
    s = np.arange(0.0, length, 2.0)
    bends, at, side = np.zeros_like(s), 0.0, rng.choice([-1.0, 1.0])
    while at < length:
        radius, straight = np.exp(rng.uniform(np.log(tightest), np.log(widest))), rng.uniform(15, 50)
        # A full turn is twice what leads from one heading's limit to the other, so that it never comes back.
        arc_length = radius * np.radians(rng.uniform(35, 60)) * (1.0 if at == 0 else 2.0)
        bends[(s >= at + straight) & (s < at + straight + arc_length)] = side / radius
        at, side = at + straight + arc_length, -side
    kernel = np.hanning(11) / np.hanning(11).sum()
    heading = np.cumsum(np.convolve(bends, kernel, mode="same")) * 2.0
    return np.cumsum(2.0 * np.column_stack([np.cos(heading), np.sin(heading)]), axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Road:
    """A strip of asphalt. half_width: m from centre line to kerb; pavement: its width, 0 for none."""

    centre: Path
    half_width: float
    pavement: float = 3.6


class Ground:
    """The surface that everything stands on, as a height over the map.

    Long waves and a grade give slopes, roads fall off to both sides (camber), pavements lie a kerb higher.
    """

    def __init__(
        self, roads: Sequence[Road], grade: Float64, waves: Float64, camber: float = 0.02, kerb: float = 0.12
    ) -> None:
        from scipy.spatial import cKDTree

        self.roads, self.kerb = tuple(roads), kerb
        self._grade, self._waves, self._camber = grade, waves, camber
        self._widest = max((road.half_width for road in roads), default=0.0)
        self._lines = []
        for road in roads:
            s = road.centre.samples(1.0)
            self._lines.append((cKDTree(road.centre.at(s)), road.centre.at(s), road.centre.direction(s)))

    def edge(self, xy: Float64) -> Float64:
        """(N,) m from the nearest kerb: negative on a road, positive beside it."""
        nearest = np.full(len(xy), 1e3)
        for road, (tree, points, tangents) in zip(self.roads, self._lines):
            far, index = tree.query(xy, distance_upper_bound=60.0)
            found = np.isfinite(far)
            away = xy[found] - points[index[found]]
            along = (away * tangents[index[found]]).sum(1)
            # Between two samples the distance is across the line; past its ends it is to the end.
            across = np.where(
                np.abs(along) < 1.0, np.sqrt(np.maximum(far[found] ** 2 - along**2, 0)), far[found]
            )
            nearest[found] = np.minimum(nearest[found], across - road.half_width)
        return nearest

    def terrain(self, xy: Float64, edge: Float64) -> Float64:
        """(N,) height without kerbs, given `edge(xy)`."""
        waves = sum(
            (a * np.sin(xy @ np.array([kx, ky]) + p) for kx, ky, a, p in self._waves), np.zeros(len(xy))
        )
        across = np.clip(edge + self._widest, 0.0, self._widest + 2.0)
        crown = self._camber * (np.sqrt(across**2 + 1.0) - 1.0)
        height: Float64 = xy @ self._grade + waves - crown
        return height

    def height(self, xy: Float64) -> Float64:
        """(N,) height of the surface: road, or pavement a kerb higher."""
        edge = self.edge(xy)
        step = np.clip(edge / 0.1, 0.0, 1.0)
        return self.terrain(xy, edge) + self.kerb * step * step * (3 - 2 * step)


def make_ground(
    roads: Sequence[Road],
    rng: np.random.Generator,
    kerb: float = 0.12,
    steep: float = 1.0,
    camber: float = 0.02,
) -> Ground:
    """Ground with slopes of up to about 6 % under these roads; `steep` scales them."""
    grade = steep * rng.uniform(-0.02, 0.02, 2)
    length = rng.uniform(120, 260, 2)
    angle = rng.uniform(0, np.pi, 2)
    slope = steep * rng.uniform(0.008, 0.03, 2)
    k = 2 * np.pi / length
    waves = np.column_stack([k * np.cos(angle), k * np.sin(angle), slope / k, rng.uniform(0, 2 * np.pi, 2)])
    return Ground(roads, grade, waves, camber * rng.uniform(0.5, 1.5), kerb)
