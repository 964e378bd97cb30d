"""Which sensors go missing in training, and how often."""

from __future__ import annotations

import torch

from mm_fusion.training.availability import AvailabilityDropout, blanked
from test.network.scene import random_batch, small_config


def dropout(seed: int = 0, **shares: float) -> AvailabilityDropout:
    none = {"subsets": 0.0, "cameras": 0.0, "sectors": 0.0}
    return AvailabilityDropout(small_config(), torch.Generator().manual_seed(seed), **{**none, **shares})


def test_without_chances_nothing_changes() -> None:
    batch = random_batch(small_config(), 2)
    left = dropout()(batch)
    seen = (batch["lift_weight"] > 0).flatten(3).any(3)
    assert torch.equal(left["lidar"], batch["lidar"])
    assert torch.equal(left["coverage"][:, 0] > 0, seen)


def test_half_keep_all_and_the_rest_are_even() -> None:
    kept = dropout(subsets=0.5)._subsets(torch.ones(6000, 3))
    shares = [
        float((kept == torch.tensor(mask).float()).all(1).float().mean())
        for mask in [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)]
    ]
    assert abs(shares[0] - 0.5) < 0.03
    assert all(abs(share - 1 / 12) < 0.02 for share in shares[1:])


def test_a_draw_never_takes_the_last_sensor() -> None:
    available = torch.tensor([[0.0, 1.0, 0.0]]).expand(500, 3)
    assert bool((dropout(subsets=1.0)._subsets(available) == available).all())


def test_the_same_seed_gives_the_same_draws() -> None:
    batch = random_batch(small_config(), 4)
    shares = {"subsets": 0.5, "cameras": 0.3, "sectors": 0.5}
    one, other = dropout(3, **shares)(batch), dropout(3, **shares)(batch)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_gone_is_zero_everywhere() -> None:
    config = small_config()
    batch = random_batch(config)
    batch["coverage"][0, 0, :4] = 0
    batch["coverage"][0, 1, 4:] = 0
    left = blanked(batch, config)
    assert left["lift_weight"][0, :4].sum() == 0
    assert left["lidar"][0, :, 8:].abs().sum() == 0
    assert torch.equal(left["lidar"][0, :, :8], batch["lidar"][0, :, :8])


def test_a_lost_camera_leaves_coverage_to_the_other() -> None:
    batch = random_batch(small_config())
    left = dropout(cameras=1.0)(batch)
    assert left["camera_present"].sum() == 0
    assert left["lift_weight"].sum() == 0
    assert left["coverage"][:, 0].sum() == 0
