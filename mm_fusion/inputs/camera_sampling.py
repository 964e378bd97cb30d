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

from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.cameras import FixedPoints, Shutter, central_views
from mm_fusion.geometry.motion import base_ref_from_base, twist_matrix
from mm_fusion.geometry.transforms import inverse
from mm_fusion.inputs.camera_pixels import calibrated_cameras, fitted_model, scaled_height
from mm_fusion.inputs.coverage import camera_shares
from mm_fusion.inputs.sweep_motion import AGE_UNIT_S
from mm_fusion.measurements import CameraModel, Float32, Float64
from mm_fusion.network_config import CameraInputs, LearnedConfig


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
        self._cells = FixedPoints(cell_points(config))
        self._square_edges = np.array(config.camera.depth_edges[1:-1], np.float64) ** 2
        self._fitted: dict[str, tuple[CameraModel, CameraModel]] = {}

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
        names, camera = list(slots), self._config.camera
        camera_from_grid = np.array([camera_from_cells(frame, name, scene_from_base) for name in names])
        seen = central_views(
            self._cells,
            [self._model(name, frame.calibration.camera_models[name]) for name in names],
            camera_from_grid.reshape(-1, 4, 4),
            [shutter_of(frame, name, camera) for name in names],
            camera.slots // camera.taps,
        )
        ages = np.array([frame.age_ns.get(name, 0) * 1e-9 / AGE_UNIT_S for name in names], np.float32)
        shares = camera_shares(frame, names, self._config, scene_from_base)
        index, depth_bin, weight, age, coverage = choose_taps(
            *seen, np.array([*slots.values()], np.int64), self._square_edges, ages, shares,
            len(camera.heights), camera.taps, camera.stride, *camera.rows_shape,
        )  # fmt: skip
        shape, (x, y) = self._config.lift_shape, self._config.grid.shape
        return LiftTable(
            index.reshape(shape),
            depth_bin.reshape(shape),
            weight.reshape(shape),
            age.reshape(1, 1, x, y),
            coverage.reshape(x, y),
        )

    def _model(self, name: str, model: CameraModel) -> CameraModel:
        """The camera at the network's size, kept while its model is the same object."""
        kept = self._fitted.get(name)
        if kept is None or kept[0] is not model:
            kept = self._fitted[name] = model, fitted_model(model, self._config.camera)
        return kept[1]


def shutter_of(frame: Frame, name: str, camera: CameraInputs) -> Shutter:
    """How the rows of a camera's image at the network's size are read while the vehicle moves."""
    image = frame.measurements[name]
    try:
        row_time_ns = getattr(decoded(image), "row_time_ns", 0)
    except MeasurementError:
        row_time_ns = 0
    if row_time_ns == 0 or frame.ego is None:
        return Shutter()
    model = frame.calibration.camera_models[name]
    small = scaled_height(model, camera)
    cut = max(0, small - camera.height_px)
    camera_from_base = inverse(frame.calibration.base_from_sensor[name])
    # what stands still comes towards a body that moves: d/dt of exp(-[v, w] t) p
    velocity = -camera_from_base @ twist_matrix(frame.ego) @ frame.calibration.base_from_sensor[name]
    longest_s = abs(row_time_ns) * 1e-9 * (model.height_px - 1) / 2
    row_s = row_time_ns * 1e-9 * model.height_px / small
    return Shutter(row_s, small / 2 - 0.5 - cut, longest_s, velocity[:3])


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
    camera: NDArray[np.int8], pixels: Float32, inner: Float32, square: Float64, slots: NDArray[np.int64],
    square_edges: Float64, ages: Float32, shares: Float32, heights: int, taps: int, stride: int, rows: int,
    columns: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], Float32, Float32, Float32]:  # fmt: skip
    """Row, depth bin and weight (N, S) of each of N cell heights, age and coverage (N / heights,) of cells.

    camera, pixels, inner, square: of the views of each, as `central_views` gives them.
    """
    (count, views), depth_bins = camera.shape, len(square_edges) + 1
    places = views * taps
    index, bins = np.zeros((count, places), np.int32), np.zeros((count, places), np.int32)
    weight = np.zeros((count, places), np.float32)
    age, coverage = np.zeros(count // heights, np.float32), np.zeros(count // heights, np.float32)
    most, depth_bin = np.full(count // heights, -1, np.float32), 0
    one, half, per_pixel = np.float32(1), np.float32(0.5), np.float32(1 / stride)  # a power of two: exact
    for k in range(views):
        for cell in range(count // heights):
            for n in range(cell * heights, (cell + 1) * heights):
                if inner[n, k] < 0:
                    continue
                c = camera[n, k]
                coverage[cell] = max(coverage[cell], shares[c, cell])
                if inner[n, k] > most[cell]:
                    most[cell], age[cell] = inner[n, k], ages[c]
                first, depth_bin = slots[c] * rows * columns, _bin_from(depth_bin, square[n, k], square_edges)
                x, y = (pixels[n, k, 0] + half) * per_pixel, (pixels[n, k, 1] + half) * per_pixel
                if taps == 1:
                    index[n, k] = first + min(int(y), rows - 1) * columns + min(int(x), columns - 1)
                    weight[n, k] = one
                else:
                    _four_taps(index, weight, n, 4 * k, x, y, first, rows, columns)
                for tap in range(k * taps, (k + 1) * taps):
                    bins[n, tap] = index[n, tap] * depth_bins + depth_bin
    if views > 1:
        _share(inner, weight, taps)
    return index, bins, weight, age, coverage


@njit(cache=True, nogil=True, error_model="numpy")
def _share(inner: Float32, weight: Float32, taps: int) -> None:
    """Divide weights by the number of views, so that they sum to one."""
    for n in range(len(inner)):
        kept = 0
        while kept < inner.shape[1] and inner[n, kept] >= 0:
            kept += 1
        for tap in range(kept * taps):
            weight[n, tap] /= np.float32(kept)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _bin_from(guess: int, square: float, square_edges: Float64) -> int:
    """Bin of a distance, from that of its neighbour: they are seldom more than one apart."""
    while guess < len(square_edges) and square >= square_edges[guess]:
        guess += 1
    while guess > 0 and square < square_edges[guess - 1]:
        guess -= 1
    return guess


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
