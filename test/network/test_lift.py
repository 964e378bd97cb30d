"""The gather lift against a look-up by hand."""

from __future__ import annotations

import torch

from mm_fusion.network.lift import gather_rows, tap_weights


def test_each_frame_reads_its_own_rows() -> None:
    rows = torch.arange(12.0).view(2, 3, 2)
    found = gather_rows(rows, torch.tensor([[[2]], [[0]]]))
    assert found.squeeze().tolist() == [[4.0, 5.0], [6.0, 7.0]]


def test_an_even_guess_of_depth_leaves_weights_alone() -> None:
    depth = torch.full((1, 3, 4), 0.25)
    weight = torch.tensor([[0.5, 1.0]])
    assert torch.equal(tap_weights(depth, torch.tensor([[11, 0]]), weight), weight)
    assert torch.equal(tap_weights(None, torch.tensor([[11, 0]]), weight), weight)


def test_the_bin_that_is_sure_takes_all() -> None:
    depth = torch.zeros(1, 2, 4)
    depth[0, 1, 2] = 1.0
    assert tap_weights(depth, torch.tensor([[6, 5]]), torch.ones(1, 2)).tolist() == [[4.0, 0.0]]
