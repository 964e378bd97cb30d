"""What the gates that choose have in common: a look at all sensors, and the mean of those chosen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import presence
from mm_fusion.network.fusion.masking import LARGEST_LOGIT, selected

SUREST = 3.0
"""Logits of a gate stay within this: chances stay within 0.05 and 0.95, so that both are tried on."""


class GateNetwork(nn.Module):
    """Hidden features and a logit (S, B, 1, X, Y) per sensor from all features present and their mask.

    The last layer starts at zero: at first no sensor is preferred.
    """

    def __init__(self, sensors: int, channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.look = nn.Conv2d(sensors * (channels + 1), hidden, 1)
        self.say = nn.Conv2d(hidden, sensors, 3, padding=1)
        nn.init.zeros_(self.say.weight)
        nn.init.zeros_(self.say.bias)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden features (B, H, X, Y) and logits (S, B, 1, X, Y), softly held within `SUREST`."""
        chosen, mask = selected(features, available), presence(available, features)
        seen = torch.cat([torch.cat([part, there], 1) for part, there in zip(chosen, mask)], 1)
        hidden = torch.relu(self.look(seen))
        said = self.say(hidden).transpose(0, 1).unsqueeze(2)
        # a tanh of slope one at zero: 2 sigmoid(2 x) - 1
        return hidden, SUREST * (2 * torch.sigmoid(said * (2 / SUREST)) - 1)


def best_present(logits: Tensor, available: Tensor) -> Tensor:
    """Where (S, B, 1, X, Y) a sensor is the most wanted of those present (several, where they are equal)."""
    held = torch.where(available > 0, logits, torch.full_like(logits, -2 * LARGEST_LOGIT))
    return (held >= held.amax(0, keepdim=True)) & (available > 0)
