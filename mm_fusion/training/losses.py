"""How far the maps are from their targets, outside nothing but the labelled region."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mm_fusion.network.bearing import along_across, rays
from mm_fusion.network.decode import LOG_VARIANCE, Decoder, pick

WEIGHTS: dict[str, float] = {
    "heatmap": 1.0,
    "offset": 1.0,
    "z": 1.0,
    "log_size": 1.0,
    "heading": 1.0,
    "velocity": 0.2,
    "moving": 0.2,
    "variance": 0.05,
    "iou": 0.2,
    "auxiliary": 0.25,
    "depth": 0.2,
    "refine_box": 1.0,
    "refine_score": 0.3,
    "refine_velocity": 0.2,
    "contribution": 0.2,
    "operator": 1.0,
}
"""What each part of the loss counts."""


DIRECTION = 0.2
"""Share of the heading's loss that tells front from back."""


def focal(logits: Tensor, target: Tensor, weight: Tensor, objects: Tensor) -> Tensor:
    """Gaussian focal loss per object, in float32; `weight` broadcasts to (B, K, X, Y), 0 leaves a cell out.

    target: (B, K, X, Y), 1 at the cell of an object's centre. Source: CornerNet (Law and Deng, 2018).
    """
    with torch.no_grad():
        at_centre = target >= 1.0 - 1e-4
        zero = torch.zeros((), dtype=target.dtype, device=target.device)
        hits = torch.where(at_centre, weight, zero)
        misses = torch.where(at_centre, zero, (1 - target).square().square() * weight)
    cost = _Focal.apply(logits.float(), hits, misses)
    return cost / objects.clamp(min=1.0)


class _Focal(torch.autograd.Function):
    """Sum of -hits (1 - p)^2 log p - misses p^2 log (1 - p), p = sigmoid(x), with its slope in closed form.

    The maps are the largest tensors of the loss: one slope in place of a dozen halves its time.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, hits: Tensor, misses: Tensor) -> Tensor:
        # log sigmoid in one step: a logit of 100 must not become log 0
        yes = functional.logsigmoid(logits)
        no, chance = yes - logits, torch.sigmoid(logits)
        against = 1 - chance
        hits, misses = hits * against, misses * chance
        # d/dx: dp = p (1 - p), d log p = 1 - p, d log (1 - p) = -p
        slope = hits * against * (2 * chance * yes - against) - misses * chance * (2 * against * no - chance)
        ctx.save_for_backward(slope)
        return -(hits * against * yes + misses * chance * no).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.saved_tensors[0] * grad, None, None


def object_losses(maps: dict[str, Tensor], targets: dict[str, Tensor], decoder: Decoder) -> dict[str, Tensor]:
    """L1 of what is told at the objects' cells, and likelihood of the variances.

    targets: batched `make_targets` with `valid` (B, M) already without what has no evidence; decoder: the
    model's, which knows the cells.
    """
    centres, cell = decoder.centres, decoder.cell
    where, valid = targets["cell"], targets["valid"]
    told = {name: pick(maps[name], where) for name in ("offset", "z", "log_size", "heading")}
    told["velocity"] = decoder.velocity(maps["velocity"], where)
    box = targets["box"]
    wanted = {
        "offset": (box[..., :2] - centres[where]) / cell,
        "z": box[..., 2:3],
        "log_size": box[..., 3:6].clamp(min=0.05).log(),
        "heading": box[..., 6:8],
        "velocity": targets["velocity"],
    }
    masks = {name: valid for name in told} | {"velocity": valid * targets["velocity_valid"]}
    apart = {name: (told[name] - wanted[name]).abs().sum(-1) for name in told}
    apart["heading"] = heading_error(told["heading"], wanted["heading"])
    losses = {name: mean_over(apart[name], masks[name]) for name in told}
    moving = pick(maps["moving"], where).squeeze(-1)
    losses["moving"] = mean_over(
        functional.binary_cross_entropy_with_logits(moving, targets["moving"].clamp(0, 1), reduction="none"),
        valid,
    )
    errors = _errors(told, wanted, centres[where], cell)
    losses["variance"] = _likelihood(pick(maps["log_variance"], where), errors, valid, masks["velocity"])
    return losses


def heading_error(told: Tensor, wanted: Tensor) -> Tensor:
    """L1 of sine and cosine (..., 2), mostly up to half a turn.

    What does not move often looks the same from both ends. L1 alone then rests anywhere between the two, on
    an axis that neither has; so the nearer end counts for most of it, and the right one for the rest.
    """
    right, turned = (told - wanted).abs().sum(-1), (told + wanted).abs().sum(-1)
    return (1 - DIRECTION) * torch.minimum(right, turned) + DIRECTION * right


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` is 1; 0 where it is nowhere."""
    return torch.where(mask > 0, values, torch.zeros_like(values)).sum() / mask.sum().clamp(min=1.0)


def _errors(told: dict[str, Tensor], wanted: dict[str, Tensor], centre: Tensor, cell: float) -> Tensor:
    """Errors (B, M, 9) in the order of `head.VARIANCES`, without gradient: for variances, not means."""
    ray = rays(centre)
    position = (told["offset"] - wanted["offset"]) * cell
    velocity = told["velocity"] - wanted["velocity"]
    size = told["log_size"].clamp(-3, 3.5).exp() - wanted["log_size"].exp()
    (s, c), (sw, cw) = told["heading"].unbind(-1), wanted["heading"].unbind(-1)
    yaw = torch.atan2(s * cw - c * sw, c * cw + s * sw)
    by_ray = [part for v in (position, velocity) for part in along_across(v, ray).unbind(-1)]
    z = (told["z"] - wanted["z"]).squeeze(-1)
    return torch.stack([*by_ray, z, *size.unbind(-1), yaw], -1).detach()


def _likelihood(log_variance: Tensor, errors: Tensor, valid: Tensor, velocity_valid: Tensor) -> Tensor:
    held = log_variance.clamp(*LOG_VARIANCE)
    # the slope of what is held is zero: the second term brings it back
    cost = 0.5 * (errors.square() * torch.exp(-held) + held) + 0.01 * (log_variance - held).abs()
    masks = [valid] * 2 + [velocity_valid] * 2 + [valid] * 5
    return mean_over(cost, torch.stack(masks, -1))


def depth_loss(depth: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy of depth probabilities (B, R, D) with bins (B, R), -1 where no LiDAR says one."""
    known = wanted >= 0
    chance = depth.gather(2, wanted.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return mean_over(-chance.clamp(min=1e-6).log(), known.float())


def total(losses: dict[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * value for name, value in losses.items()]).sum()
