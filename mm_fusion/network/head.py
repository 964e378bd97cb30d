"""Maps of a CenterPoint-style head: one shared 3x3, then a 1x1 per quantity.

Source: CenterPoint (Yin et al., 2021).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mm_fusion.network.blocks import ConvBlock
from mm_fusion.network_config import LearnedConfig

QUANTITIES: dict[str, int] = {
    "offset": 2,
    "z": 1,
    "log_size": 3,
    "heading": 2,
    "velocity": 2,
    "log_variance": 9,
    "iou": 1,
    "moving": 1,
    "contribution": 3,
}
"""Channels of what is told for every cell beside the heatmaps.

offset: of the centre from the cell's middle, in cells; z m; log_size: of length, width, height; heading: sine
and cosine of yaw; velocity over ground: x and y in m/s, with `bearing` along and across the ray as
`bearing.py` says; log_variance: as `VARIANCES`; iou and moving: logits; contribution: signed Shapley values
of the score.
"""
VARIANCES = (
    "position_along", "position_across", "velocity_along", "velocity_across", "z", "l", "w", "h", "yaw",
)  # fmt: skip
"""Order of the log-variances; along and across the ray from `base_link`."""
PRIOR = 0.02
"""Share of cells taken to be objects before anything is learned; keeps the first steps calm."""


class Head(nn.Module):
    """Every map of the head by name: `heatmap` (B, K, X, Y) logits, and `QUANTITIES`."""

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        channels = config.trunk.head_channels
        self.shared = ConvBlock(config.trunk.channels, channels)
        self.heatmap = nn.Conv2d(channels, len(config.classes), 1)
        nn.init.constant_(self.heatmap.bias, math.log(PRIOR / (1 - PRIOR)))
        self.quantities = nn.Conv2d(channels, sum(QUANTITIES.values()), 1)
        nn.init.zeros_(self.quantities.bias)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """The maps, float32."""
        shared = self.shared(features)
        parts = self.quantities(shared).float().split(list(QUANTITIES.values()), 1)
        return {"heatmap": self.heatmap(shared).float(), **dict(zip(QUANTITIES, parts))}


class AuxiliaryHead(nn.Module):
    """A sensor's own heatmaps (B, K, X, Y): a training signal, and dropped at export."""

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        self.heatmap = nn.Conv2d(config.trunk.channels, len(config.classes), 1)
        nn.init.constant_(self.heatmap.bias, math.log(PRIOR / (1 - PRIOR)))

    def forward(self, features: Tensor) -> Tensor:
        """Logits, float32."""
        return self.heatmap(torch.relu(features)).float()
