"""All sensors' channels side by side, mixed by one convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network.fusion.masking import normalised, selected


class ConcatFusion(FusionOperator):
    """fused = sum_s V_s x_s + P m + b: a 1x1 convolution over all sensors' channels and their availability m.

    x_s: (B, C, X, Y); V_s: C -> C; m: (B, S, X, Y) of 0 and 1. Source: plain concatenation, as in BEVFusion
    (Liu et al., 2023). Different here: the mask is an input, so that an absent sensor and an empty one
    differ. It has no weights of its own: those reported are the normalised mean size of each sensor's part.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(sensors))
        self.present = nn.Conv2d(sensors, channels, 1)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen = selected(features, available)
        # a convolution of zeros is zero: an absent sensor adds nothing
        parts = torch.stack([part(chosen[i]) for i, part in enumerate(self.parts)])
        mask = (available > 0).to(features.dtype)
        fused = parts.sum(0) + self.present(mask.squeeze(2).transpose(0, 1))
        anything = (available > 0).any(0)
        fused = torch.where(anything, fused, torch.zeros_like(fused))
        return fused, normalised(parts.abs().mean(2, keepdim=True), available)
