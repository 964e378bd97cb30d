"""What no sensor left can know is neither learned nor held against the network."""

from __future__ import annotations

import torch

from mm_fusion.training.evidence import learnable, sensor_evidence
from test.network.scene import random_batch, small_config


def targets_at(*cells: int) -> dict[str, torch.Tensor]:
    valid = torch.zeros(1, 4)
    valid[0, : len(cells)] = 1
    cell = torch.zeros(1, 4, dtype=torch.int64)
    cell[0, : len(cells)] = torch.tensor(cells, dtype=torch.int64)
    return {"cell": cell, "valid": valid, "region": torch.ones(1, 16, 16)}


def test_evidence_needs_a_return_near_by_and_coverage() -> None:
    config = small_config()
    batch = random_batch(config)
    for name in ("lidar", "radar", "lift_weight"):
        batch[name] = torch.zeros_like(batch[name])
    batch["lidar"][0, 0, 10, 10] = 1.0  # cell 5, 5 at scale 2
    evidence = sensor_evidence(batch, config)
    assert evidence[0, 1, 4:7, 4:7].min() == 1
    assert evidence.sum() == 9
    batch["coverage"][:, 1] = 0
    assert sensor_evidence(batch, config).sum() == 0


def test_what_is_not_seen_becomes_a_hole_around_no_other_object() -> None:
    evidence = torch.zeros(1, 3, 16, 16)
    evidence[0, 2, 8, 8] = 1
    kept = learnable(targets_at(8 * 16 + 8, 8 * 16 + 9, 2 * 16 + 2), evidence, radius=2)
    assert kept["valid"].tolist() == [[1, 0, 0, 0]]
    assert kept["region"][0, 8, 8] == 1
    assert kept["region"][0, 8, 9] == 0
    assert kept["region"][0, 2, 2] == 0
    assert kept["region"][0, 15, 15] == 1
