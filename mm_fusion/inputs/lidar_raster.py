"""All LiDARs' points as a raster over the grid: height slices and what the whole column tells.

Channels, in the order of `LidarInputs.channel_names`: `density_<slice>` ln(1 + points) / ln(32),
`intensity_<slice>` the mean 0..1, then over the column `lowest`, `highest`, `mean_height` and `height_spread`
(standard deviation), m above ground, and `age`, the mean in units of 0.1 s. Empty cells are zero throughout.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.config import EgoBox
from mm_fusion.frame import Frame
from mm_fusion.inputs.sweep_motion import AGE_UNIT_S, grid_from_base, motion_series, sweeps_of
from mm_fusion.measurements import Float32, Float64, LidarSweep
from mm_fusion.network_config import LearnedConfig

FULL_DENSITY = 32.0
"""1 + points per cell and slice that give a density of 1."""
LOGARITHMS = 64
"""Logarithms of 1 + points that are looked up; more points in one cell and slice are rare."""


class LidarRaster:
    """Builds the LiDAR raster; keeps its working memory, so one object belongs to one thread."""

    def __init__(self, config: LearnedConfig, ego_box: EgoBox | None = None) -> None:
        _, self._x, self._y = config.lidar_shape
        grid, scale = config.grid, config.lidar.scale
        self._frame_of_cells = np.array([grid.x_min, grid.y_min, scale / grid.cell], np.float32)
        self._edges = np.array(config.lidar.slice_edges, np.float32)
        self._sweeps = config.lidar.sweeps
        self._box = _box_of(ego_box)
        self._ends = np.zeros(self._x * self._y + 1, np.int32)
        self._densities = densities(np.arange(LOGARITHMS, dtype=np.float32))
        self._placed = Placed(0)

    def build(self, frame: Frame, scene_from_base: Float64 | None = None) -> Float32:
        """The raster (C, X, Y) f32 of all calibrated LiDARs, zeros where there are none."""
        found = [
            (name, sweep)
            for name, sweep in sweeps_of(frame, "lidar", self._sweeps)
            if isinstance(sweep, LidarSweep)
        ]
        count = sum(len(sweep.xyz) for _, sweep in found)
        if count > len(self._placed.where):
            self._placed = Placed(count)
        begin = 0
        for name, sweep in found:
            self._place(frame, name, sweep, scene_from_base, self._placed.part(begin, len(sweep.xyz)))
            begin += len(sweep.xyz)
        placed = self._placed.part(0, count)
        return np.asarray(
            raster_of_points(
                placed.where, placed.rows, self._edges, self._densities, self._ends, self._placed.sorted,
                self._x, self._y,
            )
        )  # fmt: skip

    def _place(
        self, frame: Frame, name: str, sweep: LidarSweep, scene_from_base: Float64 | None, placed: Placed
    ) -> None:
        """Cells, heights, intensities and ages of a sweep's points; those of the car itself have no cell."""
        base_from_sensor = frame.calibration.base_from_sensor[name]
        moved = grid_from_base(frame, sweep.stamp_ns, scene_from_base)
        series = motion_series(frame.ego, moved, base_from_sensor).astype(np.float32)
        age = np.float32((frame.stamp_ns - sweep.stamp_ns) * 1e-9)
        place_points(
            sweep.xyz, sweep.intensity, sweep.time_offset_ns, series, age, self._frame_of_cells, self._edges,
            self._x, self._y, placed.where, placed.rows,
        )  # fmt: skip
        if self._box[0, 0] < self._box[1, 0]:
            leave_box(sweep.xyz, base_from_sensor[:3].astype(np.float32), self._box, placed.where)


class Placed:
    """Points by what the raster needs of them.

    where: (N,) int32 flat cell, -1 outside. rows: (3, N) f32 height m, intensity, age s. sorted: (N, 3), the
    same by cell, filled by `raster_of_points`.
    """

    def __init__(self, count: int) -> None:
        self.where = np.empty(count, np.int32)
        self.rows = np.empty((3, count), np.float32)
        self.sorted = np.empty((count, 3), np.float32)

    def part(self, begin: int, count: int) -> Placed:
        """A view of `count` points from `begin`."""
        view = Placed(0)
        view.where, view.rows = self.where[begin : begin + count], self.rows[:, begin : begin + count]
        return view


