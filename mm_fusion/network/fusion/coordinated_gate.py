"""Sensors that agree with the others weigh more: the odd one out is believed least."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence
from mm_fusion.network.fusion.masking import each, pointwise, selected, shares

LARGEST_ENTRY = 8.0
"""Embeddings are held within this."""


class CoordinatedGateFusion(FusionOperator):
    """fused = sum_s w_s x_s, w = softmax_s(a_s + beta mean_(t != s) sim(e_s, e_t)) over those present.

    e_s = U_s x_s (B, D, X, Y); a: learned per sensor and channel; beta: learned, begins at 2; sim: the
    cosine, or the kernel exp(-|e_s - e_t|^2 / D). A sensor alone has nothing to agree with and gets
    everything. Source: coordinated representations of Baltrusaitis et al. (2019), Multimodal Machine
    Learning: A Survey and Taxonomy. Different here: the coordination is not an own loss but steers the
    weights. Weights are the mean of w over channels.
    """

    def __init__(
        self, sensors: int, channels: int, width: int = 16, kind: Literal["cosine", "rbf"] = "cosine"
    ) -> None:
        super().__init__()
        self.kind = kind
        self.embed = pointwise(sensors, channels, width)
        self.logits = nn.Parameter(torch.zeros(sensors, 1, channels, 1, 1))
        self.sharpness = nn.Parameter(torch.full((1, 1, 1, 1, 1), 2.0))

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen = selected(features, available)
        weights = shares(self.logits + self.sharpness * self.agreement(features, available), available)
        return (weights * chosen).sum(0), weights.mean(2, keepdim=True)

    def agreement(self, features: Tensor, available: Tensor) -> Tensor:
        """Mean similarity (S, B, 1, X, Y) of each sensor to the others present; 0 where there is none."""
        mask = presence(available, features)
        embedded = each(self.embed, selected(features, available)).clamp(-LARGEST_ENTRY, LARGEST_ENTRY)
        found = []
        for number, mine in enumerate(embedded):
            others = [other for other in range(len(embedded)) if other != number]
            alike = torch.stack([similarity(mine, embedded[other], self.kind) for other in others])
            there = mask[others]
            found.append((alike * there).sum(0) / there.sum(0).clamp(min=1.0))
        return torch.stack(found)


def similarity(a: Tensor, b: Tensor, kind: Literal["cosine", "rbf"]) -> Tensor:
    """How alike embeddings (B, D, X, Y) are, (B, 1, X, Y): -1..1 (cosine) or 0..1 (rbf)."""
    if kind == "rbf":
        return torch.exp(-(a - b).square().mean(1, keepdim=True))
    lengths = [(each_.square().sum(1, keepdim=True) + 1e-3).sqrt() for each_ in (a, b)]
    return (a * b).sum(1, keepdim=True) / lengths[0] / lengths[1]
