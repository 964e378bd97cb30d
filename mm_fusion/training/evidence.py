"""What the sensors that are left can know: objects without evidence are ignored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mm_fusion.network.decode import pick
from mm_fusion.network_config import LearnedConfig


def sensor_evidence(batch: dict[str, Tensor], config: LearnedConfig) -> Tensor:
    """Where (B, 3, X, Y) each sensor has something to go by, 0 or 1, from what is left in the batch.

    A camera that looks is evidence; LiDAR and radar need a return in the cell or beside it.
    """
    coverage = (batch["coverage"] > 0).float()
    counts = [batch[name].abs().amax(1, keepdim=True) for name in ("lidar", "radar")]
    scales = (config.lidar.scale, config.radar.scale)
    hits = [functional.max_pool2d((c > 0).float(), s, s) for c, s in zip(counts, scales)]
    near = [functional.max_pool2d(hit, 3, 1, 1) for hit in hits]
    camera = (batch["lift_weight"] > 0).flatten(3).any(3).unsqueeze(1).float()
    return torch.cat([camera, *near], 1) * coverage


def learnable(targets: dict[str, Tensor], evidence: Tensor, radius: int) -> dict[str, Tensor]:
    """The targets without what no sensor left can know: neither positives nor negatives around it.

    evidence: (B, 3, X, Y). Changes `valid`, and `region` to (B, X, Y) with holes of `radius` cells.
    """
    seen = pick(evidence, targets["cell"]).amax(2)
    lost = targets["valid"] * (1 - seen)
    holes = torch.zeros_like(targets["region"]).flatten(1).scatter_reduce(1, targets["cell"], lost, "amax")
    holes = holes.view_as(targets["region"]).unsqueeze(1)
    holes = functional.max_pool2d(holes, 2 * radius + 1, 1, radius).squeeze(1)
    # a hole must not take another object's centre away
    kept = targets["valid"] * seen
    centres = torch.zeros_like(targets["region"]).flatten(1).scatter_reduce(1, targets["cell"], kept, "amax")
    region = torch.maximum(targets["region"] * (1 - holes), centres.view_as(holes.squeeze(1)))
    return {**targets, "valid": kept, "region": region}