def densities(counts: Float32) -> Float32:
    """ln(1 + points) / ln(32) of each count."""
    return np.asarray(np.log(np.float32(1) + counts) * np.float32(1 / np.log(FULL_DENSITY)), np.float32)


def _box_of(ego_box: EgoBox | None) -> Float32:
    """(2, 3) corners, an empty box for None."""
    if ego_box is None:
        return np.array([[1.0, 1, 1], [-1, -1, -1]], np.float32)
    return np.array([ego_box.min, ego_box.max], np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def place_points(
    xyz: Float32, intensity: Float32, time_ns: NDArray[np.int32], series: Float32, age: np.float32,
    place: Float32, edges: Float32, size_x: int, size_y: int, where: NDArray[np.int32], rows: Float32,
) -> None:  # fmt: skip
    """Fill `where` (N,) and `rows` (3, N) of `Placed` for one sweep's points, moved by `series` (3, 3, 4)."""
    # No branch inside: the compiler turns this loop into vector instructions. NaN compares false throughout.
    a00, a01, a02, a03 = series[0, 0, 0], series[0, 0, 1], series[0, 0, 2], series[0, 0, 3]
    a10, a11, a12, a13 = series[0, 1, 0], series[0, 1, 1], series[0, 1, 2], series[0, 1, 3]
    a20, a21, a22, a23 = series[0, 2, 0], series[0, 2, 1], series[0, 2, 2], series[0, 2, 3]
    b00, b01, b02, b03 = series[1, 0, 0], series[1, 0, 1], series[1, 0, 2], series[1, 0, 3]
    b10, b11, b12, b13 = series[1, 1, 0], series[1, 1, 1], series[1, 1, 2], series[1, 1, 3]
    b20, b21, b22, b23 = series[1, 2, 0], series[1, 2, 1], series[1, 2, 2], series[1, 2, 3]
    c00, c01, c02, c03 = series[2, 0, 0], series[2, 0, 1], series[2, 0, 2], series[2, 0, 3]
    c10, c11, c12, c13 = series[2, 1, 0], series[2, 1, 1], series[2, 1, 2], series[2, 1, 3]
    c20, c21, c22, c23 = series[2, 2, 0], series[2, 2, 1], series[2, 2, 2], series[2, 2, 3]
    x_min, y_min, per_metre = place[0], place[1], place[2]
    reach_x, reach_y, zero = np.float32(size_x), np.float32(size_y), np.float32(0)
    bottom, top, across = edges[0], edges[len(edges) - 1], np.int32(size_y)
    nanosecond, flat, height, strength, ages = np.float32(1e-9), xyz.ravel(), rows[0], rows[1], rows[2]
    for i in range(len(xyz)):
        p, q, r, t = flat[3 * i], flat[3 * i + 1], flat[3 * i + 2], np.float32(time_ns[i]) * nanosecond
        fx = a00 * p + a01 * q + a02 * r + a03
        fy = a10 * p + a11 * q + a12 * r + a13
        fz = a20 * p + a21 * q + a22 * r + a23
        sx = b00 * p + b01 * q + b02 * r + b03 + t * (c00 * p + c01 * q + c02 * r + c03)
        sy = b10 * p + b11 * q + b12 * r + b13 + t * (c10 * p + c11 * q + c12 * r + c13)
        sz = b20 * p + b21 * q + b22 * r + b23 + t * (c20 * p + c21 * q + c22 * r + c23)
        x, y, z = (fx + t * sx - x_min) * per_metre, (fy + t * sy - y_min) * per_metre, fz + t * sz
        inside = (x >= zero) & (x < reach_x) & (y >= zero) & (y < reach_y) & (z >= bottom) & (z < top)
        x, y = (x, y) if inside else (zero, zero)
        where[i] = np.int32(x) * across + np.int32(y) if inside else np.int32(-1)
        height[i], strength[i] = z, intensity[i]
    for i in range(len(xyz)):
        ages[i] = age - np.float32(time_ns[i]) * nanosecond


@njit(cache=True, nogil=True, error_model="numpy")
def leave_box(xyz: Float32, base_from_sensor: Float32, box: Float32, where: NDArray[np.int32]) -> None:
    """Take points inside the car's own box (2, 3) off the grid, where the car was when they were measured."""
    flat, m = xyz.ravel(), base_from_sensor
    m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    low_x, low_y, low_z, high_x, high_y, high_z = (
        box[0, 0],
        box[0, 1],
        box[0, 2],
        box[1, 0],
        box[1, 1],
        box[1, 2],
    )
    for i in range(len(xyz)):
        p, q, r = flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]
        x = m00 * p + m01 * q + m02 * r + m03
        y = m10 * p + m11 * q + m12 * r + m13
        z = m20 * p + m21 * q + m22 * r + m23
        inside = (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y) & (z >= low_z) & (z <= high_z)
        where[i] = np.int32(-1) if inside else where[i]


