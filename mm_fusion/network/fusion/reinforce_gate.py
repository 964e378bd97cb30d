"""Sensors chosen cell by cell as bets, each with a price: an expensive one must earn it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence
from mm_fusion.network.fusion.gating import GateNetwork, best_present
from mm_fusion.network.fusion.masking import pointwise, selected, shares

PRICES = (0.01, 0.02, 0.005)
"""What using camera, LiDAR and radar costs in a cell, in units of the task's cost per cell."""


class ReinforceGateFusion(FusionOperator):
    """fused = sum_s w_s V_s x_s, w_s = softmax of learned logits over the sensors that the gate uses.

    The gate uses sensor s in a cell with the chance p_s = sigmoid(g_s): drawn in training; in evaluation
    where p_s >= 1/2, and the best sensor where none is. Its loss is that of REINFORCE, mean over cells of
    (cost + sum_s price_s k_s - baseline) log P(k), with the baseline from a value head that sees what the
    gate sees. cost: the task's of the cell, averaged over its 3x3 neighbourhood. Source: Williams (1992),
    Simple Statistical Gradient-Following Algorithms; a price per modality as in AdaMML (Panda et al., 2021).
    Different here: each cell is a bet of its own, so that one frame gives thousands. Weights are w_s.
    """

    def __init__(self, sensors: int, channels: int, prices: Sequence[float] = PRICES) -> None:
        super().__init__()
        self.gate = GateNetwork(sensors, channels)
        self.value = nn.Conv2d(16, 1, 1)
        self.values = pointwise(sensors, channels, channels)
        self.logits = nn.Parameter(torch.zeros(sensors, 1, 1, 1, 1))
        prices = [prices[i % len(prices)] for i in range(sensors)]
        self.register_buffer("prices", torch.tensor(prices).view(-1, 1, 1, 1, 1), persistent=False)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        hidden, logits = self.gate(features, available)
        used = self._used(logits, available)
        if self.training:
            drawn = (used & (available > 0)).float()
            self.kept = (
                logits.float(),
                drawn,
                presence(available, logits.float()),
                self.value(hidden.detach()),
            )
        best = best_present(logits, available)
        some = (used & (available > 0)).any(0, keepdim=True)
        kept = torch.where(some, presence(available, features) * used, best.to(features.dtype))
        weights = shares(self.logits.to(features.dtype), kept)
        values = torch.stack([value(part) for value, part in zip(self.values, selected(features, available))])
        return (weights * selected(values, available)).sum(0), weights

    def _used(self, logits: Tensor, available: Tensor) -> Tensor:
        if not self.training:
            return logits >= 0
        return torch.rand_like(logits) < torch.sigmoid(logits)

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """REINFORCE's loss of the gate plus the squared error of its value head."""
        kept = self.take()
        if kept is None:
            return cost.new_zeros(())
        logits, drawn, mask, value = kept
        local = nn.functional.avg_pool2d(cost.float(), 3, 1, 1, count_include_pad=False)
        paid = local + (self.prices * drawn).sum(0)  # (B, 1, X, Y)
        chance = nn.functional.logsigmoid(logits) * drawn + nn.functional.logsigmoid(-logits) * (1 - drawn)
        gain = (paid - value.detach()).unsqueeze(0)
        bets = mask.sum().clamp(min=1.0)
        anything = mask.amax(0)
        policy = (gain * chance * mask).sum() / bets
        return policy + ((value.float() - paid).square() * anything).sum() / anything.sum().clamp(min=1.0)
