"""Which class claims a rectangle by its size, and the whole box that class makes of what was seen of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID
from mm_fusion.detectors.geometric.box_fit import Rectangles
from mm_fusion.measurements import Float64
from mm_fusion.model_config import ClassPrior

MEASURING_SIGMA = 0.12
"""Standard deviation of a seen extent, m: ranges, the width of beams, mirrors and tow bars."""
WORST_COST = 16.0
"""Squared standard deviations from a class's size above which nothing claims a cluster (about 4 sigma in one size)."""


@dataclass(frozen=True, slots=True, eq=False)
class PriorTable:
    """Class priors as arrays: class_id (C,), mean and sigma (C, 3) of length width height, log_weight (C,)."""

    class_id: NDArray[np.int16]
    mean: Float64
    sigma: Float64
    log_weight: Float64

    @classmethod
    def of(cls, classes: Mapping[str, ClassPrior]) -> PriorTable:
        """The table of a configuration, in the order of `CLASSES`."""
        names = [name for name in CLASSES if name in classes]
        sizes = np.array([(p.length, p.width, p.height) for p in (classes[n] for n in names)], np.float64)
        weight = np.array([classes[name].weight for name in names], np.float64)
        ids = np.array([CLASSES.index(name) for name in names], np.int16)
        return cls(ids, sizes[:, :, 0], sizes[:, :, 1], np.log(weight / weight.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """Whole boxes: center_xy (K, 2), size (K, 3), yaw (K,) in (-pi/2, pi], class_id (K,), cost (K,) in squared sigmas.

    unseen (K, 2): how much of length and width was added, m.
    """

    center_xy: Float64
    size: Float64
    yaw: Float64
    class_id: NDArray[np.int16]
    cost: Float64
    unseen: Float64


def claim(rectangles: Rectangles, top: Float64, sensor_xy: np.ndarray, priors: PriorTable) -> Claims:
    """The most likely class and whole box of each rectangle, `unknown` as seen where none fits.

    top: (K,) m, highest point above the ground, NaN where heights are not measured. The far side of what is seen is hidden: sizes are filled up to the
    class's mean away from the sensor.
    """
    seen = rectangles.high - rectangles.low
    place, visible = _view(rectangles, sensor_xy)
    # (K, 2, C): length along the first axis of the rectangle, or along the second
    costs = np.stack([_cost(seen, visible, top, priors), _cost(seen[:, ::-1], visible[:, ::-1], top, priors)], axis=1)
    ranked = costs - 2 * priors.log_weight
    best = ranked.reshape(len(seen), -1).argmin(axis=1)
    swap, which = np.divmod(best, len(priors.class_id))
    cost = costs.reshape(len(seen), -1)[np.arange(len(seen)), best]
    return _completed(rectangles, place, top, priors, swap.astype(bool), which, cost)


def _view(rectangles: Rectangles, sensor_xy: np.ndarray) -> tuple[Float64, Float64]:
    """The sensor's place (K, 2) on the rectangles' axes, and how squarely each extent is looked at (K, 2), 0..1."""
    c, s = np.cos(rectangles.yaw), np.sin(rectangles.yaw)
    place = np.stack([c * sensor_xy[0] + s * sensor_xy[1], c * sensor_xy[1] - s * sensor_xy[0]], axis=1)
    ray = (rectangles.low + rectangles.high) / 2 - place
    ray = np.abs(ray) / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-6)
    # the extent along one axis is seen on the face whose normal is the other
    return place, ray[:, ::-1]


def _cost(seen: Float64, visible: Float64, top: Float64, priors: PriorTable) -> Float64:
    """Squared sigmas (K, C) between what is seen (length, width, top) and each class's size."""
    mean, sigma = priors.mean, np.hypot(priors.sigma, MEASURING_SIGMA)
    excess = np.maximum(seen[:, None, :] - mean[None, :, :2], 0) / sigma[None, :, :2]
    lack = np.maximum(mean[None, :, :2] - seen[:, None, :], 0) / (2 * sigma[None, :, :2])
    flat = excess**2 + np.minimum(lack * visible[:, None, :], 2.5) ** 2
    over = np.maximum(top[:, None] - mean[None, :, 2], 0) / sigma[None, :, 2]
    under = np.maximum(mean[None, :, 2] - top[:, None], 0) / (2 * sigma[None, :, 2] + 0.2)
    total: Float64 = flat.sum(axis=2) + np.nan_to_num(over**2 + under**2)
    return total


def _completed(
    rectangles: Rectangles,
    place: Float64,
    top: Float64,
    priors: PriorTable,
    swap: NDArray[np.bool_],
    which: NDArray[np.intp],
    cost: Float64,
) -> Claims:
    known = cost <= WORST_COST
    swap = np.where(known, swap, np.diff(rectangles.high - rectangles.low)[:, 0] > 0)
    target = np.where(known[:, None], priors.mean[which], 0.0)
    flat = np.where(swap[:, None], target[:, [1, 0]], target[:, :2])
    low, high = _extended(rectangles.low, rectangles.high, flat, place)
    extent, middle = high - low, (low + high) / 2
    c, s = np.cos(rectangles.yaw), np.sin(rectangles.yaw)
    center = np.stack([c * middle[:, 0] - s * middle[:, 1], s * middle[:, 0] + c * middle[:, 1]], axis=1)
    added = extent - (rectangles.high - rectangles.low)
    ordered, unseen = (np.where(swap[:, None], a[:, ::-1], a) for a in (extent, added))
    height = np.fmax(np.where(known, target[:, 2], 0.1), top)
    yaw = np.where(swap, rectangles.yaw + np.pi / 2, rectangles.yaw)
    class_id = np.where(known, priors.class_id[which], UNKNOWN_CLASS_ID).astype(np.int16)
    return Claims(center, np.column_stack([np.maximum(ordered, 0.1), height]), yaw, class_id, cost, unseen)


def _extended(low: Float64, high: Float64, target: Float64, place: Float64) -> tuple[Float64, Float64]:
    """Extents grown to `target`: away from the sensor where it stands outside them, to both sides where it is within."""
    lack = np.maximum(target - (high - low), 0)
    after = np.clip((low - place) / np.maximum(high - low, 0.5) + 0.5, 0, 1)
    before = np.clip((place - high) / np.maximum(high - low, 0.5) + 0.5, 0, 1)
    share = np.where(after + before > 0, after / np.maximum(after + before, 1e-9), 0.5)
    return low - lack * (1 - share), high + lack * share