@njit(cache=True, nogil=True, error_model="numpy")
def raster_of_points(
    where: NDArray[np.int32], rows: Float32, edges: Float32, densities: Float32, ends: NDArray[np.int32],
    by_cell: Float32, size_x: int, size_y: int,
) -> Float32:  # fmt: skip
    """The raster (C, X, Y) of placed points; `ends` (X Y + 1,) and `by_cell` (N, 3) are working memory.

    Points are brought together by cell first, in their order: each cell is then summed up in registers and
    written once, and memory is walked along, where adding to cells in order of points would jump about in it.
    """
    _sort_by_cell(where, rows, ends, by_cell)
    slices, size = len(edges) - 1, size_x * size_y
    raster = np.zeros((2 * slices + 5, size), np.float32)
    counts, strengths = np.zeros(slices, np.float32), np.zeros(slices, np.float32)
    begin, one, zero = 0, np.float32(1), np.float32(0)
    for cell in range(size):
        end = ends[cell]
        if end == begin:
            continue
        lowest = highest = by_cell[begin, 0]
        total, squares, age = zero, zero, zero
        for i in range(begin, end):
            z = by_cell[i, 0]
            lowest, highest = min(lowest, z), max(highest, z)
            total += z
            squares += z * z
            age += by_cell[i, 2]
            k = 0
            for edge in range(1, slices):
                k += z >= edges[edge]
            counts[k] += one
            strengths[k] += by_cell[i, 1]
        for k in range(slices):
            inside = counts[k]
            if inside > zero:
                raster[k, cell] = density_of(inside, densities)
                raster[slices + k, cell] = strengths[k] / inside
                counts[k], strengths[k] = zero, zero
        share = one / np.float32(end - begin)
        mean = total * share
        raster[2 * slices, cell] = lowest
        raster[2 * slices + 1, cell] = highest
        raster[2 * slices + 2, cell] = mean
        raster[2 * slices + 3, cell] = np.sqrt(max(squares * share - mean * mean, zero))
        raster[2 * slices + 4, cell] = age * share / np.float32(AGE_UNIT_S)
        begin = end
    return raster.reshape(2 * slices + 5, size_x, size_y)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def density_of(inside: np.float32, densities: Float32) -> np.float32:
    """The density of a cell's slice, looked up where the table reaches."""
    if inside < len(densities):
        return densities[int(inside)]
    return np.log(np.float32(1) + inside) * np.float32(1 / np.log(FULL_DENSITY))


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_by_cell(where: NDArray[np.int32], rows: Float32, ends: NDArray[np.int32], by_cell: Float32) -> None:
    """Fill `by_cell` with points in order of cells, and `ends` with where each cell's points end in it."""
    ends[:] = 0
    for i in range(len(where)):
        ends[where[i] + 1] += 1  # what is off the grid is counted in the first place
    before = 0
    ends[0] = 0
    for cell in range(1, len(ends)):
        before, ends[cell] = before + ends[cell], before
    # ends[cell + 1] is now where the points of `cell` begin, and moves to their end; shifted back at last
    height, strength, ages = rows[0], rows[1], rows[2]
    for i in range(len(where)):
        cell = where[i]
        if cell >= 0:
            at = ends[cell + 1]
            ends[cell + 1] = at + 1
            by_cell[at, 0], by_cell[at, 1], by_cell[at, 2] = height[i], strength[i], ages[i]
    for cell in range(len(ends) - 1):
        ends[cell] = ends[cell + 1]
