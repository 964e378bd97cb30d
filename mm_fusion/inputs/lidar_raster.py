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
TOTAL, LOWEST, HIGHEST, SUM, SQUARES, AGE, FIRST_SLICE = 0, 1, 2, 3, 4, 5, 6
"""What a cell gathers in one row of memory: count, heights, ages, then counts and intensities by slice."""


class LidarRaster:
    """Builds the LiDAR raster; keeps its working memory, so one object belongs to one thread."""

    def __init__(self, config: LearnedConfig, ego_box: EgoBox | None = None) -> None:
        _, self._x, self._y = config.lidar_shape
        grid, scale = config.grid, config.lidar.scale
        self._frame_of_cells = np.array([grid.x_min, grid.y_min, scale / grid.cell], np.float32)
        self._edges = np.array(config.lidar.slice_edges, np.float32)
        self._sweeps = config.lidar.sweeps
        self._box = _box_of(ego_box)
        # a multiple of 16 float32, so that a cell's row lies in whole cache lines
        width = -(-(FIRST_SLICE + 2 * (len(self._edges) - 1)) // 16) * 16
        self._cells = np.zeros((self._x * self._y, width), np.float32)
        self._touched = np.empty(self._x * self._y, np.int32)

    def build(self, frame: Frame, scene_from_base: Float64 | None = None) -> Float32:
        """The raster (C, X, Y) f32 of all calibrated LiDARs, zeros where there are none."""
        count = 0
        for name, sweep in sweeps_of(frame, "lidar", self._sweeps):
            if not isinstance(sweep, LidarSweep):
                continue
            base_from_sensor = frame.calibration.base_from_sensor[name]
            moved = grid_from_base(frame, sweep.stamp_ns, scene_from_base)
            series = motion_series(frame.ego, moved, base_from_sensor).astype(np.float32)
            age = np.float32((frame.stamp_ns - sweep.stamp_ns) * 1e-9)
            count = gather_points(
                sweep.xyz, sweep.intensity, sweep.time_offset_ns, series,
                base_from_sensor[:3].astype(np.float32), self._box, age, self._frame_of_cells, self._edges,
                self._cells, self._touched, count, self._x, self._y,
            )  # fmt: skip
        return np.asarray(
            finish_cells(self._cells, self._touched[:count], self._x, self._y, len(self._edges) - 1)
        )


def _box_of(ego_box: EgoBox | None) -> Float32:
    """(2, 3) corners, an empty box for None."""
    if ego_box is None:
        return np.array([[1.0, 1, 1], [-1, -1, -1]], np.float32)
    return np.array([ego_box.min, ego_box.max], np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def gather_points(
    xyz: Float32, intensity: Float32, time_ns: NDArray[np.int32], series: Float32, base_from_sensor: Float32,
    box: Float32, age: np.float32, place: Float32, edges: Float32, cells: Float32,
    touched: NDArray[np.int32], count: int, size_x: int, size_y: int,
) -> int:  # fmt: skip
    """Add a sweep to `cells` (X Y, W); the number of `touched` cells after it. Points off the grid are left.

    The car's own box is tested where the car was when the point was measured.
    """
    slices, boxed = len(edges) - 1, box[0, 0] < box[1, 0]
    where, height = np.empty(len(xyz), np.int32), np.empty(len(xyz), np.float32)
    _cells_of(xyz, time_ns, series, place, edges[0], edges[slices], size_x, size_y, where, height)
    # flat and in float32 throughout: views of rows and sums in float64 would take twice as long
    gathered, width = cells.ravel(), cells.shape[1]
    one, nanosecond = np.float32(1), np.float32(1e-9)
    for i in range(len(xyz)):
        cell = where[i]
        if cell < 0 or (boxed and _in_box(base_from_sensor, box, xyz[i, 0], xyz[i, 1], xyz[i, 2])):
            continue
        z = height[i]
        at = cell * width
        if gathered[at] == 0:
            touched[count] = cell
            count += 1
            gathered[at + LOWEST] = z
            gathered[at + HIGHEST] = z
        gathered[at] += one
        gathered[at + LOWEST] = min(gathered[at + LOWEST], z)
        gathered[at + HIGHEST] = max(gathered[at + HIGHEST], z)
        gathered[at + SUM] += z
        gathered[at + SQUARES] += z * z
        gathered[at + AGE] += age - np.float32(time_ns[i]) * nanosecond
        k = at + FIRST_SLICE
        for edge in range(1, slices):
            k += z >= edges[edge]
        gathered[k] += one
        gathered[k + slices] += intensity[i]
    return count


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _cells_of(
    xyz: Float32, time_ns: NDArray[np.int32], series: Float32, place: Float32, bottom: np.float32,
    top: np.float32, size_x: int, size_y: int, where: NDArray[np.int32], height: Float32,
) -> None:  # fmt: skip
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
    rows, nanosecond, flat = np.int32(size_y), np.float32(1e-9), xyz.ravel()
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
        where[i] = np.int32(x) * rows + np.int32(y) if inside else np.int32(-1)
        height[i] = z


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _in_box(m: Float32, box: Float32, x: float, y: float, z: float) -> bool:
    for axis in range(3):
        at = m[axis, 0] * x + m[axis, 1] * y + m[axis, 2] * z + m[axis, 3]
        if not (at >= box[0, axis] and at <= box[1, axis]):
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def finish_cells(
    cells: Float32, touched: NDArray[np.int32], size_x: int, size_y: int, slices: int
) -> Float32:
    """The raster (C, X, Y) of what the cells gathered, which are emptied for the next frame."""
    raster = np.zeros((2 * slices + 5, size_x * size_y), np.float32)
    per_log = np.float32(1 / np.log(FULL_DENSITY))
    for cell in touched:
        row = cells[cell]
        share = np.float32(1) / row[TOTAL]
        for k in range(slices):
            inside = row[FIRST_SLICE + k]
            if inside > 0:
                raster[k, cell] = np.log(np.float32(1) + inside) * per_log
                raster[slices + k, cell] = row[FIRST_SLICE + slices + k] / inside
        mean = row[SUM] * share
        raster[2 * slices, cell] = row[LOWEST]
        raster[2 * slices + 1, cell] = row[HIGHEST]
        raster[2 * slices + 2, cell] = mean
        raster[2 * slices + 3, cell] = np.sqrt(max(row[SQUARES] * share - mean * mean, np.float32(0)))
        raster[2 * slices + 4, cell] = row[AGE] * share / np.float32(AGE_UNIT_S)
        row[:] = 0
    return raster.reshape(2 * slices + 5, size_x, size_y)
