"""From feature rows of cameras to a map on the grid, by the gather table that is an input of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.blocks import ConvBlock
from mm_fusion.network_config import LearnedConfig


def gather_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (B, ..., C) that `index` (B, ...) names in `rows` (B, R, C)."""
    batch, count, channels = rows.shape
    if batch > 1:
        shift = torch.arange(batch, device=index.device, dtype=index.dtype) * count
        index = index + shift.view(-1, *[1] * (index.ndim - 1))
    found = rows.reshape(batch * count, channels).index_select(0, index.reshape(-1).long())
    return found.reshape(*index.shape, channels)


def tap_weights(depth: Tensor | None, index: Tensor, weight: Tensor) -> Tensor:
    """Weights of taps, scaled by the probability of their depth bin; an even guess leaves them as they are.

    depth: (B, R, D) probabilities or None; index: flattened (row, bin) of each tap; weight: the same shape.
    """
    if depth is None:
        return weight
    batch, rows, bins = depth.shape
    return weight * gather_rows(depth.reshape(batch, rows * bins, 1), index).squeeze(-1) * bins


class CameraLift(nn.Module):
    """Features (B, C, X, Y) from thin rows: gathered at each height, scaled by depth, mixed over heights."""

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        self.use_depth = config.depth
        inputs = len(config.camera.heights) * config.camera.rows_channels + 1
        channels = config.trunk.channels
        self.mix = nn.Sequential(ConvBlock(inputs, channels, size=1), ConvBlock(channels, channels))
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(
        self, rows: Tensor, depth: Tensor, index: Tensor, bins: Tensor, weight: Tensor, age: Tensor
    ) -> Tensor:
        """Camera features on the grid.

        rows: (B, R, C) of all cameras; depth: (B, R, D); index, bins, weight: (B, X, Y, Z, S); age: (B, 1, X,
        Y) s.
        """
        scale = tap_weights(depth if self.use_depth else None, bins, weight).unsqueeze(-1).to(rows.dtype)
        taps = gather_rows(rows, index) * scale
        taps = torch.where(weight.unsqueeze(-1) > 0, taps, torch.zeros_like(taps))  # (B, X, Y, Z, S, C)
        lifted = taps.sum(4).flatten(3).permute(0, 3, 1, 2)  # (B, Z C, X, Y)
        return self.out(self.mix(torch.cat([lifted, age.to(lifted.dtype)], 1)))
