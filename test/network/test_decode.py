"""Peaks and boxes from maps with known numbers."""

from __future__ import annotations

import math

import torch

from mm_fusion.network.decode import Decoder, cell_centres
from mm_fusion.network.head import QUANTITIES
from test.network.scene import small_config


def empty_maps(config: object) -> dict[str, torch.Tensor]:
    nx, ny = config.grid.shape
    maps = {name: torch.zeros(1, width, nx, ny) for name, width in QUANTITIES.items()}
    return {**maps, "heatmap": torch.full((1, 10, nx, ny), -12.0)}


def test_an_object_comes_out_where_it_was_put() -> None:
    config = small_config()
    maps = empty_maps(config)
    maps["heatmap"][0, 5, 3, 7] = 3.0
    maps["heatmap"][0, 0, 3, 8] = 2.0  # a neighbour that is no peak
    maps["offset"][0, :, 3, 7] = torch.tensor([0.25, -0.5])
    maps["log_size"][0, :, 3, 7] = torch.log(torch.tensor([0.8, 0.6, 1.7]))
    maps["heading"][0, :, 3, 7] = torch.tensor([3.0, 4.0])
    found = Decoder(config)(maps)
    assert found["class_index"][0, 0] == 5
    assert math.isclose(found["score"][0, 0], 1 / (1 + math.exp(-3.0)), rel_tol=1e-6)
    expected = [3.5 * 0.8 + 0.2, -6.4 + 7.5 * 0.8 - 0.4, 0.0, 0.8, 0.6, 1.7, 0.6, 0.8]
    torch.testing.assert_close(found["box"][0, 0], torch.tensor(expected))
    assert found["score"][0, 1] < 1e-4


def test_centres_run_along_y_first() -> None:
    centres = cell_centres(small_config().grid)
    torch.testing.assert_close(centres[:2], torch.tensor([[0.4, -6.0], [0.4, -5.2]]))


def test_extreme_maps_stay_finite() -> None:
    config = small_config()
    maps = {name: each + 1e4 for name, each in empty_maps(config).items()}
    assert all(bool(torch.isfinite(each.float()).all()) for each in Decoder(config)(maps).values())
