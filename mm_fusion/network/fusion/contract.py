"""What every operator is: a module that keeps the contract, and may add its own term to the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn


class FusionOperator(nn.Module, ABC):
    """One way to join sensors; `forward` as the package says.

    In training an operator may keep what its own loss needs in `kept`; `auxiliary_loss` takes it. Nothing is
    kept in evaluation, so that an exported graph is the same whatever came before.
    """

    kept: Any = None

    @abstractmethod
    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""

    def auxiliary_loss(self, cost: Tensor) -> Tensor:
        """The operator's own part of the loss, a scalar, of the last `forward` in training; here none.

        cost: (B, 1, X, Y) without gradient, what the task's loss says of each cell.
        """
        return cost.new_zeros(())

    def take(self) -> Any:
        """What the last `forward` kept, once."""
        kept, self.kept = self.kept, None
        return kept

    def train(self, mode: bool = True) -> FusionOperator:
        """Go to training or evaluation; what was kept is forgotten."""
        self.kept = None
        return super().train(mode)


def where_any(fused: Tensor, available: Tensor) -> Tensor:
    """`fused` (B, C, X, Y) where any sensor is present, else 0."""
    return torch.where((available > 0).any(0), fused, torch.zeros_like(fused))


def presence(available: Tensor, like: Tensor) -> Tensor:
    """`available` (S, B, 1, X, Y) as 0 and 1 of the dtype of `like`."""
    return (available > 0).to(like.dtype)
