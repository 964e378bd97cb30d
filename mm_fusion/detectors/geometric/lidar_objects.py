"""Objects from LiDAR points: what stands above the ground, cut into clusters, boxed and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import UNKNOWN_CLASS_ID, Detections, empty_detections, make_detections
from mm_fusion.detectors.geometric.box_fit import Rectangles, fit_rectangles
from mm_fusion.detectors.geometric.class_claims import Claims, PriorTable, View, claims_of
from mm_fusion.detectors.geometric.clustering import cluster, even_gaps, grouped, thin
from mm_fusion.detectors.geometric.points import LidarPoints
from mm_fusion.detectors.geometric.surroundings import hidden_ends, intrusions, support
from mm_fusion.geometry.ground import segment_ground
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import Float32, Float64
from mm_fusion.model_config import LidarObjectsConfig, LidarScoreConfig


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Thinned points: xyz (N, 3) f32 m in `base_link` above the ground, height (N,) f32 above it; floor (M,
    2) f32 m, where the ground itself was seen.
    """

    xyz: Float32
    height: Float32
    floor: Float32


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Points in order of their cluster: xyz (N, 3), starts (K + 1,); ground z, bottom and top above it
    (K,); label (P,) of the scene's points, -1 for those in no cluster.
    """

    xyz: Float64
    starts: NDArray[np.int64]
    ground: Float64
    top: Float64
    label: NDArray[np.int64]

    def counts(self) -> NDArray[np.int64]:
        """Points (K,) of each cluster."""
        return np.diff(self.starts)


def scene_of(points: LidarPoints, config: LidarObjectsConfig) -> Scene:
    """The thinned points within reach at heights where objects are looked for, and the ground."""
    if not len(points.xyz):
        return Scene(points.xyz, np.zeros(0, np.float32), np.zeros((0, 2), np.float32))
    is_ground, height = segment_ground(points.xyz)
    near = points.xyz[:, 0] ** 2 + points.xyz[:, 1] ** 2 < config.reach**2
    keep = np.flatnonzero(~is_ground & near & (height > config.min_height) & (height < config.max_height))
    keep = keep[thin(points.xyz[keep], config.voxel)]
    floor = points.xyz[is_ground & near & (height > -0.3)]
    return Scene(points.xyz[keep], height[keep], floor[thin(floor, 3 * config.voxel), :2])


def lidar_objects(
    scene: Scene, sensor_xy: np.ndarray, priors: PriorTable, config: LidarObjectsConfig
) -> Detections:
    """Boxes with class and score from LiDAR alone, velocity unknown."""
    clusters = clusters_of(scene, find_clusters(scene, sensor_xy, config))
    if len(clusters.starts) == 1:
        return empty_detections()
    rectangles = fit_rectangles(clusters.xyz[:, :2], clusters.starts, config.yaw_step_deg, config.road_weight)
    claims, oddness = best_claims(scene, clusters, rectangles, sensor_xy, priors, config)
    evidence = _evidence(clusters, claims, oddness, sensor_xy, config.score) + priors.rarity(claims.class_id)
    return _detections(clusters, rectangles, claims, 1 / (1 + np.exp(-np.clip(evidence, -30, 30))))


def find_clusters(scene: Scene, sensor_xy: np.ndarray, config: LidarObjectsConfig) -> NDArray[np.int64]:
    """Cluster (N,) of each point, -1 for too few together; walls left out, long clusters cut again."""
    flat = even_gaps(scene.xyz[:, :2], sensor_xy, config.gap, config.gap_per_metre)
    upright = config.height_share * scene.height[:, None] / config.gap
    features = np.column_stack([flat, upright])
    labels = _without(lambda length: length > config.largest, cluster(features), scene.xyz)
    labels = _cut_long(labels, features / config.split_gap, scene.xyz, config.split_above)
    counts = np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=-1)) + 1)
    return np.where(np.append(counts >= config.min_points, False)[labels], labels, -1)


def clusters_of(scene: Scene, labels: NDArray[np.int64]) -> Clusters:
    """The clusters of these labels (N,), numbered without gaps."""
    found = np.unique(labels[labels >= 0])
    labels = np.where(labels >= 0, np.searchsorted(found, labels), -1)
    order, starts = grouped(labels)
    xyz, height = scene.xyz[order].astype(np.float64), scene.height[order].astype(np.float64)
    if len(starts) == 1:
        return Clusters(xyz, starts, np.zeros(0), np.zeros(0), labels)
    ground = np.add.reduceat(xyz[:, 2] - height, starts[:-1]) / np.diff(starts)
    return Clusters(xyz, starts, ground, np.maximum.reduceat(height, starts[:-1]), labels)


def best_claims(
    scene: Scene,
    clusters: Clusters,
    rectangles: Rectangles,
    sensor_xy: np.ndarray,
    priors: PriorTable,
    config: LidarObjectsConfig,
) -> tuple[Claims, Float64]:
    """One claim per cluster, by size, by what its box would swallow and by how its neighbours stand.

    Also how odd (K,) the chosen box is in its surroundings.
    """
    ends = hidden_ends(clusters.xyz[:, :2], clusters.starts, scene.xyz[scene.height > 0.5, :2], sensor_xy)
    first, second = claims_of(rectangles, clusters.top, View.of(rectangles, sensor_xy, ends), priors)
    odd_first, odd_second = (_oddness(scene, clusters, claims) for claims in (first, second))
    lead = first.rank + odd_first - second.rank - odd_second
    trust = np.tanh(np.abs(lead) / 4) * (rectangles.evidence > 0.1) * (clusters.counts() >= 8)
    take_second = lead > 0
    for _ in range(2):
        take_second = (
            lead + config.row_weight * support(first, second, take_second, trust, config.row_reach) > 0
        )
    return Claims.either(first, second, take_second), np.where(take_second, odd_second, odd_first)


def _oddness(scene: Scene, clusters: Clusters, claims: Claims) -> Float64:
    """Cost (K,) of what each box would swallow: other clusters' points, and ground that was seen."""
    owner = np.arange(len(claims.cost))
    boxes = claims.boxes()
    others = intrusions(boxes, owner, scene.xyz[:, :2], clusters.label, 0.25)
    floor = intrusions(boxes, owner, scene.floor, np.full(len(scene.floor), -1), 0.4)
    return np.minimum(others, 6.0) + 0.5 * np.minimum(floor, 8.0)


