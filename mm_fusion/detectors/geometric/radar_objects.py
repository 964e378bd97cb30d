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
from mm_fusion.detectors.geometric.doppler import RayVelocities, ray_velocities
from mm_fusion.detectors.geometric.points import RadarReturns
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import Float64
from mm_fusion.model_config import RadarObjectsConfig, RadarScoreConfig

MOST_RADARS = 3
"""Radars of which one object's velocity is made; more would only multiply the multiples to weigh."""
NO_WRAP = 1000.0
"""Circle, m/s, on which velocities that do not wrap are averaged: far longer than any speed."""
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
    velocities = velocities_of(members, starts, config)
    origin = members.origin.mean(axis=0)
    claims = _claims(members, starts, origin, velocities.moving, priors, config)
    evidence = _evidence(members, starts, claims, velocities.moving, config.score) + priors.rarity(
        claims.class_id
    )
    return _detections(members, claims, velocities, ground(claims.center_xy), _chance(evidence))


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
    labels = cluster(np.vstack([features, copies]))
    whole = _joined(labels[:count], labels[twin], labels[count:])
    order, starts = grouped(np.where(np.bincount(whole)[whole] >= config.min_returns, whole, -1))
    sizes = np.diff(starts)
    return order, np.concatenate([[0], np.cumsum(sizes[sizes > 0])])


def _across_the_seam(
    velocity: np.ndarray, ambiguity: np.ndarray, gap: float
) -> tuple[NDArray[np.intp], Float64]:
    """Returns near one end of the interval, and the shift that puts a copy beside the other end."""
    twin = np.flatnonzero(np.isfinite(ambiguity) & (velocity < -ambiguity / 2 + gap))
    return twin, ambiguity[twin].astype(np.float64)


def _joined(labels: np.ndarray, own: np.ndarray, of_copy: np.ndarray) -> NDArray[np.int64]:
    """Labels (N,) with clusters made one that a return (`own`) and its copy link."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = int(max(labels.max(), of_copy.max(initial=0))) + 1
    graph = coo_matrix((np.ones(len(own)), (own, of_copy)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    return component[labels].astype(np.int64)


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
    """Lowest and highest (K, 2) of each cluster's points, a share `outliers` left out at each end."""
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    drop = np.floor(outliers * np.diff(starts)).astype(np.int64)
    ordered = np.stack([xy[np.lexsort((xy[:, k], owner)), k] for k in (0, 1)], axis=1)
    return ordered[starts[:-1] + drop], ordered[starts[1:] - 1 - drop]


def velocities_of(
    members: RadarReturns, starts: NDArray[np.int64], config: RadarObjectsConfig
) -> RayVelocities:
    """The velocity of each cluster, each radar that saw it giving one component; three radars settle it."""
    radars, which = np.unique(members.origin, axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    rays, speeds, intervals, seen = _sights(members, owner, which.ravel(), (len(starts) - 1, len(radars)))
    out = RayVelocities(np.full((len(seen), 2), np.nan), np.zeros((len(seen), 3)), np.full(len(seen), 0.5))
    chosen = np.argsort(-seen, axis=1, kind="stable")[:, :MOST_RADARS]
    used = np.minimum((seen > 0).sum(axis=1), MOST_RADARS)
    for count in range(1, MOST_RADARS + 1):
        rows = np.flatnonzero(used == count)
        pick = (rows[:, None], chosen[rows, :count])
        some = ray_velocities(rays[pick], speeds[pick], intervals[pick], config)
        for name in RayVelocities.__slots__:
            getattr(out, name)[rows] = getattr(some, name)
    return out


def _sights(
    members: RadarReturns, owner: NDArray[np.int64], which: NDArray[np.intp], shape: tuple[int, int]
) -> tuple[Float64, Float64, Float64, Float64]:
    """Mean ray (K, R, 2), mean velocity, interval and number of returns (K, R) by cluster and radar.

    The mean is taken on the circle of the interval; a velocity that does not wrap lies on one too long to
    matter.
    """
    pair = owner * shape[1] + which
    velocity = members.velocity.astype(np.float64)
    known = np.isfinite(velocity)
    circle = np.where(np.isfinite(members.ambiguity), members.ambiguity, NO_WRAP).astype(np.float64)
    turn = np.where(known, velocity, 0.0) * (2 * np.pi / circle)

    def summed(values: np.ndarray) -> Float64:
        return np.asarray(np.bincount(pair, values, shape[0] * shape[1]), np.float64).reshape(shape)

    seen, with_velocity = summed(np.ones(len(pair))), summed(known.astype(np.float64))
    length = summed(circle) / np.maximum(seen, 1)
    angle = np.arctan2(summed(known * np.sin(turn)), summed(known * np.cos(turn)))
    speeds = np.where(with_velocity > 0, angle * length / (2 * np.pi), np.nan)
    rays = np.stack([summed(members.ray[:, 0]), summed(members.ray[:, 1])], axis=2)
    rays /= np.maximum(np.linalg.norm(rays, axis=2, keepdims=True), 1e-9)
    return rays, speeds, np.where(length < NO_WRAP / 2, length, np.inf), seen


def _detections(
    members: RadarReturns, claims: Claims, velocities: RayVelocities, ground: Float64, score: Float64
) -> Detections:
    count = len(claims.cost)
    return make_detections(
        count,
        center=np.column_stack([claims.center_xy, ground + claims.size[:, 2] / 2]),
        size=claims.size,
        yaw=wrap_angle(claims.yaw),
        velocity=velocities.velocity,
        velocity_cov=velocities.covariance,
        position_cov=_position_cov(claims, members.origin.mean(axis=0)),
        # sizes are the class's own, the direction is a guess: neither may move what another sensor measured
        variance=np.tile([1.0, 4.0, 1.0, 1.0, 1.0], (count, 1)),
        score=score,
        class_id=claims.class_id,
        moving=velocities.moving,
        contribution=np.tile([0.0, 0.0, 1.0], (count, 1)),
    )


def _evidence(
    members: RadarReturns,
    starts: NDArray[np.int64],
    claims: Claims,
    moving: Float64,
    weights: RadarScoreConfig,
) -> Float64:
    """Log-odds (K,) that each claim is an object."""
    returns = np.diff(starts)
    height = np.add.reduceat(members.xyz[:, 2].astype(np.float64), starts[:-1]) / returns
    evidence: Float64 = (
        weights.bias
        + weights.log_returns * np.log(returns)
        + weights.moving * moving
        + weights.too_high * np.maximum(height - MIDDLE_OF_A_CAR, 0)
        + np.where(claims.class_id != UNKNOWN_CLASS_ID, weights.cost * claims.cost, weights.unknown)
    )
    return evidence


def _chance(evidence: Float64) -> Float64:
    return 1 / (1 + np.exp(-np.clip(evidence, -30, 30)))


def _position_cov(claims: Claims, origin: np.ndarray) -> Float64:
    """xx xy yy: along the ray the reflecting part of the car is unsure, across it the angle."""
    ray = claims.center_xy - origin
    distance = np.maximum(np.hypot(ray[:, 0], ray[:, 1]), 1e-6)
    x, y = (ray / distance[:, None]).T
    along, across = 1.0**2, 0.6**2 + (0.01 * distance) ** 2
    return np.stack(
        [x * x * along + y * y * across, x * y * (along - across), y * y * along + x * x * across], axis=1
    )
