"""Objects from radar returns: clusters in position and Doppler, velocity along the ray, boxes of class
size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import UNKNOWN_CLASS_ID, Detections, empty_detections, make_detections
from mm_fusion.detectors.geometric.box_fit import Rectangles
from mm_fusion.detectors.geometric.class_claims import Claims, PriorTable, View, claims_of
from mm_fusion.detectors.geometric.clustering import cluster, even_gaps, grouped
from mm_fusion.detectors.geometric.doppler import RayVelocity, mean_on_circle, ray_velocity
from mm_fusion.detectors.geometric.points import RadarReturns
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import Float64
from mm_fusion.model_config import RadarObjectsConfig, RadarScoreConfig

MIDDLE_OF_A_CAR = 0.7
"""Height, m, about which a road user's returns scatter; buildings, trees and signs lie above."""


def radar_objects(
    returns: RadarReturns,
    ground: Callable[[Float64], Float64],
    priors: PriorTable,
    config: RadarObjectsConfig,
) -> Detections:
    """Boxes with class, score and velocity along the ray from radar alone.

    ground: heights (N,) of the ground at places (N, 2), on which they stand.
    """
    near = np.hypot(returns.xyz[:, 0], returns.xyz[:, 1]) < config.reach
    returns = returns.select(np.flatnonzero(near))
    order, starts = find_clusters(returns, config)
    if len(starts) == 1:
        return empty_detections()
    members = returns.select(order)
    velocities = [_velocity(members.select(np.arange(a, b)), config) for a, b in zip(starts[:-1], starts[1:])]
    origin = members.origin.mean(axis=0)
    claims = _claims(members, starts, origin, np.array([v.moving for v in velocities]), priors, config)
    return _detections(members, starts, claims, velocities, ground(claims.center_xy), config)


