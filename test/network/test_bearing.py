"""Rays with known angles; velocity goes along them, and cells know where they are."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.network.bearing import CellPlace, along_across, from_ray, rays
from mm_fusion.network.decode import Decoder, cell_centres
from mm_fusion.network.model import FusionModel
from mm_fusion.network.refine import motion_seen
from test.network.scene import random_batch, small_config

NUMBER = st.floats(-60, 60, width=32)


def test_to_the_left_is_across() -> None:
    ray = rays(torch.tensor([[0.0, 5.0]]))
    torch.testing.assert_close(along_across(torch.tensor([[-2.0, 3.0]]), ray), torch.tensor([[3.0, 2.0]]))


def test_no_place_has_no_ray_and_stays_finite() -> None:
    torch.testing.assert_close(rays(torch.zeros(1, 2)), torch.zeros(1, 2))


@given(NUMBER, NUMBER, st.floats(-math.pi, math.pi))
def test_there_and_back(x: float, y: float, angle: float) -> None:
    ray = torch.tensor([[math.cos(angle), math.sin(angle)]])
    vector = torch.tensor([[x, y]])
    torch.testing.assert_close(from_ray(along_across(vector, ray), ray), vector, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bearing", [False, True])
def test_a_speed_along_the_ray_points_away(bearing: bool) -> None:
    config = small_config(bearing=bearing)
    told = torch.zeros(1, 2, *config.grid.shape)
    told[0, 0] = 1.5
    cell = torch.tensor([[17]])
    found = Decoder(config).velocity(told, cell)[0, 0]
    away = rays(cell_centres(config.grid)[17])
    torch.testing.assert_close(found, 15.0 * away if bearing else torch.tensor([1.5, 0.0]))


def test_a_cell_that_nobody_sees_has_no_place() -> None:
    config = small_config(bearing=True)
    place = CellPlace(config, cell_centres(config.grid))
    available = torch.zeros(3, 1, 1, *config.grid.shape)
    available[1, 0, 0, 4, 5] = 1.0
    seen = place(available).abs().sum(1)[0] > 0
    assert seen[4, 5] and seen.sum() == 1


def test_what_the_second_stage_sees_of_motion() -> None:
    box = torch.tensor([[0.0, 25.0, 0, 4, 2, 1.5, 0.0, 1.0]])  # heads along x, seen along y
    found = motion_seen(box, torch.tensor([[10.0, -5.0]]))[0]
    torch.testing.assert_close(found, torch.tensor([0.0, -1.0, -0.5, -1.0, 0.5]))


def test_the_second_stage_moves_velocity_along_the_ray() -> None:
    config = small_config(bearing=True)
    model = FusionModel(config).eval()
    batch = random_batch(config)
    with torch.no_grad():
        before = model(batch)
        model.fusion.refinement.say[-1].bias[9] = 0.3
        after = model(batch)
    away = rays(after["box"][0, :, :2])
    torch.testing.assert_close(after["velocity"][0] - before["velocity"][0], 3.0 * away)
