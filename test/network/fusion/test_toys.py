"""Small problems whose answers are known: what each operator is there for, and what others cannot do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mm_fusion.network.fusion.choice import make_fusion
from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network.fusion.coordinated_gate import CoordinatedGateFusion
from mm_fusion.network.fusion.reinforce_gate import ReinforceGateFusion
from mm_fusion.network.fusion.vae import VaeFusion

FRAMES, CHANNELS, SIZE = 8, 4, 8
Scene = tuple[Tensor, Tensor]
"""Features (S, B, C, X, Y) and what is wanted (B, 1, X, Y)."""


def trained(fusion: FusionOperator, scene: Callable[[], Scene], steps: int, rate: float = 0.02) -> nn.Module:
    """A linear head on `fusion`, both trained on fresh scenes."""
    head = nn.Conv2d(CHANNELS, 1, 1)
    optimizer = torch.optim.Adam([*fusion.parameters(), *head.parameters()], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    fusion.train()
    for _ in range(steps):
        features, wanted = scene()
        error = (head(fusion(features, everywhere(features))[0]) - wanted).square()
        loss = error.mean() + fusion.auxiliary_loss(error.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    fusion.eval()
    return head


def everywhere(features: Tensor) -> Tensor:
    return torch.ones_like(features[:, :, :1])


@torch.no_grad()
def error_of(fusion: FusionOperator, head: nn.Module, scene: Callable[[], Scene]) -> float:
    features, wanted = scene()
    return float((head(fusion(features, everywhere(features))[0]) - wanted).square().mean())


def maps(sensors: int) -> Tensor:
    return torch.zeros(sensors, FRAMES, CHANNELS, SIZE, SIZE)


def signs() -> Tensor:
    return torch.randint(0, 2, (FRAMES, SIZE, SIZE)) * 2.0 - 1


def half() -> Tensor:
    """One half of each map, by chance the first or the second."""
    first = torch.arange(SIZE).view(1, -1, 1) < SIZE // 2
    return (first == (torch.rand(FRAMES, 1, 1) < 0.5)).expand(FRAMES, SIZE, SIZE)


def product() -> Scene:
    """The product of two signs, one from each sensor: each alone says nothing."""
    features = maps(2)
    features[0, :, 0], features[1, :, 0] = signs(), signs()
    return features, (features[0, :, :1] * features[1, :, :1])


@pytest.mark.parametrize("name", ["multiplicative", "tensor", "low_rank"])
def test_a_product_is_learned(name: str) -> None:
    torch.manual_seed(0)
    fusion = make_fusion(name, 2, CHANNELS)
    assert error_of(fusion, trained(fusion, product, 300), product) < 0.05


@pytest.mark.parametrize("name", ["additive", "concat"])
def test_no_sum_is_a_product(name: str) -> None:
    torch.manual_seed(0)
    fusion = make_fusion(name, 2, CHANNELS)
    assert error_of(fusion, trained(fusion, product, 300), product) > 0.9


def liar() -> Scene:
    """Sensor 0 is exact or, where its second channel says so, shows anything; sensor 1 is a little noisy."""
    features, truth = maps(2), torch.randn(FRAMES, SIZE, SIZE)
    lies = half()
    features[0, :, 0] = torch.where(lies, torch.randn_like(truth), truth)
    features[0, :, 1] = lies * 2.0 - 1
    features[1, :, 0] = truth + torch.randn_like(truth)
    return features, truth.unsqueeze(1)


@pytest.mark.parametrize("name", ["soft_gate", "hard_gate", "reinforce_gate", "experts"])
def test_gates_learn_where_a_sensor_lies(name: str) -> None:
    torch.manual_seed(0)
    fusion = (
        ReinforceGateFusion(2, CHANNELS, (0.0, 0.0), around=1, warm_up=100)
        if "rein" in name
        else make_fusion(name, 2, CHANNELS)
    )
    trained(fusion, liar, 400, 0.01 if name == "hard_gate" else 0.02)
    features, _ = liar()
    weight = fusion(features, everywhere(features))[1][0, :, 0]
    lies = features[0, :, 1] > 0
    honest, lying = float(weight[~lies].mean()), float(weight[lies].mean())
    assert lying < 0.25, (honest, lying)
    assert honest > lying + 0.3, (honest, lying)


def test_agreement_finds_the_liar_without_a_clue() -> None:
    torch.manual_seed(0)
    fusion = CoordinatedGateFusion(3, CHANNELS)

    def scene() -> tuple[Tensor, Tensor, Tensor]:
        truth = torch.randn(FRAMES, CHANNELS, SIZE, SIZE)
        lies = torch.rand(FRAMES, 1, SIZE, SIZE) < 0.5
        features = torch.stack([truth + 0.3 * torch.randn_like(truth) for _ in range(3)])
        features[0] = torch.where(lies, torch.randn_like(truth), features[0])
        return features, truth[:, :1], lies

    trained(fusion, lambda: scene()[:2], 300)
    features, _, lies = scene()
    weight = fusion(features, everywhere(features))[1][0, :, 0]
    lies = lies.squeeze(1)
    assert float(weight[lies].mean()) < 0.75 * float(weight[~lies].mean())


def priced() -> Scene:
    """Sensor 0 knows the truth in half of the cells, and says where; sensor 1 knows it everywhere."""
    features, truth = maps(2), torch.randn(FRAMES, SIZE, SIZE)
    knows = half()
    features[0, :, 0] = torch.where(knows, truth, torch.zeros_like(truth))
    features[0, :, 1] = knows * 2.0 - 1
    features[1, :, 0] = truth
    return features, truth.unsqueeze(1)


def used(prices: tuple[float, float]) -> tuple[float, float]:
    """Share of cells in which sensor 1 is used, where sensor 0 knows and where it does not."""
    torch.manual_seed(0)
    fusion = ReinforceGateFusion(2, CHANNELS, prices, around=1, warm_up=100)
    trained(fusion, priced, 400)
    features, _ = priced()
    with torch.no_grad():
        taken = (fusion(features, everywhere(features))[1][1, :, 0] > 0).float()
    knows = features[0, :, 1] > 0
    return float(taken[knows].mean()), float(taken[~knows].mean())


def test_a_price_is_paid_exactly_where_it_helps() -> None:
    needless, needed = used((0.0, 0.2))
    assert needless < 0.05
    assert needed > 0.95


def test_a_price_above_all_gain_is_never_paid() -> None:
    needless, needed = used((0.0, 5.0))
    assert max(needless, needed) < 0.05


def smooth() -> Tensor:
    wide = torch.randn(FRAMES, 1, SIZE + 6, SIZE + 6)
    return 3 * functional.avg_pool2d(functional.avg_pool2d(wide, 3, 1), 3, 1)


def misregistered() -> Scene:
    """Wanted is the difference of two fields, the second of which is seen one cell off along both axes."""
    features, first, second = maps(2), smooth(), smooth()
    features[0, :, :1] = first[..., 1:-1, 1:-1]
    features[1, :, :1] = second[..., 2:, :-2]
    return features, (first - second)[..., 1:-1, 1:-1]


@pytest.mark.parametrize("name", ["deformable", "graph", "attention"])
def test_a_shifted_sensor_is_found_again(name: str) -> None:
    lost = {}
    for each in ("concat", name):
        torch.manual_seed(0)
        fusion = make_fusion(each, 2, CHANNELS)
        head = trained(fusion, misregistered, 300)
        lost[each] = error_of(fusion, head, misregistered)
    assert lost[name] < 0.5 * lost["concat"], lost


def test_the_latent_has_the_variance_that_the_sensors_allow() -> None:
    torch.manual_seed(0)
    spreads = torch.tensor([0.5, 1.0, 1.5])
    fusion = VaeFusion(3, 1, latent=1, weight=1.0).train()
    optimizer = torch.optim.Adam(fusion.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
    for _ in range(1500):
        hidden = torch.randn(32, 1, 6, 6)
        features = hidden + spreads.view(3, 1, 1, 1, 1) * torch.randn(3, 32, 1, 6, 6)
        available = (torch.rand(3, 32, 1, 1, 1) < 0.5).float().expand(3, 32, 1, 6, 6)
        fusion(features, available)
        loss = fusion.auxiliary_loss(torch.zeros(32, 1, 6, 6))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    fusion.eval()
    for subset in ([1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 1]):
        present = torch.tensor(subset, dtype=torch.float32)
        known = 1 / (1 + (present / spreads.square()).sum())
        hidden = torch.randn(32, 1, 6, 6)
        features = hidden + spreads.view(3, 1, 1, 1, 1) * torch.randn(3, 32, 1, 6, 6)
        available = present.view(3, 1, 1, 1, 1).expand(3, 32, 1, 6, 6)
        with torch.no_grad():
            mean, variance = fusion.posterior(features, available)
        assert float(variance.mean()) == pytest.approx(float(known), rel=0.2), subset
        # the latent's sign is free; its error is what its variance says
        error = min(float((mean - sign * hidden).square().mean()) for sign in (1, -1))
        assert error == pytest.approx(float(known), rel=0.2), subset
