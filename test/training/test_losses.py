"""Losses with answers by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mm_fusion.training.losses import DIRECTION, depth_loss, focal, heading_error, mean_over, total


def test_a_mean_over_nothing_is_zero() -> None:
    assert mean_over(torch.tensor([math.nan]), torch.zeros(1)) == 0


def test_a_heading_from_the_wrong_end_costs_little() -> None:
    wanted = torch.tensor([[0.0, 1.0]]).expand(3, 2)
    told = torch.tensor([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])
    right, turned, across = heading_error(told, wanted).tolist()
    assert right == 0
    assert turned == pytest.approx(DIRECTION * 2)
    assert across == pytest.approx(2.0)


def test_focal_by_hand() -> None:
    logits, target = (
        torch.tensor([0.0, 0.0, 0.0]).view(1, 1, 3, 1),
        torch.tensor([1.0, 0.5, 0.0]).view(1, 1, 3, 1),
    )
    expected = 0.25 * math.log(2) * (1 + 0.5**4 + 1)
    assert float(focal(logits, target, torch.ones(1), torch.tensor(1.0))) == pytest.approx(expected)


def test_the_slope_of_focal_is_that_of_its_formula() -> None:
    torch.manual_seed(0)
    logits = (4 * torch.randn(2, 3, 5, 4)).requires_grad_()
    target, weight = torch.rand(2, 3, 5, 4), (torch.rand(2, 1, 5, 4) > 0.3).float()
    target[0, 0, 1, 1] = target[1, 2, 3, 3] = 1.0
    chance = torch.sigmoid(logits.double())
    parts = [(1 - chance) ** 2 * chance.log(), (1 - target) ** 4 * chance**2 * (1 - chance).log()]
    plain = -(torch.where(target == 1, *parts) * weight).sum() / 2
    mine = focal(logits, target, weight, torch.tensor(2.0))
    torch.testing.assert_close(mine.double(), plain)
    ours, theirs = (torch.autograd.grad(loss, logits)[0] for loss in (mine, plain))
    torch.testing.assert_close(ours, theirs)


def test_focal_outside_the_region_counts_nothing() -> None:
    logits = torch.full((1, 1, 2, 1), 50.0, requires_grad=True)
    loss = focal(
        logits, torch.zeros(1, 1, 2, 1), torch.tensor([1.0, 0.0]).view(1, 1, 2, 1), torch.tensor(0.0)
    )
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 1, 0] == 0
    assert math.isfinite(float(loss.detach()))


def test_depth_is_learned_only_where_lidar_tells() -> None:
    depth = torch.tensor([[[0.5, 0.5], [0.9, 0.1]]])
    assert float(depth_loss(depth, torch.tensor([[-1, -1]]))) == 0
    assert float(depth_loss(depth, torch.tensor([[1, -1]]))) == pytest.approx(math.log(2))


def test_a_part_without_a_weight_is_an_error() -> None:
    with pytest.raises(KeyError):
        total({"magic": torch.zeros(())})
