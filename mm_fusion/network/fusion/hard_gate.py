"""Sensors chosen cell by cell, in or out, with a gradient as if the choice were soft."""

from __future__ import annotations

import torch
from torch import Tensor

from mm_fusion.network.fusion.contract import FusionOperator, presence
from mm_fusion.network.fusion.gating import GateNetwork, best_present
from mm_fusion.network.fusion.masking import pointwise, selected


class HardGateFusion(FusionOperator):
    """fused = sum_s k_s V_s x_s / sum_s k_s, with k_s = 1 where the gate's logit g_s >= 0 or is the best.

    x_s: (B, C, X, Y); g: (S, B, 1, X, Y) from all present features. In training g has logistic noise, and the
    gradient is that of the soft shares sigmoid(g_s) / sum sigmoid(g): straight through. Source: Bengio et al.
    (2013), Estimating or Propagating Gradients Through Stochastic Neurons; noise as in Jang et al. (2017),
    Categorical Reparameterization with Gumbel-Softmax. Different here: several sensors may be chosen, and
    the best one always is. Weights are the shares k_s / sum k.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.gate = GateNetwork(sensors, channels)
        self.values = pointwise(sensors, channels, channels)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen, mask = selected(features, available), presence(available, features)
        logits = self.gate(features, available)[1]
        if self.training:
            noise = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
            logits = logits + torch.log(noise) - torch.log(1 - noise)
        wanted = torch.where(logits >= 0, torch.ones_like(mask), torch.zeros_like(mask))
        kept = torch.where(best_present(logits, available), torch.ones_like(mask), wanted * mask)
        weights = kept / kept.sum(0, keepdim=True).clamp(min=1.0)
        if self.training:
            # logits with noise stay within 17, a sigmoid of which is above 4e-8: only an empty cell is held
            soft = torch.sigmoid(logits.float()) * mask
            soft = soft / soft.sum(0, keepdim=True).clamp(min=1e-9)
            weights = weights + (soft - soft.detach()).to(weights.dtype)
        values = torch.stack([value(part) for value, part in zip(self.values, chosen)])
        # the weights' own value may be off by a rounding step while training; absent ones are exactly 0
        return (weights * selected(values, available)).sum(0), weights