def find_clusters(
    returns: RadarReturns, config: RadarObjectsConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of returns by cluster and the (K + 1,) places where clusters start."""
    count = len(returns.xyz)
    if not count:
        return np.zeros(0, np.int64), np.zeros(1, np.int64)
    known = np.nan_to_num(returns.velocity)
    twin, shift = _across_the_seam(known, returns.ambiguity, config.doppler_gap_mps)
    origin = returns.origin.mean(axis=0)
    flat = even_gaps(returns.xyz[:, :2], origin, config.gap, config.gap_per_metre)
    features = np.column_stack([flat, known / config.doppler_gap_mps])
    copies = features[twin] + np.column_stack([np.zeros((len(twin), 2)), shift / config.doppler_gap_mps])
    labels = cluster(np.vstack([features, copies]), 2)
    whole = _joined(labels[:count], twin, labels[count:])
    counts = np.bincount(whole[whole >= 0], minlength=1)
    order, starts = grouped(np.where((whole >= 0) & (counts[whole] >= config.min_returns), whole, -1))
    sizes = np.diff(starts)
    return order, np.concatenate([[0], np.cumsum(sizes[sizes > 0])])


def _across_the_seam(
    velocity: np.ndarray, ambiguity: np.ndarray, gap: float
) -> tuple[NDArray[np.intp], Float64]:
    """Returns near one end of the interval, and the shift that puts a copy beside the other end."""
    twin = np.flatnonzero(np.isfinite(ambiguity) & (velocity < -ambiguity / 2 + gap))
    return twin, ambiguity[twin].astype(np.float64)


def _joined(labels: np.ndarray, twin: NDArray[np.intp], copy_labels: np.ndarray) -> NDArray[np.int64]:
    """Labels with clusters made one that a return and its copy link."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = int(max(labels.max(initial=-1), copy_labels.max(initial=-1))) + 1
    a, b = labels[twin], copy_labels
    linked = (a >= 0) & (b >= 0)
    graph = coo_matrix((np.ones(linked.sum()), (a[linked], b[linked])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return np.where(labels >= 0, np.append(component, -1)[labels], -1).astype(np.int64)


def _claims(
    members: RadarReturns,
    starts: NDArray[np.int64],
    origin: np.ndarray,
    moving: Float64,
    priors: PriorTable,
    config: RadarObjectsConfig,
) -> Claims:
    """Boxes along or across the vehicle's own heading: returns scatter too much to show a car's sides.

    What moves along the ray cannot stand across it.
    """
    count = len(starts) - 1
    xy = members.xyz[:, :2].astype(np.float64)
    low, high = inner_extents(xy, starts, config.outliers)
    rectangles = Rectangles(np.zeros(count), low, high, np.zeros(count))
    view = View.of(rectangles, origin)
    view = View(view.place, 0.5 * view.visible, view.hidden)
    first, second = claims_of(rectangles, np.full(count, np.nan), view, priors, config.extent_sigma)
    across = np.abs(first.center_xy - origin)
    lean = np.where(across[:, 1] > across[:, 0], 1.0, -1.0) * config.motion_weight * moving
    return Claims.either(first, second, first.rank - second.rank + lean > 0)


def inner_extents(xy: Float64, starts: NDArray[np.int64], outliers: float) -> tuple[Float64, Float64]:
    """Lowest and highest (K, 2) of each cluster's points on both axes without the share `outliers` at either
    end.
    """
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    drop = np.floor(outliers * np.diff(starts)).astype(np.int64)
    ordered = np.stack([xy[np.lexsort((xy[:, k], owner)), k] for k in (0, 1)], axis=1)
    return ordered[starts[:-1] + drop], ordered[starts[1:] - 1 - drop]


def _velocity(members: RadarReturns, config: RadarObjectsConfig) -> RayVelocity:
    """One cluster's velocity, each radar that saw it giving one component."""
    radars, which = np.unique(members.origin, axis=0, return_inverse=True)
    # three radars settle velocity; more would only multiply the multiples to weigh
    chosen = np.argsort(-np.bincount(which.ravel()), kind="stable")[:3]
    groups = [members.select(np.flatnonzero(which.ravel() == k)) for k in chosen]
    rays = np.array([_unit(g.ray.astype(np.float64).mean(axis=0)) for g in groups])
    intervals = np.array([float(g.ambiguity[0]) for g in groups])
    speeds = np.array([mean_on_circle(g.velocity, a) for g, a in zip(groups, intervals)])
    return ray_velocity(rays, speeds, intervals, config)


def _detections(
    members: RadarReturns,
    starts: NDArray[np.int64],
    claims: Claims,
    velocities: list[RayVelocity],
    ground: Float64,
    config: RadarObjectsConfig,
) -> Detections:
    count = len(velocities)
    moving = np.array([v.moving for v in velocities])
    return make_detections(
        count,
        center=np.column_stack([claims.center_xy, ground + claims.size[:, 2] / 2]),
        size=claims.size,
        yaw=wrap_angle(claims.yaw),
        velocity=np.array([v.velocity for v in velocities]),
        velocity_cov=np.array([v.covariance for v in velocities]),
        position_cov=_position_cov(claims, members.origin.mean(axis=0)),
        # sizes are the class's own, the direction is a guess: neither may move what another sensor measured
        variance=np.tile([0.1, 4.0, 1.0, 0.3, 1.0], (count, 1)),
        score=_score(members, starts, claims, moving, config.score),
        class_id=claims.class_id,
        moving=moving,
        contribution=np.tile([0.0, 0.0, 1.0], (count, 1)),
    )


def _score(
    members: RadarReturns,
    starts: NDArray[np.int64],
    claims: Claims,
    moving: Float64,
    weights: RadarScoreConfig,
) -> Float64:
    returns = np.diff(starts)
    height = np.add.reduceat(members.xyz[:, 2].astype(np.float64), starts[:-1]) / returns
    logit = (
        weights.bias
        + weights.log_returns * np.log(returns)
        + weights.moving * moving
        + weights.too_high * np.maximum(height - MIDDLE_OF_A_CAR, 0)
        + np.where(claims.class_id != UNKNOWN_CLASS_ID, weights.cost * claims.cost, weights.unknown)
    )
    return 1 / (1 + np.exp(-np.clip(logit, -30, 30)))


def _position_cov(claims: Claims, origin: np.ndarray) -> Float64:
    """xx xy yy: along the ray the reflecting part of the car is unsure, across it the angle."""
    ray = claims.center_xy - origin
    distance = np.maximum(np.hypot(ray[:, 0], ray[:, 1]), 1e-6)
    x, y = (ray / distance[:, None]).T
    along, across = 1.1**2, 0.7**2 + (0.01 * distance) ** 2
    return np.stack(
        [x * x * along + y * y * across, x * y * (along - across), y * y * along + x * x * across], axis=1
    )


def _unit(vector: Float64) -> Float64:
    return vector / max(float(np.hypot(*vector)), 1e-9)
