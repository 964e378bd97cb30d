"""What every fusion operator promises, whatever its name."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.fusion.choice import OPERATORS, make_fusion
from mm_fusion.network.fusion.reinforce_gate import ReinforceGateFusion

MASKS = list(itertools.product((0.0, 1.0), repeat=3))


def operator(name: str) -> nn.Module:
    torch.manual_seed(0)
    fusion = make_fusion(name, 3, 8)
    for parameter in fusion.parameters():
        nn.init.normal_(parameter, std=0.5)
    return fusion.eval()


def masked(mask: tuple[float, ...], shape: tuple[int, int] = (4, 4)) -> torch.Tensor:
    return torch.tensor(mask).view(3, 1, 1, 1, 1).expand(3, 2, 1, *shape).clone()


@pytest.mark.parametrize("name", OPERATORS)
def test_with_none_present_fused_is_zero(name: str) -> None:
    fused, weights = operator(name)(torch.full((3, 2, 8, 4, 4), float("nan")), masked((0, 0, 0)))
    assert torch.equal(fused, torch.zeros(2, 8, 4, 4))
    assert torch.equal(weights, torch.zeros(3, 2, 1, 4, 4))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", OPERATORS)
def test_weights_sum_to_one_over_what_is_present(name: str, mask: tuple[float, ...]) -> None:
    _, weights = operator(name)(torch.randn(3, 2, 8, 4, 4), masked(mask))
    assert bool((weights >= 0).all())
    assert bool((weights[masked(mask) == 0] == 0).all())
    expected = torch.full((2, 1, 4, 4), float(any(mask)))
    torch.testing.assert_close(weights.sum(0), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", OPERATORS)
def test_the_absent_cannot_change_a_bit(name: str, mask: tuple[float, ...], poison: float) -> None:
    fusion, features = operator(name), torch.randn(3, 2, 8, 4, 4)
    spoiled = torch.where(masked(mask) > 0, features, torch.tensor(poison))
    for before, after in zip(fusion(features, masked(mask)), fusion(spoiled, masked(mask))):
        assert torch.equal(before, after)


@pytest.mark.parametrize("size", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", OPERATORS)
def test_half_precision_stays_finite(name: str, mask: tuple[float, ...], size: float) -> None:
    features = (torch.randn(3, 2, 8, 4, 4) * size).half()
    for each in operator(name).half()(features, masked(mask).half()):
        assert bool(torch.isfinite(each).all())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.1, 1.0]), min_size=48, max_size=48), st.sampled_from(OPERATORS))
def test_any_availability_by_cell_is_finite(cells: list[float], name: str) -> None:
    available = torch.tensor(cells).view(3, 1, 1, 4, 4)
    fused, weights = operator(name)(torch.randn(3, 1, 8, 4, 4), available)
    assert bool(torch.isfinite(fused).all())
    torch.testing.assert_close(weights.sum(0), (available > 0).any(0).float(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", OPERATORS)
def test_what_is_absent_in_a_cell_cannot_change_a_bit(name: str) -> None:
    torch.manual_seed(1)
    fusion, features = operator(name), torch.randn(3, 2, 8, 6, 6)
    available = (torch.rand(3, 2, 1, 6, 6) > 0.4).float()
    spoiled = torch.where(available > 0, features, torch.tensor(float("nan")))
    for before, after in zip(fusion(features, available), fusion(spoiled, available)):
        assert torch.equal(before, after)


@pytest.mark.parametrize("mask", MASKS[1:])
@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_reach_each_present_sensor_and_no_other(name: str, mask: tuple[float, ...]) -> None:
    fusion = operator(name).train()
    features = torch.randn(3, 2, 8, 4, 4, requires_grad=True)
    (fusion(features, masked(mask))[0] * torch.randn(2, 8, 4, 4)).sum().backward()
    assert features.grad is not None
    reached = features.grad.abs().sum((1, 2, 3, 4)) > 0
    assert reached.tolist() == [bool(m) for m in mask]


@pytest.mark.parametrize("name", OPERATORS)
def test_every_parameter_learns(name: str) -> None:
    fusion = operator(name).train()
    if isinstance(fusion, ReinforceGateFusion):
        fusion.warm_up = 0
    fused, _ = fusion(torch.randn(3, 2, 8, 4, 4), masked((1, 1, 1)))
    loss = (fused * torch.randn(2, 8, 4, 4)).sum() + fusion.auxiliary_loss(torch.rand(2, 1, 4, 4))
    loss.backward()
    idle = [key for key, p in fusion.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert idle == []


@pytest.mark.parametrize("name", OPERATORS)
def test_the_auxiliary_loss_is_taken_once_and_finite(name: str) -> None:
    fusion = operator(name).train()
    for mask in MASKS:
        fusion(torch.randn(3, 2, 8, 4, 4), masked(mask))
        assert bool(torch.isfinite(fusion.auxiliary_loss(torch.rand(2, 1, 4, 4))))
        assert fusion.kept is None
    fusion(torch.randn(3, 2, 8, 4, 4), masked((1, 1, 1)))
    assert fusion.eval().kept is None
    fusion(torch.randn(3, 2, 8, 4, 4), masked((1, 1, 1)))
    assert fusion.kept is None


@pytest.mark.parametrize("name", OPERATORS)
def test_the_budget_is_kept(name: str) -> None:
    parameters = sum(p.numel() for p in make_fusion(name, 3, 32).parameters())
    assert 0 < parameters <= 60_000


@pytest.mark.parametrize("name", OPERATORS)
def test_one_frame_is_not_changed_by_its_neighbour_in_the_batch(name: str) -> None:
    fusion, features = operator(name), torch.randn(3, 2, 8, 4, 4)
    available = (torch.rand(3, 2, 1, 4, 4) > 0.3).float()
    together = fusion(features, available)
    alone = fusion(features[:, 1:], available[:, 1:])
    torch.testing.assert_close(together[0][1:], alone[0])
    torch.testing.assert_close(together[1][:, 1:], alone[1])


def test_soft_gate_starts_as_additive() -> None:
    features, available = torch.randn(3, 2, 8, 4, 4), masked((1, 0, 1))
    soft, additive = make_fusion("soft_gate", 3, 8), make_fusion("additive", 3, 8)
    for one, other in zip(soft(features, available), additive(features, available)):
        torch.testing.assert_close(one, other)


def test_an_unknown_name_says_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="soft_gate"):
        make_fusion("magic", 3, 8)
