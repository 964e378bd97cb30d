"""The lift table: which feature pixel of which camera shows each cell at each height.

Made anew for each frame from calibration, distortion and exposure times, so that the network holds nothing of
the vehicle.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import project_many
from mm_fusion.geometry.motion import base_ref_from_base
from mm_fusion.geometry.transforms import inverse
from mm_fusion.inputs.camera_pixels import calibrated_cameras, fitted_model
from mm_fusion.inputs.coverage import camera_shares
from mm_fusion.inputs.sweep_motion import AGE_UNIT_S
from mm_fusion.measurements import Float32, Float64
from mm_fusion.network_config import LearnedConfig


@dataclass(frozen=True, slots=True, eq=False)
class LiftTable:
    """lift_index, lift_bin (1, X, Y, Z, S) int32 and lift_weight (the same, f32) as `NetworkInputs` says.

    camera_age: (1, 1, X, Y) f32, in units of 0.1 s, of the camera that sees the cell best. coverage: (X, Y)
    f32, the best share 0..1 of the cameras that the cell looks up at any height.
    """

    lift_index: NDArray[np.int32]
    lift_bin: NDArray[np.int32]
    lift_weight: Float32
    camera_age: Float32
    coverage: Float32


class CameraSampling:
    """Builds lift tables for one model."""

    def __init__(self, config: LearnedConfig) -> None:
        self._config = config
        self._cells = cell_points(config)
        self._square_edges = np.array(config.camera.depth_edges[1:-1], np.float64) ** 2

    def table(
        self,
        frame: Frame,
        present: Collection[str] | None = None,
        scene_from_base: Float64 | None = None,
    ) -> LiftTable:
        """The table of a frame's calibrated cameras, or of those of them that `present` names."""
        slots = calibrated_cameras(frame, self._config)
        if present is not None:
            slots = {name: slot for name, slot in slots.items() if name in present}
        names = list(slots)
        camera = self._config.camera
        models = [fitted_model(frame.calibration.camera_models[name], camera) for name in names]
        camera_from_grid = np.array(
            [camera_from_cells(frame, name, scene_from_base) for name in names]
        ).reshape(-1, 4, 4)
        pixels, visible = project_many(self._cells, models, camera_from_grid)
        sizes = np.array([(m.width_px, m.height_px) for m in models], np.float32).reshape(-1, 2)
        ages = np.array([frame.age_ns.get(name, 0) * 1e-9 / AGE_UNIT_S for name in names], np.float32)
        shares = camera_shares(frame, names, self._config, scene_from_base)
        index, depth_bin, weight, age, coverage = choose_taps(
            pixels, visible, sizes, np.array([*slots.values()], np.int64), self._cells, camera_from_grid,
            self._square_edges, ages, shares, len(camera.heights), camera.slots, camera.taps, camera.stride,
            camera.rows_shape[0], camera.rows_shape[1],
        )  # fmt: skip
        shape, (x, y) = self._config.lift_shape, self._config.grid.shape
        return LiftTable(
            index.reshape(shape),
            depth_bin.reshape(shape),
            weight.reshape(shape),
            age.reshape(1, 1, x, y),
            coverage.reshape(x, y),
        )


def cell_points(config: LearnedConfig) -> Float32:
    """Cell centres at every height, (X Y Z, 3) f32 m, the height running fastest."""
    grid, (size_x, size_y) = config.grid, config.grid.shape
    x = grid.x_min + (np.arange(size_x) + 0.5) * grid.cell
    y = grid.y_min + (np.arange(size_y) + 0.5) * grid.cell
    mesh = np.stack(np.meshgrid(x, y, config.camera.heights, indexing="ij"), axis=-1)
    return mesh.reshape(-1, 3).astype(np.float32)


def camera_from_cells(frame: Frame, name: str, scene_from_base: Float64 | None = None) -> Float64:
    """The (4, 4) that brings the grid at the frame's time to camera axes at the camera's own exposure."""
    camera_from_base = inverse(frame.calibration.base_from_sensor[name])
    if frame.ego is not None:
        exposed_ns = frame.stamp_ns - frame.age_ns.get(name, 0)
        camera_from_base = camera_from_base @ base_ref_from_base(frame.ego, frame.stamp_ns, exposed_ns)
    if scene_from_base is not None:
        camera_from_base = camera_from_base @ np.linalg.inv(scene_from_base)
    return np.asarray(camera_from_base)


