"""Which object of one sensor is which of another: class-aware gates, distance and overlap, one to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES, Detections
from mm_fusion.detectors.information import squared_distance
from mm_fusion.geometry.boxes import boxes_of, iou_bev
from mm_fusion.measurements import Float64
from mm_fusion.model_config import LateFusionConfig

FAMILIES = (
    ("car", "truck", "bus", "trailer", "construction_vehicle"),
    ("motorcycle", "bicycle", "pedestrian"),
    ("traffic_cone", "barrier"),
)
"""Classes that one sensor may take for another; `unknown` goes with each of them."""

FORBIDDEN = 1e6
"""Cost of a pair that cannot be one object, above any sum of allowed ones."""


def match(
    a: Detections, b: Detections, config: LateFusionConfig
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices into `a` and `b` of the pairs that are one object, by least total cost.

    Cost is the squared Mahalanobis distance of the footprints' centres plus `overlap_weight` * (1 - IoU), or
    the gate's distance and no overlap at most. Source: Kuhn 1955, as in scipy.
    """
    if not len(a) or not len(b):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    from scipy.optimize import linear_sum_assignment

    cost = pair_costs(a, b, config)
    rows, columns = linear_sum_assignment(cost)
    allowed = cost[rows, columns] < FORBIDDEN
    return rows[allowed], columns[allowed]


def pair_costs(a: Detections, b: Detections, config: LateFusionConfig) -> Float64:
    """Costs (N, M), `FORBIDDEN` outside the gate and between classes that nobody takes for one another."""
    apart = (b.center[None, :, :2] - a.center[:, None, :2]).astype(np.float64)
    distance = squared_distance(apart, a.position_cov[:, None].astype(np.float64) + b.position_cov[None])
    cost = distance + config.overlap_weight * (1 - iou_bev(boxes_of(a), boxes_of(b)))
    return np.where((distance < config.gate) & may_be_one(a.class_id, b.class_id), cost, FORBIDDEN)


def may_be_one(a: np.ndarray, b: np.ndarray) -> NDArray[np.bool_]:
    """Whether (N, M) two sensors may mean one object by these classes (N,) and (M,)."""
    family = _family_by_class()
    left, right = family[a][:, None], family[b][None, :]
    return (left == right) | (left < 0) | (right < 0)


def _family_by_class() -> NDArray[np.int64]:
    family = np.full(len(CLASSES), -1)
    for index, names in enumerate(FAMILIES):
        family[[CLASSES.index(name) for name in names]] = index
    return family
