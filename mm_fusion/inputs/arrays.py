"""What the network takes, by name."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32


class NetworkInputs(TypedDict):
    """One frame's arrays; N = max_cameras, X, Y the grid, everything C-contiguous and finite.

    images: (N, 3, height_px, width_px) uint8 RGB, zeros in a slot without image. camera_present: (N,)
    float32, 1 in a slot with one. lidar and radar: (1, C, X, Y) float32 at their own scale
    (`LearnedConfig.lidar_shape`, `radar_shape`), zeros where absent. lift_index, lift_bin: (1, X, Y, Z, S)
    int32, row = slot * rows_per_camera + pixel and row * depth_bins + bin; empty: 0. lift_weight: the same
    shape, float32, 0 where empty, else they sum to one over S. camera_age: (1, 1, X, Y) float32, in units of
    0.1 s. coverage: (1, 3, X, Y) float32 0..1 of camera, LiDAR, radar. available: (3,) float32, 1 where a
    calibrated sensor of the kind delivered something.
    """

    images: NDArray[np.uint8]
    camera_present: Float32
    lidar: Float32
    radar: Float32
    lift_index: NDArray[np.int32]
    lift_bin: NDArray[np.int32]
    lift_weight: Float32
    camera_age: Float32
    coverage: Float32
    available: Float32
