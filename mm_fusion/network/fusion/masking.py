"""Selecting what is present, and shares that sum to one over it, finite in float16 for any mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST_LOGIT = 20.0
"""Logits are held within this, so that neither they nor their differences leave float16."""


def selected(features: Tensor, available: Tensor) -> Tensor:
    """`features` where available, else 0: chosen, not multiplied, since NaN x 0 is NaN."""
    return features.masked_fill(~(available > 0), 0.0)


def shares(logits: Tensor, available: Tensor) -> Tensor:
    """Softmax over dimension 0 of what is present; 0 for the absent, and for all where none is.

    logits: (S, ...); available: broadcasts to it, > 0 is present.
    """
    present = available > 0
    held = torch.where(present, logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT), -2 * LARGEST_LOGIT)
    parts = torch.where(present, torch.exp(held - held.amax(0, keepdim=True)), 0.0)
    total = parts.sum(0, keepdim=True)
    # with any sensor present the largest part is 1, so that only an empty cell is held here
    return parts / total.clamp(min=0.5)


def normalised(amounts: Tensor, available: Tensor) -> Tensor:
    """Non-negative `amounts` (S, ...) as shares over the present; even where all of them are zero."""
    present = (available > 0).to(amounts.dtype)
    held = torch.where(available > 0, amounts.clamp(max=1e3), 0.0) + 1e-3 * present
    return held / held.sum(0, keepdim=True).clamp(min=1e-3)


def sizes(parts: Tensor) -> Tensor:
    """Mean absolute value (S, B, 1, X, Y) of parts (S, B, C, X, Y): what stands in for weights."""
    return parts.abs().mean(2, keepdim=True)


def each(modules: nn.ModuleList, parts: Tensor) -> Tensor:
    """Sensor i's part through module i, stacked again (S, ...)."""
    return torch.stack([module(part) for module, part in zip(modules, parts)])


def pointwise(sensors: int, inputs: int, outputs: int, bias: bool = True) -> nn.ModuleList:
    """One 1x1 convolution per sensor."""
    return nn.ModuleList(nn.Conv2d(inputs, outputs, 1, bias=bias) for _ in range(sensors))
