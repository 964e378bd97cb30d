"""Channels that a sensor has no use for carry another sensor's instead."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence
from mm_fusion.network.fusion.masking import pointwise, selected, shares


class ChannelExchangeFusion(FusionOperator):
    """fused = sum_s a_s y_s, y_s = gamma_s norm(V_s x_s) + beta_s; a dead channel of s (|gamma| below a
    threshold) takes the mean of that channel over the other sensors that are present and alive in it.

    x_s: (B, C, X, Y); gamma, beta, a: (S, C), a by softmax over the sensors present. Source: Wang et al.
    (2020), Deep Multimodal Fusion by Channel Exchanging. Different here: one exchange after the encoders
    instead of one after each layer; norm is over the cells where the sensor is present, with running numbers
    in evaluation; each sensor's l1 penalty lies on its own third of the channels, as in the paper; which
    channels are dead is a buffer that training renews, so that it is frozen at export. Weights: the share
    with which each sensor's own features enter, an exchanged channel counting for its donors.
    """

    def __init__(self, sensors: int, channels: int, threshold: float = 0.02, sparsity: float = 1e-3) -> None:
        super().__init__()
        self.threshold, self.sparsity = threshold, sparsity
        self.values = pointwise(sensors, channels, channels, bias=False)
        shape = (sensors, 1, channels, 1, 1)
        self.scale, self.shift = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.logits = nn.Parameter(torch.zeros(shape))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))
        self.register_buffer("dead", torch.zeros(shape))
        turn = torch.arange(channels).view(1, 1, -1, 1, 1) % sensors
        mine = turn == torch.arange(sensors).view(-1, 1, 1, 1, 1)
        self.register_buffer("penalised", mine.float(), persistent=False)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        mask = presence(available, features)
        values = torch.stack([value(part) for value, part in zip(self.values, selected(features, available))])
        if self.training:
            mean, spread = self._measured(values, mask)
        else:
            mean, spread = self.mean, self.spread
        parts = (values - mean.to(values.dtype)) / spread.to(values.dtype) * self.scale + self.shift
        entered = self._entered(shares(self.logits.to(values.dtype), available), mask)
        return (entered * selected(parts, available)).sum(0), entered.mean(2, keepdim=True)

    def _entered(self, weights: Tensor, mask: Tensor) -> Tensor:
        """Share (S, B, C, X, Y) with which each sensor's own channels enter, after the exchange."""
        dead = self.dead.to(weights.dtype)
        donors = (1 - dead) * mask  # (S, B, C, X, Y)
        given, count = weights * dead, donors.sum(0, keepdim=True)
        # a sensor that is dead in a channel is no donor of it: all donors are others
        exchanged = torch.where(count > 0, given.sum(0, keepdim=True) / count.clamp(min=1.0), 0.0)
        kept = torch.where(count > 0, weights * (1 - dead), weights)
        return kept + exchanged * donors

    def _measured(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and spread (S, 1, C, 1, 1) of this batch over present cells; renews the running numbers."""
        count = mask.sum((1, 3, 4), keepdim=True).clamp(min=1.0)
        mean = (values * mask).sum((1, 3, 4), keepdim=True) / count
        variance = ((values - mean).square() * mask).sum((1, 3, 4), keepdim=True) / count
        spread = (variance + 1e-3).sqrt()
        with torch.no_grad():
            seen = (mask.sum((1, 2, 3, 4), keepdim=True) > 0).to(mean.dtype)
            self.mean += 0.05 * seen * (mean.detach() - self.mean)
            self.spread += 0.05 * seen * (spread.detach() - self.spread)
            self.dead.copy_((self.scale.abs() < self.threshold).to(self.dead.dtype))
        return mean, spread

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """The l1 penalty of the scales, each sensor's on its own third of the channels."""
        return self.sparsity * (self.scale.abs() * self.penalised).sum()
