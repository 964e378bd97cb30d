"""The running mean of weights."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from mm_fusion.training.averaging import RunningMean


def test_the_mean_follows_fast_and_then_slowly() -> None:
    layer = nn.Linear(1, 1, bias=False)
    module = SimpleNamespace(model=layer)
    mean = RunningMean(0.9)
    for value in (1.0, *[3.0] * 500):
        nn.init.constant_(layer.weight, value)
        mean.on_train_batch_end(None, module)
    assert abs(float(mean.mean["weight"]) - 3.0) < 1e-3
    nn.init.constant_(layer.weight, 4.0)
    mean.on_train_batch_end(None, module)
    assert abs(float(mean.mean["weight"]) - 3.1) < 1e-3


def test_it_goes_on_from_a_checkpoint() -> None:
    checkpoint: dict[str, object] = {}
    first = RunningMean(0.9)
    first.steps, first.mean = 7, {"weight": torch.ones(1)}
    first.on_save_checkpoint(None, None, checkpoint)
    second = RunningMean(0.9)
    second.on_load_checkpoint(None, None, checkpoint)
    assert (second.steps, second.mean["weight"].item()) == (7, 1.0)
