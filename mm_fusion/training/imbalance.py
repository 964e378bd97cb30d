"""Modality imbalance: gradients of the sensor that already does well are held back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GradientModulation:
    """On-the-fly gradient modulation with generalisation enhancement.

    k_s = 1 - tanh(alpha (r_s - 1)) where r_s = score_s / mean score of the other sensors exceeds 1, else 1;
    gradients of the convolutions of sensor s are multiplied by k_s, and noise of the spread of each gradient
    is added where k_s < 1. Source: Peng et al. (2022), Balanced Multimodal Learning via On-the-fly Gradient
    Modulation (OGM-GE). Different here: several sensors, so that each is compared with the mean of the rest;
    tanh(alpha (r - 1)) in place of tanh(alpha r), which would jump at r = 1; a sensor absent from the whole
    batch neither counts nor changes.
    """

    def __init__(self, alpha: float = 0.5, noise: float = 1.0, seed: int = 0) -> None:
        self.alpha, self.noise = alpha, noise
        self._generator = torch.Generator().manual_seed(seed)

    def coefficients(self, scores: Tensor, present: Tensor) -> Tensor:
        """Factors (S,) in 0..1 from how well each sensor alone does, scores (S,) >= 0; present: (S,) bool."""
        count = present.sum()
        if int(count) < 2:
            return torch.ones_like(scores)
        held = torch.where(present, scores.clamp(min=1e-6), torch.zeros_like(scores))
        others = (held.sum() - held) / (count - 1)
        ratio = held / others.clamp(min=1e-6)
        factor = 1 - torch.tanh(self.alpha * (ratio - 1))
        return torch.where(present & (ratio > 1), factor, torch.ones_like(factor))

    def apply(self, parts: Sequence[nn.Module], factors: Tensor) -> None:
        """Change the gradients of each sensor's part, after backward and before the optimiser's step."""
        for part, factor in zip(parts, factors.tolist()):
            if factor < 1:
                for parameter in part.parameters():
                    if parameter.grad is not None and parameter.ndim == 4:
                        self._modulate(parameter.grad, factor)

    def _modulate(self, gradient: Tensor, factor: float) -> None:
        spread = float(gradient.std(unbiased=False)) * self.noise
        drawn = torch.randn(gradient.shape, generator=self._generator).to(gradient)
        gradient.mul_(factor).add_(drawn, alpha=spread)


@torch.no_grad()
def sensor_scores(heatmaps: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
    """How sure (S,) each sensor's own heatmap (B, K, X, Y logits) is of the objects, on average."""
    found = []
    for logits in heatmaps:
        flat = torch.sigmoid(logits).flatten(2)  # (B, K, X Y)
        at = flat.gather(2, targets["cell"].unsqueeze(1).expand(-1, flat.shape[1], -1))
        mine = at.gather(1, targets["class_index"].unsqueeze(1)).squeeze(1)
        found.append((mine * targets["valid"]).sum() / targets["valid"].sum().clamp(min=1.0))
    return torch.stack(found)
