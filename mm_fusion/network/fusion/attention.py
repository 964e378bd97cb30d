"""Sensors at a cell and around it as tokens that attend to each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, shares
from mm_fusion.network.fusion.neighbours import AROUND, seen_from

LARGEST_ENTRY = 8.0
"""Queries and keys are held within this, so that their products stay inside float16."""


class AttentionFusion(FusionOperator):
    """fused = sum_s r_s x_s + W sum_s r_s sum_(t,o) softmax_(t,o)(q_s . (k_t,o + p_o) / sqrt(D)) v_t,o

    x_s: (B, C, X, Y); s: tokens of the cell; (t, o): sensors t at the cell and its eight neighbours o, absent
    ones masked; q, k, v: C -> D with a bias per sensor (its embedding); p_o: positional embedding (9, D); r:
    softmax of learned logits over the sensors present. Source: Vaswani et al. (2017), Attention Is All You
    Need; sensor tokens per cell as in FUTR3D (Chen et al., 2023). Different here: local, one head, and
    queries are averaged before values are gathered, which gives the same sum at a third of the cost. Weights:
    mean of r and of the attention that each sensor gets, over the sensors present in the cell itself.
    """

    def __init__(self, sensors: int, channels: int, width: int = 16) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (pointwise(sensors, channels, width) for _ in range(3))
        self.position = nn.Parameter(torch.randn(len(AROUND), 1, 1, width, 1, 1) * 0.1)
        self.logits = nn.Parameter(torch.zeros(sensors, 1, 1, 1, 1))
        self.out = nn.Conv2d(width, channels, 1)
        self.shrink = width**-0.5

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen = selected(features, available)
        own = shares(self.logits.to(features.dtype), available)
        attention = self._attention(chosen, available, own)  # (9, S, B, 1, X, Y)
        values = seen_from(selected(each(self.values, chosen), available))
        gathered = torch.stack([(a * v).sum(0) for a, v in zip(attention, values)]).sum(0)
        fused = (own * chosen).sum(0) + self.out(gathered)
        return where_any(fused, available), normalised(attention.sum(0) + own, available)

    def _attention(self, chosen: Tensor, available: Tensor, own: Tensor) -> Tensor:
        """Attention (9, S, B, 1, X, Y) that each token gets, averaged over the cell's queries."""
        query, key = (
            each(maps, chosen).clamp(-LARGEST_ENTRY, LARGEST_ENTRY) for maps in (self.queries, self.keys)
        )
        query = query * self.shrink
        scores = []
        for key_beside, place in zip(seen_from(key), self.position):
            beside = (key_beside + place).unsqueeze(1)  # (S keys, 1, B, D, X, Y)
            scores.append((beside * query).sum(3, keepdim=True))
        present = torch.cat(seen_from((available > 0).to(chosen.dtype))).unsqueeze(1)  # (9 S, 1, B, 1, X, Y)
        attention = shares(torch.cat(scores), present)  # (9 S keys, S queries, B, 1, X, Y)
        return (attention * own).sum(1).unflatten(0, (len(AROUND), -1))
