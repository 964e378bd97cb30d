"""The lift table by `cv2.projectPoints`, camera by camera, and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Frame
from mm_fusion.inputs.camera_pixels import calibrated_cameras, fitted_model
from mm_fusion.inputs.camera_sampling import LiftTable, camera_from_cells, cell_points
from mm_fusion.inputs.coverage import camera_shares
from mm_fusion.measurements import Float32
from mm_fusion.network_config import LearnedConfig


def plain_project(
    xyz_base: np.ndarray, models: Sequence[Any], camera_from_base: Sequence[np.ndarray], in_front: bool = True
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels and indices of the points inside each camera's image, by `cv2.projectPoints` per camera.

    in_front: drop what lies behind the camera before projecting, as whoever has seen those points come out
    mirrored does; without it all points are projected and masked afterwards. Neither notices points that fold
    back.
    """
    import cv2

    zero, seen = np.zeros(3), []
    for model, matrix in zip(models, camera_from_base):
        xyz_camera = xyz_base.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        index = np.flatnonzero(xyz_camera[:, 2] > 0.1) if in_front else np.arange(len(xyz_base))
        pixels = cv2.projectPoints(xyz_camera[index], zero, zero, model.matrix, model.distortion)[0][:, 0]
        end = (model.width_px - 0.5, model.height_px - 0.5)
        inside = (pixels >= -0.5).all(axis=1) & (pixels < end).all(axis=1) & (xyz_camera[index, 2] > 0.1)
        seen.append((pixels[inside], index[inside]))
    return seen


class PlainLift:
    """Builds the same table as `inputs.camera_sampling.CameraSampling`, one tap per camera."""

    def __init__(self, config: LearnedConfig) -> None:
        if config.camera.taps != 1:
            raise ConfigurationError(
                f"model {config.name}: the plain side of the benchmark knows one tap per look-up, not "
                f"{config.camera.taps}"
            )
        self._config, self._cells = config, cell_points(config)
        self._square_edges = np.array(config.camera.depth_edges[1:-1]) ** 2

    def table(self, frame: Frame) -> LiftTable:
        """The table of a frame's calibrated cameras."""
        config, camera = self._config, self._config.camera
        slots = calibrated_cameras(frame, config)
        models = [fitted_model(frame.calibration.camera_models[name], camera) for name in slots]
        matrices = [camera_from_cells(frame, name) for name in slots]
        count, rows, columns = len(self._cells), *camera.rows_shape
        inner = np.full((max(1, len(models)), count), -1, np.float32)
        row, depth = np.zeros(inner.shape, np.int32), np.zeros(inner.shape, np.int32)
        seen = plain_project(self._cells, models, matrices)
        for c, (slot, model, matrix) in enumerate(zip(slots.values(), models, matrices)):
            pixels, index = seen[c]
            across, down = (pixels + 0.5).T
            border = np.minimum(across, model.width_px - across) / model.width_px
            inner[c, index] = np.minimum(border, np.minimum(down, model.height_px - down) / model.height_px)
            x = np.minimum((across / camera.stride).astype(np.int32), columns - 1)
            y = np.minimum((down / camera.stride).astype(np.int32), rows - 1)
            row[c, index] = slot * rows * columns + y * columns + x
            square = ((self._cells[index] @ matrix[:3, :3].T + matrix[:3, 3]) ** 2).sum(axis=1)
            depth[c, index] = np.searchsorted(self._square_edges, square, side="right")
        return self._chosen(frame, list(slots), inner, row, depth)

    def _chosen(
        self, frame: Frame, names: list[str], inner: Float32, row: np.ndarray, depth: np.ndarray
    ) -> LiftTable:
        """The `slots` cameras whose border is farthest away, of each cell and height."""
        config, (x, y) = self._config, self._config.grid.shape
        heights, bins, wanted = len(config.camera.heights), config.camera.depth_bins, config.camera.slots
        best = (
            np.argsort(-inner, axis=0, kind="stable")[:wanted] if wanted > 1 else inner.argmax(axis=0)[None]
        )
        best = np.concatenate([best, np.repeat(best[:1], wanted - len(best), axis=0)])
        taken = np.take_along_axis(inner, best, axis=0) >= 0
        taken[len(inner) :] = False
        index = np.where(taken, np.take_along_axis(row, best, axis=0), 0)
        depth_bin = np.where(taken, index * bins + np.take_along_axis(depth, best, axis=0), 0)
        weight = taken / np.maximum(taken.sum(axis=0), 1)
        age, coverage = self._cell_values(frame, names, np.take_along_axis(inner, best, axis=0), best, taken)
        shape = (1, x, y, heights, wanted)
        return LiftTable(
            index.T.reshape(shape).astype(np.int32),
            depth_bin.T.reshape(shape).astype(np.int32),
            weight.T.reshape(shape).astype(np.float32),
            age.reshape(1, 1, x, y),
            coverage.reshape(x, y),
        )

    def _cell_values(
        self, frame: Frame, names: list[str], inner: np.ndarray, best: np.ndarray, taken: np.ndarray
    ) -> tuple[Float32, Float32]:
        """Age and coverage of each cell over its heights."""
        cells = self._config.grid.shape[0] * self._config.grid.shape[1]
        if not names:
            return np.zeros(cells, np.float32), np.zeros(cells, np.float32)
        heights = len(self._config.camera.heights)
        ages = np.array([frame.age_ns.get(name, 0) * 1e-9 / 0.1 for name in names], np.float32)
        shares = camera_shares(frame, names, self._config)
        of_cell = np.repeat(np.arange(cells), heights)
        share = np.where(taken, shares[best, of_cell], 0).max(axis=0).reshape(cells, heights).max(axis=1)
        most = np.where(taken[0], inner[0], -1).reshape(cells, heights)
        place = most.argmax(axis=1)
        camera = best[0].reshape(cells, heights)[np.arange(cells), place]
        age = np.where(most[np.arange(cells), place] >= 0, ages[camera], 0)
        return age.astype(np.float32), share.astype(np.float32)
