"""The outer product with ones without ever making it: a sum of rank-one factors."""

from __future__ import annotations

import torch
from torch import Tensor

from mm_fusion.network.fusion.contract import FusionOperator, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, sizes
from mm_fusion.network.fusion.multiplicative import LARGEST_FACTOR


class LowRankFusion(FusionOperator):
    """fused = sum_r prod_s (W_s^r x_s + b_s^r), r = 1 ... R.

    x_s: (B, C, X, Y); W_s: C -> R C. Source: Liu et al. (2018), Efficient Low-rank Multimodal Fusion with
    Modality-Specific Factors. Different here: b begins at one, so that the product begins as a sum; an absent
    sensor leaves its b alone, as x_s = 0 does in the paper; factors are clamped for float16. Weights
    reported: the normalised mean size of W_s x_s.
    """

    def __init__(self, sensors: int, channels: int, rank: int = 4) -> None:
        super().__init__()
        self.rank = rank
        self.factors = pointwise(sensors, channels, rank * channels, bias=False)
        self.constants = torch.nn.Parameter(torch.ones(sensors, 1, rank * channels, 1, 1))

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        # a convolution of zeros without a bias is zero
        parts = each(self.factors, selected(features, available))
        product = torch.ones_like(parts[0])
        for part, constant in zip(parts, self.constants):
            product = product * (part + constant).clamp(-LARGEST_FACTOR, LARGEST_FACTOR)
        fused = product.unflatten(1, (self.rank, -1)).sum(1)
        return where_any(fused, available), normalised(sizes(parts), available)
