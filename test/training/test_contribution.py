"""Shapley values of games with known answers."""

from __future__ import annotations

import torch

from mm_fusion.training.contribution import shapley


def test_a_sum_gives_each_its_own() -> None:
    worth = torch.tensor([0.5, 0.3, -0.1])
    values = shapley(lambda mask: (mask * worth).sum().view(1, 1))
    torch.testing.assert_close(values[0, 0], worth)


def test_two_that_say_the_same_share_it() -> None:
    values = shapley(lambda mask: mask[:2].max().view(1, 1))
    torch.testing.assert_close(values[0, 0], torch.tensor([0.5, 0.5, 0.0]))
