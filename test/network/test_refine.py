"""The second stage: nothing before training, and boxes moved as told."""

from __future__ import annotations

import math

import torch

from mm_fusion.network.refine import refined_box


def box(yaw: float) -> torch.Tensor:
    return torch.tensor([[1.0, 2.0, 0.5, 4.0, 2.0, 1.5, math.sin(yaw), math.cos(yaw)]])


def test_no_correction_leaves_the_box() -> None:
    torch.testing.assert_close(refined_box(box(0.7), torch.zeros(1, 9)), box(0.7))


def test_a_correction_moves_stretches_and_turns() -> None:
    delta = torch.tensor([[1.0, -1.0, 0.5, math.log(1.5), 0.0, 0.0, math.tan(0.2), 0.0, 0.0]])
    found = refined_box(box(0.7), delta)[0]
    torch.testing.assert_close(found[:6], torch.tensor([2.0, 1.0, 1.0, 6.0, 2.0, 1.5]))
    assert math.isclose(math.atan2(found[6], found[7]), 0.9, abs_tol=1e-6)
