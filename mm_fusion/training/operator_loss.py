"""What a fusion operator adds to the loss, whatever it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mm_fusion.network.fusion.contract import FusionOperator


def operator_loss(fusion: FusionOperator, maps: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """The operator's own loss, a scalar, of the forward pass that gave `maps`; 0 for most."""
    return fusion.auxiliary_loss(cell_cost(maps["heatmap"], targets["heatmap"], targets["region"]))


@torch.no_grad()
def cell_cost(logits: Tensor, target: Tensor, region: Tensor) -> Tensor:
    """How wrong the heatmaps are in each cell (B, 1, X, Y): cross entropy, 0 outside the region."""
    cost = functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    return cost.sum(1, keepdim=True) * region.unsqueeze(1)
