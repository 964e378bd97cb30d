"""One network trained on cached features for so many steps or minutes, whichever ends first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mm_fusion.errors import FusionError
from mm_fusion.network.model import SENSORS
from mm_fusion.training.availability import SUBSETS
from mm_fusion.training.compare_cache import FeatureCache, batches
from mm_fusion.training.compare_model import ComparedNetwork
from mm_fusion.training.evidence import learnable
from mm_fusion.training.imbalance import GradientModulation, sensor_scores
from mm_fusion.training.losses import total

Schedule = Literal["even", "none", "heavy", "rising", "alone"]
"""How often sensors are dropped: in half of the frames, none, four fifths, from none to all; all to one."""
SECTOR_SHARE = 0.15


@dataclass(frozen=True)
class Recipe:
    """How one network is trained. minutes: of processor time, whatever else runs; 0 for no limit."""

    steps: int
    minutes: float = 0.0
    batch: int = 4
    rate: float = 2e-3
    seed: int = 1
    schedule: Schedule = "even"
    balance: bool = False


@dataclass(frozen=True)
class Trained:
    """What became of it: steps done, seconds of processor time, and the mean loss of the last tenth."""

    steps: int
    seconds: float
    loss: float


def train_on_cache(
    network: ComparedNetwork,
    cache: FeatureCache,
    names: list[str],
    recipe: Recipe,
    progress: Callable[[int], None] | None = None,
) -> Trained:
    """Train in place and leave in evaluation with averaged weights; raises `FusionError` for a broken loss.

    The same recipe gives the same order of frames and the same drops, whatever the operator.
    """
    torch.manual_seed(recipe.seed)
    draws = torch.Generator().manual_seed(recipe.seed)
    free = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in free if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in free if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate)
    modulation = GradientModulation(seed=recipe.seed) if recipe.balance else None
    mean = torch.optim.swa_utils.AveragedModel(network, avg_fn=_follow, use_buffers=True)
    begun, step, losses = time.process_time(), 0, []
    network.train()
    source = batches(cache, names, recipe.batch, recipe.seed)
    while (done := _done(recipe, step, time.process_time() - begun)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _factor(step, done)
        inputs, targets = next(source)
        inputs = dropped(inputs, recipe.schedule, done, draws)
        targets = learnable(targets, inputs["evidence"] * (inputs["coverage"] > 0), radius=2)
        loss = total(network.losses(inputs, targets))
        if not math.isfinite(float(loss.detach())):
            raise FusionError(f"expected a finite loss, got {float(loss):g} at step {step}; lower --rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if modulation is not None and network.adapters is not None:
            present = (inputs["coverage"] > 0).flatten(2).any(2).any(0)
            scores = sensor_scores(network.seen, targets)
            modulation.apply(list(network.adapters), modulation.coefficients(scores, present))
        torch.nn.utils.clip_grad_norm_(free, 10.0)
        optimizer.step()
        mean.update_parameters(network)
        losses.append(float(loss.detach()))
        step += 1
        if progress is not None:
            progress(step)
    network.load_state_dict(mean.module.state_dict())
    network.eval()
    last = losses[-max(1, len(losses) // 10) :]
    return Trained(step, time.process_time() - begun, sum(last) / max(1, len(last)))


def _follow(average: Tensor, newest: Tensor, count: Tensor | int) -> Tensor:
    """A running mean that soon forgets the start, as `averaging.RunningMean`."""
    if not average.is_floating_point():
        return newest
    steps = int(count)
    return average.lerp(newest, 1 - min(0.998, (1 + steps) / (10 + steps)))


def _done(recipe: Recipe, step: int, seconds: float) -> float:
    """How much of the run is behind, 0..1."""
    of_time = seconds / (60 * recipe.minutes) if recipe.minutes > 0 else 0.0
    return max(step / recipe.steps, of_time)


def _factor(step: int, done: float) -> float:
    return min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def dropped(
    inputs: dict[str, Tensor], schedule: Schedule, done: float, draws: torch.Generator
) -> dict[str, Tensor]:
    """The inputs with coverage of what goes missing set to zero; one frame of each keeps something.

    Features stay as they were encoded with everything: at the edge of a lost sector they have still seen it.
    """
    coverage = inputs["coverage"]
    frames = len(coverage)
    there = (coverage > 0).flatten(2).any(2).float()
    share = {"even": 0.5, "none": 0.0, "heavy": 0.8, "rising": done, "alone": 1.0}[schedule]
    subsets = SUBSETS[: len(SENSORS)] if schedule == "alone" else SUBSETS
    choice = subsets[torch.randint(len(subsets), (frames,), generator=draws)]
    struck = torch.rand(frames, 1, generator=draws) < share
    keep = torch.where(struck, choice, torch.ones_like(choice)) * there
    keep = torch.where(keep.sum(1, keepdim=True) > 0, keep, there)
    mask = keep.view(frames, -1, 1, 1).expand_as(coverage).clone()
    if schedule != "none":
        _cut_sectors(mask, draws)
    return {**inputs, "coverage": coverage * mask}


def _cut_sectors(mask: Tensor, draws: torch.Generator) -> None:
    """Now and then one sensor loses a half plane through the middle of the grid, in place."""
    frames, sensors, nx, ny = mask.shape
    x = torch.linspace(-1, 1, nx).view(-1, 1)
    y = torch.linspace(-1, 1, ny).view(1, -1)
    for frame in torch.nonzero(torch.rand(frames, generator=draws) < SECTOR_SHARE).flatten().tolist():
        sensor = int(torch.randint(sensors, (), generator=draws))
        angle = float(torch.rand((), generator=draws)) * 2 * math.pi
        mask[frame, sensor][(x * math.cos(angle) + y * math.sin(angle)) > 0.3] = 0
