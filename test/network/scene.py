"""A small model and a batch with known numbers for the network's tests."""

from __future__ import annotations

import torch
from torch import Tensor

from mm_fusion.network_config import CameraInputs, GridConfig, LearnedConfig, load_learned


def small_config(**changes: object) -> LearnedConfig:
    grid = GridConfig(x_min=0.0, x_max=12.8, y_min=-6.4, y_max=6.4, cell=0.8)
    camera = CameraInputs(width_px=64, height_px=32, max_cameras=2, depth_bins=8, blocks=1)
    values = {"name": "small", "grid": grid, "camera": camera, "top_k": 10, **changes}
    return load_learned("tiny").model_copy(update=values)


def random_batch(config: LearnedConfig, frames: int = 1, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    camera = config.camera
    lift = (frames, *config.lift_shape[1:])
    index = torch.randint(0, camera.rows_per_camera * camera.max_cameras, lift)
    weight = (torch.rand(lift) > 0.3).float()
    bins = index * camera.depth_bins + torch.randint(0, camera.depth_bins, lift)
    return {
        "images": torch.randint(
            0, 255, (frames, camera.max_cameras, 3, camera.height_px, camera.width_px), dtype=torch.uint8
        ),
        "camera_present": torch.ones(frames, camera.max_cameras),
        "lidar": torch.rand(frames, *config.lidar_shape),
        "radar": torch.randn(frames, *config.radar_shape),
        "lift_index": (index * (weight > 0)).int(),
        "lift_bin": (bins * (weight > 0)).int(),
        "lift_weight": weight,
        "camera_age": torch.rand(frames, 1, *config.grid.shape),
        "coverage": torch.ones(frames, 3, *config.grid.shape),
        "available": torch.ones(frames, 3),
    }
