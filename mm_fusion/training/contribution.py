"""What removing a sensor would do to the score: Shapley values by running fusion and head on all subsets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial

import torch
from torch import Tensor

Score = Callable[[Tensor], Tensor]
"""Scores (B, M) of the objects with only the sensors that a mask (S,) of 0 and 1 keeps."""


def shapley(score: Score, sensors: int = 3) -> Tensor:
    """Signed values (B, M, S); they sum to the score with all less that with none.

    Source: Shapley (1953): each sensor's gain, averaged over all orders in which sensors can join.
    """
    subsets = [frozenset(c) for n in range(sensors + 1) for c in combinations(range(sensors), n)]
    worth = {s: score(torch.tensor([float(i in s) for i in range(sensors)])) for s in subsets}
    values = []
    for sensor in range(sensors):
        without = [s for s in subsets if sensor not in s]
        gains = [_chance(len(s), sensors) * (worth[s | {sensor}] - worth[s]) for s in without]
        values.append(torch.stack(gains).sum(0))
    return torch.stack(values, -1)


def _chance(joined: int, sensors: int) -> float:
    return factorial(joined) * factorial(sensors - joined - 1) / factorial(sensors)
