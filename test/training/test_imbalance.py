"""Gradients of the sensor that does well are held back, and no other's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mm_fusion.training.imbalance import GradientModulation, sensor_scores

ALL = torch.ones(3, dtype=torch.bool)


def test_equal_sensors_are_left_alone() -> None:
    assert GradientModulation().coefficients(torch.full((3,), 0.4), ALL).tolist() == [1.0, 1.0, 1.0]


def test_only_the_dominating_sensor_is_held_back() -> None:
    factors = GradientModulation(alpha=0.5).coefficients(torch.tensor([0.2, 0.8, 0.2]), ALL)
    assert factors[[0, 2]].tolist() == [1.0, 1.0]
    assert float(factors[1]) == pytest.approx(1 - math.tanh(0.5 * 3), rel=1e-5)


def test_an_absent_sensor_neither_counts_nor_changes() -> None:
    present = torch.tensor([True, True, False])
    factors = GradientModulation().coefficients(torch.tensor([0.2, 0.4, 9.0]), present)
    assert factors[[0, 2]].tolist() == [1.0, 1.0]
    assert float(factors[1]) == pytest.approx(1 - math.tanh(0.5), rel=1e-5)
    assert GradientModulation().coefficients(torch.tensor([0.2, 0.4, 9.0]), ~present).tolist() == [1.0] * 3


def test_gradients_shrink_and_noise_is_added_where_held_back() -> None:
    parts = [nn.Conv2d(2, 2, 1) for _ in range(2)]
    for part in parts:
        for parameter in part.parameters():
            parameter.grad = torch.ones_like(parameter)
    GradientModulation(noise=0.0).apply(parts, torch.tensor([1.0, 0.25]))
    assert parts[0].weight.grad is not None and parts[1].weight.grad is not None
    assert bool((parts[0].weight.grad == 1).all())
    assert bool((parts[1].weight.grad == 0.25).all())
    assert parts[1].bias is not None and bool((parts[1].bias.grad == 1).all())  # type: ignore[union-attr]
    parts[1].weight.grad = torch.randn(2, 2, 1, 1)
    before = parts[1].weight.grad.clone()
    GradientModulation(noise=1.0).apply(parts, torch.tensor([1.0, 0.5]))
    assert not torch.equal(parts[1].weight.grad, 0.5 * before)


def test_scores_are_the_chance_of_the_right_class_at_objects() -> None:
    targets = {
        "cell": torch.tensor([[3, 0]]),
        "class_index": torch.tensor([[1, 0]]),
        "valid": torch.tensor([[1.0, 0.0]]),
    }
    logits = torch.full((1, 2, 2, 2), -9.0)
    logits[0, 1, 1, 1] = 2.0
    scores = sensor_scores([logits, torch.zeros(1, 2, 2, 2)], targets)
    torch.testing.assert_close(scores, torch.sigmoid(torch.tensor([2.0, 0.0])))
