"""An expert for each set of sensors; those that need an absent one are not asked."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence
from mm_fusion.network.fusion.masking import selected, shares


class ExpertsFusion(FusionOperator):
    """fused = sum_e g_e E_e [x_s for s in e] over all non-empty sets e of sensors, of which all are present.

    E_e: |e| C -> C; g: softmax over the experts that can be asked, of logits told by all present features and
    the mask. With three sensors there are seven experts; with one present, one. Source: Park et al. (2025),
    Resilient Sensor Fusion under Adverse Sensor Failures via Multi-Modal Expert Fusion; Yun et al. (2024),
    Flex-MoE (experts for missing combinations); balance after Shazeer et al. (2017), Outrageously Large
    Neural Networks. Different here: the router works cell by cell and softly, and availability is a mask on
    experts and not a learned embedding. Weights: each expert's share, evenly over its sensors.
    """

    def __init__(self, sensors: int, channels: int, hidden: int = 16, balance: float = 0.01) -> None:
        super().__init__()
        self.balance = balance
        self.sets = [c for n in range(1, sensors + 1) for c in combinations(range(sensors), n)]
        self.experts = nn.ModuleList(nn.Conv2d(len(each) * channels, channels, 1) for each in self.sets)
        self.look = nn.Conv2d(sensors * (channels + 1), hidden, 1)
        self.route = nn.Conv2d(hidden, len(self.sets), 1)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen, mask = selected(features, available), presence(available, features)
        allowed = torch.stack([1 - (1 - mask[list(each)]).amax(0) for each in self.sets])  # (E, B, 1, X, Y)
        seen = torch.cat([torch.cat([part, there], 1) for part, there in zip(chosen, mask)], 1)
        logits = self.route(torch.relu(self.look(seen))).transpose(0, 1).unsqueeze(2)
        routed = shares(logits, allowed)
        if self.training:
            self.kept = (routed, allowed)
        fused = torch.zeros_like(chosen[0])
        for share, each, expert in zip(routed, self.sets, self.experts):
            fused = fused + share * expert(torch.cat([chosen[i] for i in each], 1))
        return fused, self._weights(routed)

    def _weights(self, routed: Tensor) -> Tensor:
        rows = []
        for sensor in range(len(self.sets[-1])):
            parts = [routed[e] / len(each) for e, each in enumerate(self.sets) if sensor in each]
            rows.append(torch.stack(parts).sum(0))
        return torch.stack(rows)

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """Squared spread of the experts' mean shares where each can be asked, relative to their mean."""
        kept = self.take()
        if kept is None:
            return cost.new_zeros(())
        routed, allowed = kept
        asked = allowed.sum((1, 2, 3, 4))
        load = routed.sum((1, 2, 3, 4)) / asked.clamp(min=1.0)
        known = (asked > 0).to(load.dtype)
        count = known.sum().clamp(min=1.0)
        mean = (load * known).sum() / count
        spread = ((load - mean).square() * known).sum() / count
        return self.balance * spread / mean.square().clamp(min=1e-6)
