"""A weighted sum whose weights the features themselves decide, cell by cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network.fusion.masking import selected, shares


class SoftGateFusion(FusionOperator):
    """Weights from a small network over all present features, added to learned weights per channel.

    The gate's last layer starts at zero, so that the operator starts as `additive`.
    """

    def __init__(self, sensors: int, channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(sensors, 1, channels, 1, 1))
        self.look = nn.Conv2d(sensors * (channels + 1), hidden, 1)
        self.gate = nn.Conv2d(hidden, sensors, 3, padding=1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y): the mean of the channels' weights."""
        chosen = selected(features, available)
        mask = (available > 0).to(features.dtype)
        seen = torch.cat([torch.cat([chosen[i], mask[i]], 1) for i in range(len(self.logits))], 1)
        gate = self.gate(torch.relu(self.look(seen)))  # (B, S, X, Y)
        weights = shares(self.logits.to(features.dtype) + gate.transpose(0, 1).unsqueeze(2), available)
        return (weights * chosen).sum(0), weights.mean(2, keepdim=True)
