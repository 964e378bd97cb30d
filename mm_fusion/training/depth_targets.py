"""Depth bins of feature pixels as LiDAR points tell them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import project_many
from mm_fusion.geometry.motion import deskew
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.inputs.camera_pixels import calibrated_cameras, fitted_model
from mm_fusion.inputs.camera_sampling import camera_from_cells
from mm_fusion.inputs.sweep_motion import sweeps_of
from mm_fusion.measurements import Float32, LidarSweep
from mm_fusion.network_config import LearnedConfig


def depth_targets(frame: Frame, config: LearnedConfig) -> NDArray[np.int16]:
    """(N, rows, columns): bin of the nearest LiDAR point in each feature pixel of each slot, -1 for none.

    Bins are those of `CameraInputs.depth_edges`, distances those from the camera at its exposure time.
    """
    camera = config.camera
    rows, columns = camera.rows_shape
    bins = np.full((camera.max_cameras, rows * columns), -1, np.int16)
    slots, xyz = calibrated_cameras(frame, config), _points_at_reference(frame)
    if not slots or not len(xyz):
        return bins.reshape(-1, rows, columns)
    models = [fitted_model(frame.calibration.camera_models[name], camera) for name in slots]
    matrices = np.array([camera_from_cells(frame, name) for name in slots])
    pixels, visible = project_many(xyz, models, matrices)
    edges = np.array(camera.depth_edges[1:-1])
    for number, slot in enumerate(slots.values()):
        seen = visible[number]
        distance = np.linalg.norm(transform_points(matrices[number], xyz[seen]), axis=1)
        cell = ((pixels[number][seen] + 0.5) / camera.stride).astype(np.int64)
        at = np.minimum(cell[:, 1], rows - 1) * columns + np.minimum(cell[:, 0], columns - 1)
        order = np.argsort(-distance, kind="stable")  # the nearest is written last
        bins[slot, at[order]] = np.searchsorted(edges, distance[order], side="right")
    return bins.reshape(-1, rows, columns)


def _points_at_reference(frame: Frame) -> Float32:
    clouds = [np.zeros((0, 3), np.float32)]
    for name, sweep in sweeps_of(frame, "lidar", 0):
        if isinstance(sweep, LidarSweep):
            xyz = transform_points(frame.calibration.base_from_sensor[name], sweep.xyz)
            if frame.ego is not None:
                times_ns = sweep.time_offset_ns.astype(np.int64) + (sweep.stamp_ns - frame.stamp_ns)
                xyz = deskew(xyz, times_ns, frame.ego)
            clouds.append(xyz[np.isfinite(xyz).all(axis=1)])
    return np.concatenate(clouds)
