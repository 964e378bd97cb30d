from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import load_learned
from test.network.scene import random_batch


def parameters(name: str) -> int:
    """Numbers that a shipped config learns, auxiliary heads included."""
    with torch.device("meta"):
        model = FusionModel(load_learned(name))
    return sum(each.numel() for each in model.parameters())


def giga_flop(name: str) -> float:
    """Of one frame with every camera, 2 for each multiplication and addition of convolutions and layers."""
    config = load_learned(name)
    model = FusionModel(config).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(random_batch(config))
    return counter.get_total_flops() / 1e9


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 0.5e6, 1.2e6), ("base", 15e6, 25e6)])
def test_the_shipped_configs_are_as_large_as_they_say(name, low, high):
    assert low <= parameters(name) <= high


def test_tiny_is_small_enough_for_one_core():
    assert load_learned("tiny").camera.max_cameras == 6
    assert 5 < giga_flop("tiny") <= 10
