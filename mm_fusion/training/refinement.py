"""What the second stage should say of its candidates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mm_fusion.geometry.boxes import iou_3d
from mm_fusion.network.decode import pick
from mm_fusion.network.model import FusionNetwork
from mm_fusion.training.losses import heading_error, mean_over

REACH = 2.5
"""Candidates farther than this from every object of their class are none, m."""
POSITIVE = (0.25, 0.75)
"""Overlaps between which a candidate turns from none to whole. Source: PV-RCNN (Shi et al., 2020)."""


def refinement_losses(
    network: FusionNetwork,
    maps: dict[str, Tensor],
    features: Tensor,
    given: dict[str, Tensor],
    targets: dict[str, Tensor],
) -> dict[str, Tensor]:
    """`iou` of the first stage; with a second stage also `refine_box` and `refine_score`, and where it
    refines velocity `refine_velocity`.

    The first stage gets no gradient through its candidates.
    """
    held = {name: each.detach() for name, each in maps.items() if name not in ("fused", "iou", "weights")}
    found = network.candidates({**maps, **held}, features, given)
    first = network.decoder(held | {"iou": maps["iou"]})
    nearest, matched, counted = match(found, first["box"], targets)
    overlap = overlaps(first["box"], targets["box"], nearest, matched)
    told = pick(maps["iou"], found["cell"]).squeeze(-1)
    losses = {
        "iou": mean_over(
            functional.binary_cross_entropy_with_logits(told, overlap, reduction="none"), matched
        )
    }
    if network.refinement is None:
        return losses
    wanted = targets["box"].gather(1, nearest.unsqueeze(-1).expand(-1, -1, 8))
    after = overlaps(found["box"].detach(), targets["box"], nearest, matched)
    low, high = POSITIVE
    quality = ((after - low) / (high - low)).clamp(0, 1)
    logit = torch.logit(found["score"].detach(), eps=1e-6) + found["refined"]
    cost = functional.binary_cross_entropy_with_logits(logit, quality, reduction="none")
    losses["refine_box"] = mean_over(_box_error(found["box"], wanted), matched)
    if network.refinement.bearing:
        moved = targets["velocity"].gather(1, nearest.unsqueeze(-1).expand(-1, -1, 2))
        known = matched * targets["velocity_valid"].gather(1, nearest)
        losses["refine_velocity"] = mean_over((found["velocity"] - moved).abs().sum(-1), known)
    losses["refine_score"] = (cost * counted).sum() / matched.sum().clamp(min=1.0)
    return losses


def match(found: dict[str, Tensor], box: Tensor, targets: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest object (B, K) of the same class, whether it is near (B, K), and what counts for the score.

    Candidates outside the labelled region, and cells that are no peak, do not count.
    """
    far = (box[..., :2].unsqueeze(2) - targets["box"][..., :2].unsqueeze(1)).norm(dim=-1)
    other = found["class_index"].unsqueeze(2) != targets["class_index"].unsqueeze(1)
    gone = (targets["valid"] == 0).unsqueeze(1)
    distance, nearest = far.masked_fill(other | gone, 1e6).min(2)
    labelled = pick(targets["region"].unsqueeze(1), found["cell"]).squeeze(-1)
    counted = ((found["score"] > 0) & (labelled > 0)).float()
    return nearest, ((distance < REACH) & (counted > 0)).float(), counted


def overlaps(box: Tensor, truth: Tensor, nearest: Tensor, matched: Tensor) -> Tensor:
    """3D IoU (B, K) of matched candidates with their objects, 0 for the others; without gradient."""
    mine, theirs, wanted = _rows7(box), _rows7(truth), nearest.cpu().numpy()
    out = np.zeros(wanted.shape, np.float32)
    for frame, rows in enumerate(matched.cpu().numpy() > 0):
        objects, at = np.unique(wanted[frame, rows], return_inverse=True)
        # boxes out of reach cost nothing, so that all pairs are as cheap as those wanted
        pairs = iou_3d(mine[frame, rows], theirs[frame, objects])
        out[frame, rows] = pairs[np.arange(len(at)), at]
    return torch.from_numpy(out).to(matched)


def _rows7(box: Tensor) -> np.ndarray:
    rows = box.detach().cpu().double().numpy()
    return np.concatenate([rows[..., :6], np.arctan2(rows[..., 6:7], rows[..., 7:8])], -1)


def _box_error(box: Tensor, wanted: Tensor) -> Tensor:
    centre = (box[..., :3] - wanted[..., :3]).abs().sum(-1)
    size = (box[..., 3:6].log() - wanted[..., 3:6].clamp(min=0.05).log()).abs().sum(-1)
    return centre + size + heading_error(box[..., 6:], wanted[..., 6:])
