"""From the head's maps to the strongest K candidates, with operators that every backend knows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.bearing import VELOCITY_UNIT_MPS, from_ray, rays
from mm_fusion.network_config import GridConfig, LearnedConfig

LOG_SIZE = (-3.0, 3.5)
LOG_VARIANCE = (-9.0, 6.0)
"""Exponents are held within these, so that no size or variance leaves float16."""


def cell_centres(grid: GridConfig) -> Tensor:
    """Middles (X Y, 2) of the grid's cells in m, y fastest."""
    nx, ny = grid.shape
    x = grid.x_min + grid.cell * (torch.arange(nx) + 0.5)
    y = grid.y_min + grid.cell * (torch.arange(ny) + 0.5)
    return torch.stack(torch.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)


def pick(maps: Tensor, index: Tensor) -> Tensor:
    """Columns (B, K, C) of maps (B, C, X, Y) at flat cells `index` (B, K)."""
    flat = maps.flatten(2)
    wanted = index.unsqueeze(1).expand(-1, flat.shape[1], -1)
    return flat.gather(2, wanted).transpose(1, 2)


class Decoder(nn.Module):
    """Candidates of a frame: best class per cell, peaks of 3x3, one top-K over cells; no index is divided."""

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        nx, ny = config.grid.shape
        self.count = min(config.top_k, nx * ny)
        self.cell = config.grid.cell
        self.register_buffer("centres", cell_centres(config.grid), persistent=False)
        self.bearing = config.bearing
        self.register_buffer("rays", rays(self.centres), persistent=False)

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Candidates by name, strongest first.

        cell (B, K) int64; class_index (B, K) into the model's classes; score (B, K); box (B, K, 8) x y z l w
        h and sine and cosine of yaw; velocity (B, K, 2); variance (B, K, 9); iou, moving (B, K) 0..1;
        contribution (B, K, 3) signed.
        """
        best, class_map = maps["heatmap"].max(1, keepdim=True)
        heat = torch.sigmoid(best)
        peaks = torch.where(nn.functional.max_pool2d(heat, 3, 1, 1) <= heat, heat, torch.zeros_like(heat))
        score, cell = peaks.flatten(1).topk(self.count, 1)
        return {
            "cell": cell,
            "class_index": pick(class_map, cell).squeeze(-1),
            "score": score,
            **self.quantities(maps, cell),
        }

    def quantities(self, maps: dict[str, Tensor], cell: Tensor) -> dict[str, Tensor]:
        """What the maps say at flat cells (B, K): box, velocity, variances, iou, moving and contribution."""
        centre = self.centres[cell] + self.cell * pick(maps["offset"], cell)
        size = pick(maps["log_size"], cell).clamp(*LOG_SIZE).exp()
        heading = unit(pick(maps["heading"], cell))
        return {
            "box": torch.cat([centre, pick(maps["z"], cell), size, heading], -1),
            "velocity": self.velocity(maps["velocity"], cell),
            "variance": pick(maps["log_variance"], cell).clamp(*LOG_VARIANCE).exp(),
            "iou": torch.sigmoid(pick(maps["iou"], cell)).squeeze(-1),
            "moving": torch.sigmoid(pick(maps["moving"], cell)).squeeze(-1),
            "contribution": pick(maps["contribution"], cell),
        }

    def velocity(self, told: Tensor, cell: Tensor) -> Tensor:
        """Velocities (B, K, 2) over ground in m/s at flat cells (B, K) of a map (B, 2, X, Y)."""
        found = pick(told, cell)
        return from_ray(VELOCITY_UNIT_MPS * found, self.rays[cell]) if self.bearing else found


def unit(heading: Tensor) -> Tensor:
    """Sine and cosine (..., 2) of length one."""
    return heading / heading.square().sum(-1, keepdim=True).clamp(min=1e-6).sqrt()
