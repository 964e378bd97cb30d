"""A weighted sum whose weights the features themselves decide, cell by cell."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network.fusion.masking import selected

LARGEST_LOGIT = 8.0
"""Gates are held within this, and channel logits within this of the largest: no quotient leaves float16."""


class SoftGateFusion(FusionOperator):
    """fused = sum_s w_s x_s, w_s,c = softmax_s(a_s,c + g_s) over the sensors present.

    x_s: (B, C, X, Y); a: (S, C), learned as in `additive`; g: (S, B, 1, X, Y), told by a small network over
    all present features and the mask. Source: gates on features as in Arevalo et al. (2017), Gated Multimodal
    Units, on the weights of UniBEV (Wang et al., 2024). Different here: the softmax is over what is present.
    The weight of sensor s in channel c of a cell is e^(l_sc + g_s) over its sum over the sensors present. It
    is a product of a factor per channel and one per cell, so that nothing as large as the features is
    exponentiated. The gate's last layer starts at zero: the operator starts as `additive`.
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
        cells = _cell_parts(self.gate(torch.relu(self.look(seen))), mask)  # (B, S, X, Y)
        logits = self.logits.float()
        channels = torch.exp((logits - logits.amax(0, keepdim=True)).clamp(min=-LARGEST_LOGIT))
        mix = channels.flatten(1)  # (S, C), 1 for the largest of each channel
        total = functional.conv2d(cells, mix.t().reshape(mix.shape[1], len(mix), 1, 1))
        share = 1.0 / total.clamp(min=1e-4)
        parts = cells.transpose(0, 1).unsqueeze(2)
        fused = (chosen * channels.to(chosen.dtype) * parts.to(chosen.dtype)).sum(0)
        weights = functional.conv2d(share, mix.reshape(*mix.shape, 1, 1) / mix.shape[1]) * cells
        return fused * share.to(fused.dtype), weights.transpose(0, 1).unsqueeze(2).to(features.dtype)


def _cell_parts(gate: Tensor, mask: Tensor) -> Tensor:
    """e^gate (B, S, X, Y), float32, the largest of those present 1, and 0 where a sensor is absent."""
    present = mask.squeeze(2).transpose(0, 1) > 0
    held = torch.where(present, gate.float().clamp(-LARGEST_LOGIT, LARGEST_LOGIT), -2 * LARGEST_LOGIT)
    return torch.exp(held - held.amax(1, keepdim=True)).masked_fill(~present, 0.0)
