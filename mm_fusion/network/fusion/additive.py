"""A weighted sum with one learned weight per sensor and channel, renormalised over what is present."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network.fusion.masking import selected, shares


class AdditiveFusion(FusionOperator):
    """fused = sum_s w_s x_s, w_s,c = softmax_s(a_s,c) over the sensors present, for each channel c.

    x_s: (B, C, X, Y); a: (S, C), learned. Source: UniBEV (Wang et al., 2024), channel normalised weights.
    Different here: presence is told cell by cell, not for a whole frame.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(sensors, 1, channels, 1, 1))

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y): the mean of the channels' weights."""
        weights = shares(self.logits.to(features.dtype), available)
        fused = (weights * selected(features, available)).sum(0)
        return fused, weights.mean(2, keepdim=True)
