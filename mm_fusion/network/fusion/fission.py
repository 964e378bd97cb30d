"""What sensors share apart from what each alone knows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence, where_any
from mm_fusion.network.fusion.coordinated_gate import similarity
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, sizes

LARGEST_ENTRY = 8.0
"""Shared and private parts are held within this."""


class FissionFusion(FusionOperator):
    """fused = M mean_s(a_s) + sum_s Q_s p_s, with the shared part a_s = A_s x_s, the private p_s = P_s x_s.

    x_s: (B, C, X, Y); A, P: C -> D; the mean is over the sensors present. The loss pulls the shared parts
    together, 1 - cos(a_s, mean a), and decorrelates shared from private: the mean squared correlation of
    their channels over present cells. Source: Bousmalis et al. (2016), Domain Separation Networks; Hazarika
    et al. (2020), MISA; Wang et al. (2023), ShaSpec, for missing modalities. Different here: no decoder
    rebuilds the features (the task needs both parts), and correlation takes the place of orthogonality, since
    it does not depend on size. Weights: the normalised mean size of each sensor's two parts.
    """

    def __init__(self, sensors: int, channels: int, width: int = 16, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.shared, self.private = (pointwise(sensors, channels, width) for _ in range(2))
        self.join = nn.Conv2d(width, channels, 1)
        self.add = pointwise(sensors, width, channels, bias=False)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        shared, private = self._parts(features, available)
        mask = presence(available, features)
        mean = shared.sum(0) / mask.sum(0).clamp(min=1.0)
        if self.training:
            self.kept = (shared, private, mask, mean)
        fused = self.join(mean) + each(self.add, private).sum(0)
        return where_any(fused, available), normalised(sizes(shared) + sizes(private), available)

    def _parts(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        chosen = selected(features, available)
        shared, private = (
            selected(each(part, chosen), available).clamp(-LARGEST_ENTRY, LARGEST_ENTRY)
            for part in (self.shared, self.private)
        )
        return shared, private

    def redundancy(self, features: Tensor, available: Tensor) -> Tensor:
        """How many sensors (B, 1, X, Y) tell the shared part alone: agreement with its mean, added up."""
        shared, _ = self._parts(features, available)
        mask = presence(available, features)
        mean = shared.sum(0) / mask.sum(0).clamp(min=1.0)
        alike = torch.stack([similarity(part, mean, "cosine") for part in shared])
        return (alike.clamp(min=0.0) * mask).sum(0)

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """How far the shared parts are apart, and how far the private ones go with them."""
        kept = self.take()
        if kept is None:
            return cost.new_zeros(())
        shared, private, mask, mean = kept
        apart = [
            ((1 - similarity(part, mean, "cosine")) * there).sum() / there.sum().clamp(min=1.0)
            for part, there in zip(shared, mask)
        ]
        along = [correlation(a, p, there) for a, p, there in zip(shared, private, mask)]
        return self.weight * (torch.stack(apart).mean() + torch.stack(along).mean())


def correlation(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean squared correlation, a scalar, of the channels of a and b (B, D, X, Y) where mask (B, 1, X, Y)."""
    count = mask.sum().clamp(min=2.0)
    rows = []
    for maps in (a, b):
        mean = (maps * mask).sum((0, 2, 3), keepdim=True) / count
        centred = ((maps - mean) * mask).transpose(0, 1).flatten(1)  # (D, B X Y)
        rows.append(centred / (centred.square().sum(1, keepdim=True) + 1e-3).sqrt())
    return (rows[0] @ rows[1].T).square().mean()
