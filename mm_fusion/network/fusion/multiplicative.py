"""The product of what each sensor says, channel by channel: all that are present must agree."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, sizes

LARGEST_FACTOR = 8.0
"""Factors are held within this: a product of three stays far inside float16."""


class MultiplicativeFusion(FusionOperator):
    """fused = V prod_s f_s with f_s = 1 + U_s x_s where sensor s is present, and 1 where it is not.

    x_s: (B, C, X, Y); U_s: C -> C; V: C -> C. Source: the Hadamard product of Kim et al. (2017), Hadamard
    Product for Low-rank Bilinear Pooling. Different here: the one that is added makes an absent sensor the
    neutral element, and near zero the product begins as a sum, so that the first steps are calm; factors are
    clamped, where the paper takes a tanh, which would bend the product everywhere. Weights reported: the
    normalised mean size of U_s x_s, since the operator has none of its own.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.factors = pointwise(sensors, channels, channels)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        parts = selected(each(self.factors, selected(features, available)), available)
        product = torch.ones_like(parts[0])
        for part in parts:
            product = product * (1 + part).clamp(-LARGEST_FACTOR, LARGEST_FACTOR)
        return where_any(self.mix(product), available), normalised(sizes(parts), available)
