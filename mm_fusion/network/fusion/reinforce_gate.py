"""Sensors chosen cell by cell as bets, each with a price: an expensive one must earn it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence
from mm_fusion.network.fusion.gating import GateNetwork, best_present
from mm_fusion.network.fusion.masking import each, pointwise, selected

PRICES = (0.01, 0.02, 0.005)
"""What using camera, LiDAR and radar costs in a cell, in units of the task's cost per cell."""
CURIOSITY = 0.1
"""Weight of the choices' entropy beside the mean cost of a cell: both are tried until one is known to pay."""
WARM_UP = 300
"""Steps in which every sensor is used by the toss of a coin and only what follows the gate learns."""


class ReinforceGateFusion(FusionOperator):
    """fused = mean of V_s x_s over the sensors s that the gate uses.

    The gate uses sensor s in a cell with the chance p_s = sigmoid(g_s): drawn in training; in evaluation
    where p_s >= 1/2; the best sensor where none is. Its loss is that of REINFORCE, mean over cells of
    (cost + sum_s price_s k_s - baseline) log P(k), with the baseline from a value head that sees what the
    gate sees. cost: the task's of the cell, averaged over its neighbourhood, 3x3 by default, since what
    follows looks around. Source: Williams (1992), Simple Statistical Gradient-Following Algorithms; a price
    per modality, and the policy learned after the rest, as in AdaMML (Panda et al., 2021). Different here:
    each cell is a bet of its own, so that one frame gives thousands. Weights are even over the sensors used.
    """

    def __init__(
        self,
        sensors: int,
        channels: int,
        prices: Sequence[float] = PRICES,
        around: int = 3,
        warm_up: int = WARM_UP,
    ) -> None:
        super().__init__()
        self.around, self.warm_up = around, warm_up
        self.gate = GateNetwork(sensors, channels)
        self.value = nn.Conv2d(16, 1, 1)
        self.values = pointwise(sensors, channels, channels)
        prices = [prices[i % len(prices)] for i in range(sensors)]
        self.register_buffer("prices", torch.tensor(prices).view(-1, 1, 1, 1, 1), persistent=False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        hidden, logits = self.gate(features, available)
        mask = presence(available, features)
        drawn = self._drawn(logits) * mask
        best = best_present(logits, available).to(features.dtype)
        used = torch.where((drawn > 0).any(0, keepdim=True), drawn, best)
        if self.training:
            self.kept = (logits.float(), drawn.float(), used.float(), mask.float())
            self.kept += (self.value(hidden.detach()).float(),)
        weights = used / used.sum(0, keepdim=True).clamp(min=1.0)
        values = each(self.values, selected(features, available))
        return (weights * selected(values, available)).sum(0), weights

    def _drawn(self, logits: Tensor) -> Tensor:
        """Which sensors the gate wants (S, B, 1, X, Y), 0 or 1."""
        if not self.training:
            return (logits >= 0).to(logits.dtype)
        self.steps += 1
        chance = torch.sigmoid(logits) if self._learns() else torch.full_like(logits, 0.5)
        return (torch.rand_like(logits) < chance).to(logits.dtype)

    def _learns(self) -> bool:
        return int(self.steps) > self.warm_up

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """REINFORCE's loss of the gate plus the squared error of its value head."""
        kept = self.take()
        if kept is None:
            return cost.new_zeros(())
        logits, drawn, used, mask, value = kept
        around = self.around
        local = nn.functional.avg_pool2d(cost.float(), around, 1, around // 2, count_include_pad=False)
        paid = local + (self.prices * used).sum(0)  # (B, 1, X, Y)
        anything = mask.amax(0)
        cells = anything.sum().clamp(min=1.0)
        value_error = ((value - paid).square() * anything).sum() / cells
        if not self._learns():
            return value_error
        gain = paid - value.detach()
        curiosity = CURIOSITY * (paid * anything).sum() / cells
        yes, no = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
        bets = gain * torch.where(drawn > 0, yes, no) + curiosity * (yes.exp() * yes + no.exp() * no)
        return value_error + (bets * mask).sum() / mask.sum().clamp(min=1.0)
