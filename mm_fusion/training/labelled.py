"""Where objects are labelled: losses and scores hold their tongue outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import project_many
from mm_fusion.inputs.camera_pixels import calibrated_cameras
from mm_fusion.inputs.camera_sampling import camera_from_cells, cell_points
from mm_fusion.measurements import Float64
from mm_fusion.network_config import LearnedConfig


@dataclass(frozen=True)
class LabelledRegion:
    """Bounds in `base_link`, m; in_image: only what a camera sees. The default is everywhere."""

    x_min: float = -np.inf
    x_max: float = np.inf
    y_min: float = -np.inf
    y_max: float = np.inf
    in_image: bool = False


EVERYWHERE = LabelledRegion()
ASTYX_REGION = LabelledRegion(0.0, 77.0, -32.0, 32.0, in_image=True)


def labelled_cells(
    frame: Frame, config: LearnedConfig, region: LabelledRegion, scene_from_base: Float64 | None = None
) -> NDArray[np.bool_]:
    """(X, Y): cells of the (changed) scene whose centre is in the region, and at some height in an image."""
    heights, shape = len(config.camera.heights), config.grid.shape
    points = cell_points(config)
    base_from_scene = np.eye(4) if scene_from_base is None else np.linalg.inv(scene_from_base)
    x, y = base_from_scene[:2] @ np.column_stack([points[::heights], np.ones(len(points[::heights]))]).T
    inside = (x >= region.x_min) & (x <= region.x_max) & (y >= region.y_min) & (y <= region.y_max)
    if region.in_image:
        names = list(calibrated_cameras(frame, config))
        models = [frame.calibration.camera_models[name] for name in names]
        matrices = np.array([camera_from_cells(frame, name, scene_from_base) for name in names])
        visible = project_many(points, models, matrices.reshape(-1, 4, 4))[1]
        inside &= visible.any(axis=0).reshape(-1, heights).any(axis=1)
    return np.asarray(inside.reshape(shape))
