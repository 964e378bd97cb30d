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


def test_soft_gate_starts_as_additive() -> None:
    features, available = torch.randn(3, 2, 8, 4, 4), masked((1, 0, 1))
    soft, additive = make_fusion("soft_gate", 3, 8), make_fusion("additive", 3, 8)
    for one, other in zip(soft(features, available), additive(features, available)):
        torch.testing.assert_close(one, other)


def test_an_unknown_name_says_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="soft_gate"):
        make_fusion("magic", 3, 8)
