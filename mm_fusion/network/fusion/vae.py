"""One hidden cause per cell, told by each sensor with an uncertainty, joined as independent witnesses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected

LARGEST_MEAN = 8.0
LOG_VARIANCE = (-4.0, 4.0)
"""Means and log-variances are held within these: precisions and their products stay inside float16."""


class VaeFusion(FusionOperator):
    """fused = V [mu, log sigma^2] of the posterior N(mu, sigma^2) of a latent z (B, L, X, Y):

    1 / sigma^2 = 1 + sum_s 1 / sigma_s^2,   mu = sigma^2 sum_s mu_s / sigma_s^2

    with (mu_s, log sigma_s^2) = E_s x_s for each sensor present and the prior N(0, 1). The loss is
    KL(posterior || prior) - E log N(x_s; D_s z, tau_s^2), z drawn from the posterior, tau learned per
    channel, the mean over present cells; features are taken as given in it, or they would be made easy to
    rebuild. Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes; Wu and Goodman (2018),
    Multimodal Generative Models for Scalable Weakly-Supervised Learning (product of experts). Different here:
    a latent per cell, linear maps (the neck is deep enough), evaluation takes the mean, and the variance goes
    on to the neck. Weights: the share of precision that each sensor brings, averaged over the latent.
    """

    def __init__(self, sensors: int, channels: int, latent: int = 16, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.encoders = pointwise(sensors, channels, 2 * latent)
        self.decoders = pointwise(sensors, latent, channels)
        self.log_noise = nn.Parameter(torch.zeros(sensors, 1, channels, 1, 1))
        self.out = nn.Conv2d(2 * latent, channels, 1)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        mean, variance, precision = self._joined(features, available)
        latent = mean
        if self.training:
            latent = mean + torch.randn_like(mean) * variance.sqrt()
            self.kept = (selected(features, available).detach(), presence(available, features))
            self.kept += (mean, variance, latent)
        fused = self.out(torch.cat([latent, variance.log()], 1))
        return where_any(fused, available), normalised(precision.mean(2, keepdim=True), available)

    def posterior(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (B, L, X, Y) of the latent; those of the prior, 0 and 1, where nothing is."""
        return self._joined(features, available)[:2]

    def _joined(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance of the posterior, and what precision each sensor brought (S, B, L, X, Y)."""
        means, log_variances = each(self.encoders, selected(features, available)).chunk(2, 2)
        means = means.clamp(-LARGEST_MEAN, LARGEST_MEAN)
        precision = selected(torch.exp(-log_variances.clamp(*LOG_VARIANCE)), available)
        variance = 1 / (1 + precision.sum(0))
        return variance * (means * precision).sum(0), variance, precision

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """`weight` times the negative evidence lower bound, per present cell and channel of a sensor."""
        kept = self.take()
        if kept is None:
            return cost.new_zeros(())
        features, mask, mean, variance, latent = kept
        anything = mask.amax(0)
        divergence = 0.5 * (mean.square() + variance - 1 - variance.log()) * anything
        rebuilt = torch.stack([decoder(latent) for decoder in self.decoders])
        log_noise = self.log_noise.clamp(-8.0, 8.0)
        unlikely = (features - rebuilt).square() * torch.exp(-log_noise) + log_noise + math.log(2 * math.pi)
        bound = divergence.sum() + 0.5 * (unlikely * mask).sum()
        return self.weight * bound / (anything.sum() * features.shape[2]).clamp(min=1.0)
