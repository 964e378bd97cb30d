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
"""Squared standard deviations from a class's size above which nothing claims a cluster (about 4 sigma in one
size).
"""

LACK = 0.25
"""Share of a size that may go unseen where it is looked at squarely, as one sigma: returns are sparse."""


@dataclass(frozen=True, slots=True, eq=False)
class PriorTable:
    """Class priors as arrays: class_id, log_weight (C,), mean and sigma (C, 3) of length width height."""

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

    def rarity(self, class_id: NDArray[np.int16]) -> Float64:
        """Log of how much rarer (N,) each class is than the commonest, at most 0; 0 for `unknown`."""
        table = np.zeros(len(CLASSES))
        table[self.class_id] = self.log_weight - self.log_weight.max()
        return table[class_id]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How each rectangle is looked at: place (K, 2), the sensor on its axes; visible (K, 2) 0..1, how well
    the extent along each axis can be seen; hidden (K, 2, 2) 0..1, whether something nearer hides its low
    and high end.
    """

    place: Float64
    visible: Float64
    hidden: Float64

    @classmethod
    def of(cls, rectangles: Rectangles, sensor_xy: np.ndarray, ends: NDArray[np.bool_] | None = None) -> View:
        """The view from `sensor_xy`; ends: (K, 2), whether the right and the left end is hidden."""
        c, s = np.cos(rectangles.yaw), np.sin(rectangles.yaw)
        place = np.stack([c * sensor_xy[0] + s * sensor_xy[1], c * sensor_xy[1] - s * sensor_xy[0]], axis=1)
        ray = (rectangles.low + rectangles.high) / 2 - place
        ray = ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-6)
        # left, counter-clockwise as seen from the sensor, on the rectangle's axes
        left = np.stack([-ray[:, 1], ray[:, 0]], axis=1)
        if ends is None:
            ends = np.zeros((len(c), 2), bool)
        at_high = np.where(left > 0, ends[:, [1]], ends[:, [0]])
        at_low = np.where(left > 0, ends[:, [0]], ends[:, [1]])
        hidden = np.stack([at_low, at_high], axis=2) * np.abs(left)[:, :, None]
        # the extent along one axis is seen on the face whose normal is the other
        return cls(place, np.abs(left) * (1 - hidden.max(axis=2)), hidden)


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """Whole boxes: center_xy (N, 2), size (N, 3), yaw (N,), class_id (N,), cost (N,) in squared sigmas, rank
    (N,) the same with how rare the class is; unseen (N, 2): how much of length and width was added, m.
    """

    center_xy: Float64
    size: Float64
    yaw: Float64
    class_id: NDArray[np.int16]
    cost: Float64
    rank: Float64
    unseen: Float64

    def select(self, keep: np.ndarray) -> Claims:
        """The claims that `keep` (mask or indices) names."""
        return Claims(*(getattr(self, name)[keep] for name in self.__slots__))

    @classmethod
    def either(cls, first: Claims, second: Claims, take_second: NDArray[np.bool_]) -> Claims:
        """Each row of `second` where `take_second` (N,), else of `first`."""
        both = cls(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in cls.__slots__))
        return both.select(np.arange(len(take_second)) + take_second * len(take_second))

    def boxes(self) -> Float64:
        """Boxes (N, 7) standing on z = 0."""
        return np.column_stack([self.center_xy, self.size[:, 2] / 2, self.size, self.yaw])


def claims_of(
    rectangles: Rectangles, top: Float64, view: View, priors: PriorTable, sigma: float = MEASURING_SIGMA
) -> tuple[Claims, Claims]:
    """The likeliest class and whole box of each rectangle, lengthwise along its first, and its second axis.

    top: (K,) m, highest point above the ground, NaN where heights are not measured. The far side of what is
    seen is hidden: sizes are filled up to the class's mean away from the sensor and behind what stands in
    front. `unknown` and as seen where no class fits. sigma: standard deviation of a seen extent, m.
    """
    first, second = (_claim_along(axis, rectangles, top, view, priors, sigma) for axis in (0, 1))
    return first, second


def _claim_along(
    axis: int, rectangles: Rectangles, top: Float64, view: View, priors: PriorTable, sigma: float
) -> Claims:
    axes = [axis, 1 - axis]
    seen = (rectangles.high - rectangles.low)[:, axes]
    costs = _costs(seen, view.visible[:, axes], top, priors, sigma)
    ranks = costs - 2 * priors.log_weight
    which = ranks.argmin(axis=1)
    rows = np.arange(len(seen))
    cost, rank = costs[rows, which], ranks[rows, which]
    known = cost <= WORST_COST
    target = np.where(known[:, None], priors.mean[which], 0.1)
    low, high = _extended(
        rectangles.low[:, axes],
        rectangles.high[:, axes],
        target[:, :2],
        view.place[:, axes],
        view.hidden[:, axes],
    )
    middle = ((low + high) / 2)[:, axes]
    c, s = np.cos(rectangles.yaw), np.sin(rectangles.yaw)
    return Claims(
        center_xy=np.stack(
            [c * middle[:, 0] - s * middle[:, 1], s * middle[:, 0] + c * middle[:, 1]], axis=1
        ),
        size=np.column_stack([high - low, np.fmax(target[:, 2], top)]),
        yaw=rectangles.yaw + axis * np.pi / 2,
        class_id=np.where(known, priors.class_id[which], UNKNOWN_CLASS_ID).astype(np.int16),
        cost=cost,
        rank=rank,
        unseen=high - low - seen,
    )


def _costs(seen: Float64, visible: Float64, top: Float64, priors: PriorTable, measuring: float) -> Float64:
    """Squared sigmas (K, C) between what is seen (length, width, top) and each class's size."""
    mean, sigma = priors.mean, np.hypot(priors.sigma, measuring)
    excess = np.maximum(seen[:, None, :] - mean[None, :, :2], 0) / sigma[None, :, :2]
    lack = np.maximum(mean[None, :, :2] - seen[:, None, :], 0) / (LACK * mean[None, :, :2])
    flat = excess**2 + (lack * visible[:, None, :]) ** 2
    over = np.maximum(top[:, None] - mean[None, :, 2], 0) / sigma[None, :, 2]
    under = np.maximum(mean[None, :, 2] - top[:, None], 0) / (3 * sigma[None, :, 2] + 0.4)
    total: Float64 = flat.sum(axis=2) + np.nan_to_num(over**2 + under**2)
    return total


def _extended(
    low: Float64, high: Float64, target: Float64, place: Float64, hidden: Float64
) -> tuple[Float64, Float64]:
    """Extents grown to `target`: away from the sensor, behind what hides an end, else to both sides."""
    lack = np.maximum(target - (high - low), 0)
    span = np.maximum(high - low, 0.5)
    before = np.clip((place - high) / span + 0.5, 0, 1) + hidden[:, :, 0]
    after = np.clip((low - place) / span + 0.5, 0, 1) + hidden[:, :, 1]
    share = np.where(after + before > 0, after / np.maximum(after + before, 1e-9), 0.5)
    return low - lack * (1 - share), high + lack * share