@njit(cache=True, nogil=True, error_model="numpy")
def choose_taps(
    pixels: Float32, visible: NDArray[np.bool_], sizes: Float32, slots: NDArray[np.int64], cells: Float32,
    camera_from_grid: Float64, square_edges: Float64, ages: Float32, shares: Float32, heights: int,
    places: int, taps: int, stride: int, rows: int, columns: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], Float32, Float32, Float32]:  # fmt: skip
    """Row, depth bin and weight (N, S) of each of N cell heights, age and coverage (N / heights,) of cells.

    Of the cameras that see a point, those whose image border is farthest away are taken; what is taken is
    struck from `visible`.
    """
    count, depth_bins = len(cells), len(square_edges) + 1
    index, bins = np.zeros((count, places), np.int32), np.zeros((count, places), np.int32)
    weight = np.zeros((count, places), np.float32)
    age, coverage = np.zeros(count // heights, np.float32), np.zeros(count // heights, np.float32)
    most = np.full(count // heights, -1, np.float32)
    inner, best = np.empty(count, np.float32), np.empty(count, np.int8)
    kept = np.zeros(count, np.int8)
    for k in range(places // taps):
        _most_central(pixels, visible, sizes, inner, best)
        for n in range(count):
            if inner[n] < 0:
                continue
            c, cell = best[n], n // heights
            visible[c, n] = False
            kept[n] += 1
            coverage[cell] = max(coverage[cell], shares[c, cell])
            if inner[n] > most[cell]:
                most[cell], age[cell] = inner[n], ages[c]
            first, depth_bin = slots[c] * rows * columns, _bin_of(cells, n, camera_from_grid, c, square_edges)
            x = (pixels[c, n, 0] + np.float32(0.5)) / np.float32(stride)
            y = (pixels[c, n, 1] + np.float32(0.5)) / np.float32(stride)
            if taps == 1:
                index[n, k] = first + min(int(y), rows - 1) * columns + min(int(x), columns - 1)
                weight[n, k] = np.float32(1)
            else:
                _four_taps(index, weight, n, 4 * k, x, y, first, rows, columns)
            for tap in range(k * taps, (k + 1) * taps):
                bins[n, tap] = index[n, tap] * depth_bins + depth_bin
    if places > taps:
        for n in range(count):
            for tap in range(kept[n] * taps):
                weight[n, tap] /= np.float32(kept[n])
    return index, bins, weight, age, coverage


@njit(cache=True, nogil=True, error_model="numpy")
def _most_central(
    pixels: Float32, visible: NDArray[np.bool_], sizes: Float32, inner: Float32, best: NDArray[np.int8]
) -> None:
    """The camera that sees each point farthest from its border, and how far; -1 where none does."""
    inner[:] = np.float32(-1)
    for c in range(len(sizes)):
        width, height = sizes[c, 0], sizes[c, 1]
        for n in range(visible.shape[1]):
            if visible[c, n]:
                here = _from_border(pixels[c, n, 0], pixels[c, n, 1], width, height)
                if here > inner[n]:
                    inner[n], best[n] = here, c


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _from_border(u: float, v: float, width: float, height: float) -> float:
    """Distance of a pixel from the image's border as a share of its size, from 0."""
    across, down = u + np.float32(0.5), v + np.float32(0.5)
    across, down = min(across, width - across) / width, min(down, height - down) / height
    return max(min(across, down), np.float32(0))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _bin_of(cells: Float32, n: int, m: Float64, c: int, square_edges: Float64) -> int:
    """Bin of the distance of cell n from camera c."""
    square = 0.0
    for i in range(3):
        at = m[c, i, 0] * cells[n, 0] + m[c, i, 1] * cells[n, 1] + m[c, i, 2] * cells[n, 2] + m[c, i, 3]
        square += at * at
    low, high = 0, len(square_edges)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if square >= square_edges[middle] else (low, middle)
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def _four_taps(
    index: NDArray[np.int32], weight: Float32, n: int, at: int, x: float, y: float, first: int, rows: int,
    columns: int,
) -> None:  # fmt: skip
    """The four feature pixels around (x, y), with bilinear weights; at the border the same one twice."""
    left, top = np.floor(x - 0.5), np.floor(y - 0.5)
    for tap in range(4):
        right, below = tap % 2, tap // 2
        wide = x - 0.5 - left if right else 1 - (x - 0.5 - left)
        high = y - 0.5 - top if below else 1 - (y - 0.5 - top)
        column = min(max(int(left) + right, 0), columns - 1)
        row = min(max(int(top) + below, 0), rows - 1)
        index[n, at + tap] = first + row * columns + column
        weight[n, at + tap] = wide * high
