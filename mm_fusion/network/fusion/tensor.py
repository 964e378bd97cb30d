"""Every product of one feature from each sensor, of two, of one and of none: the outer product with ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, sizes
from mm_fusion.network.fusion.multiplicative import LARGEST_FACTOR


class TensorFusion(FusionOperator):
    """fused = V ([1, h_1] x [1, h_2] x ... x [1, h_S]) + sum_s W_s x_s, with h_s = U_s x_s of few channels.

    x_s: (B, C, X, Y); U_s: C -> D; the outer product has (D + 1)^S channels (125 with D = 4); V: those -> C.
    Source: Zadeh et al. (2017), Tensor Fusion Network. Different here: features are brought to D channels
    first, since 33^3 products per cell are too many; a straight path W_s carries what D channels cannot; an
    absent sensor has h_s = 0, so that just the terms without it are left. Weights reported: the normalised
    mean size of h_s.
    """

    def __init__(self, sensors: int, channels: int, thin: int = 4) -> None:
        super().__init__()
        self.thin = pointwise(sensors, channels, thin)
        self.straight = pointwise(sensors, channels, channels, bias=False)
        self.reduce = nn.Conv2d((thin + 1) ** sensors, channels, 1)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen = selected(features, available)
        parts = selected(each(self.thin, chosen), available).clamp(-LARGEST_FACTOR, LARGEST_FACTOR)
        products = torch.ones_like(parts[0][:, :1])
        for part in parts:
            extended = torch.cat([torch.ones_like(part[:, :1]), part], 1)
            products = (products.unsqueeze(2) * extended.unsqueeze(1)).flatten(1, 2)  # (B, ... (D + 1), X, Y)
        fused = self.reduce(products) + each(self.straight, chosen).sum(0)
        return where_any(fused, available), normalised(sizes(parts), available)
