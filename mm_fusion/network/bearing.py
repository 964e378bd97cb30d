"""Bearing and range of the grid's cells: a convolution does not know where it is.

A radar measures speed along the ray, and a camera sees size by range. Where the ray is not known, neither is
of use, so a model with `bearing` tells velocity along and across the ray, in units of 10 m/s, and hands each
cell its place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network_config import LearnedConfig

VELOCITY_UNIT_MPS = 10.0
"""Velocities along and across the ray are told in multiples of this, as the radar raster holds them."""
RANGE_UNIT_M = 50.0


def rays(centres: Tensor) -> Tensor:
    """Unit vectors (..., 2) from `base_link` to places (..., 2)."""
    return centres / centres.norm(dim=-1, keepdim=True).clamp(min=1e-3)


def along_across(vector: Tensor, ray: Tensor) -> Tensor:
    """Components (..., 2) along and across rays of vectors (..., 2); across is to the left."""
    x, y = vector.unbind(-1)
    c, s = ray.unbind(-1)
    return torch.stack([x * c + y * s, y * c - x * s], -1)


def from_ray(parts: Tensor, ray: Tensor) -> Tensor:
    """Vectors (..., 2) whose components along and across rays are `parts`: undoes `along_across`."""
    along, across = parts.unbind(-1)
    c, s = ray.unbind(-1)
    return torch.stack([along * c - across * s, along * s + across * c], -1)


class CellPlace(nn.Module):
    """What each cell's bearing and range add to its features, only where a sensor sees."""

    def __init__(self, config: LearnedConfig, centres: Tensor) -> None:
        super().__init__()
        where = torch.cat([rays(centres), centres.norm(dim=-1, keepdim=True) / RANGE_UNIT_M], -1)
        self.register_buffer("where", where.T.reshape(1, 3, *config.grid.shape), persistent=False)
        self.mix = nn.Conv2d(3, config.trunk.channels, 1, bias=False)

    def forward(self, available: Tensor) -> Tensor:
        """Features (B, C, X, Y); available: (S, B, 1, X, Y), above zero where a sensor sees."""
        # a product with an input: folded, the file would hold these features in full
        seen = (available.amax(0) > 0).to(self.where.dtype)
        out: Tensor = self.mix(self.where * seen)
        return out