def _cut_long(labels: np.ndarray, finer: Float64, xyz: Float32, longest: float) -> NDArray[np.int64]:
    """Labels with the members of clusters longer than `longest` clustered again on `finer` features."""
    long = np.append(_lengths(labels, xyz) > longest, False)[labels]
    again = cluster(finer[long])
    cut = labels.astype(np.int64)
    cut[long] = again + int(labels.max(initial=-1)) + 1
    return cut


def _without(
    unwanted: Callable[[Float64], np.ndarray], labels: np.ndarray, xyz: Float32
) -> NDArray[np.int64]:
    """Labels with -1 for clusters of unwanted length."""
    return np.where(np.append(unwanted(_lengths(labels, xyz)), False)[labels], -1, labels).astype(np.int64)


def _lengths(labels: np.ndarray, xyz: Float32) -> Float64:
    """The diagonal (K,) of each cluster's upright footprint, 0 for labels that no point has."""
    order, starts = grouped(labels)
    filled = np.flatnonzero(np.diff(starts))
    lengths = np.zeros(len(starts) - 1)
    if len(filled):
        xy = xyz[order, :2]
        span = np.maximum.reduceat(xy, starts[filled]) - np.minimum.reduceat(xy, starts[filled])
        lengths[filled] = np.hypot(span[:, 0], span[:, 1])
    return lengths


def _detections(clusters: Clusters, rectangles: Rectangles, claims: Claims, score: Float64) -> Detections:
    count = len(claims.cost)
    center = np.column_stack([claims.center_xy, clusters.ground + claims.size[:, 2] / 2])
    return make_detections(
        count,
        center=center,
        size=claims.size,
        yaw=wrap_angle(claims.yaw),
        position_cov=_position_cov(claims),
        variance=_variance(clusters, rectangles, claims),
        score=score,
        class_id=claims.class_id,
        contribution=np.tile([0.0, 1.0, 0.0], (count, 1)),
    )


def _position_cov(claims: Claims) -> Float64:
    """xx xy yy: the centre along each axis is unsure by a fifth of what had to be added there."""
    along, across = (0.01 + (claims.unseen[:, k] / 5) ** 2 for k in (0, 1))
    c, s = np.cos(claims.yaw), np.sin(claims.yaw)
    return np.stack(
        [c * c * along + s * s * across, c * s * (along - across), s * s * along + c * c * across], axis=1
    )


def _variance(clusters: Clusters, rectangles: Rectangles, claims: Claims) -> Float64:
    """z l w h yaw: what was added is as unsure as the class's spread; yaw by how sharp the fit is."""
    length, width = (0.01 + (0.15 * claims.unseen[:, k]) ** 2 for k in (0, 1))
    height = 0.01 + (0.3 * np.maximum(claims.size[:, 2] - clusters.top, 0)) ** 2
    few = 1 / np.sqrt(clusters.counts())
    yaw = (0.03 + few * np.maximum(1 - 2 * rectangles.evidence, 0.1)) ** 2
    return np.stack([0.01 + height / 4, length, width, height, yaw], axis=1)


def _evidence(
    clusters: Clusters, claims: Claims, oddness: Float64, sensor_xy: np.ndarray, weights: LidarScoreConfig
) -> Float64:
    """Log-odds (K,) that each claim is an object."""
    known = claims.class_id != UNKNOWN_CLASS_ID
    evidence: Float64 = (
        weights.bias
        + weights.log_points * np.log(clusters.counts())
        + weights.oddness * oddness
        + weights.distance * np.hypot(*(claims.center_xy - sensor_xy).T)
        + weights.unseen_width * claims.unseen[:, 1]
        + weights.ground * np.minimum(np.abs(clusters.ground), 1.0)
        # a class that does not claim it says nothing by how far off its size is
        + np.where(known, weights.cost * claims.cost, weights.unknown)
    )
    return evidence
