"""Objects of several sensors made one list: matched, joined by block, believed as far as all that could see
agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import (
    SENSOR_GROUPS,
    UNKNOWN_CLASS_ID,
    Detections,
    concatenate_detections,
    empty_detections,
    make_detections,
)
from mm_fusion.detectors.association import match
from mm_fusion.detectors.information import (
    intersect_scalars,
    intersect_vectors,
    join_scalars,
    join_vectors,
    nearest_half_turn,
)
from mm_fusion.geometry.boxes import boxes_of, iou_bev
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import Float64
from mm_fusion.model_config import LateFusionConfig

Coverage = Callable[[Detections], Float64]
"""Chance (N,) 0..1 that a sensor sees each of N objects if it is there."""

_ORDER = ("lidar", "radar", "camera")
_CLASS_TRUST = {"camera": 1.0, "lidar": 0.7, "radar": 0.2}


@dataclass(frozen=True, slots=True, eq=False)
class SensorObjects:
    """What one sensor (or all of a kind) says: `score` is the chance that an object is there, from it alone.

    independent: False for what may share history with the others: tracks, other nodes' objects.
    """

    group: Literal["camera", "lidar", "radar"]
    sensor: str
    detections: Detections
    independent: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Pairs that were matched: `offset` (K, 2) m of b's centre from a's before they were joined."""

    a: str
    b: str
    offset: Float64


@dataclass(frozen=True, slots=True, eq=False)
class _Joined:
    """Objects so far, and their evidence (N, P): log-odds that part gave, NaN where it was silent."""

    detections: Detections
    evidence: Float64


def fuse(
    parts: Sequence[SensorObjects], coverage: Mapping[str, Coverage], config: LateFusionConfig
) -> tuple[Detections, tuple[Matches, ...]]:
    """One list of objects from all parts, strongest first, and the pairs that were matched.

    coverage: by `SensorObjects.sensor`; a part without one lowers nothing by its silence. The order of
    `parts` does not matter. A sensor that is not there is not among `parts`.
    """
    ordered = sorted(parts, key=lambda part: (_ORDER.index(part.group), not part.independent, part.sensor))
    joined = _Joined(empty_detections(), np.zeros((0, len(ordered))))
    matches: list[Matches] = []
    for index in range(len(ordered)):
        joined, found = _add(joined, index, ordered, config)
        matches += [Matches(ordered[k].sensor, ordered[index].sensor, offset) for k, offset in found]
    evidence = _with_silence(joined, ordered, coverage)
    believed = _believed(joined, evidence, ordered, config)
    single = believed.select(without_doubles(believed, config.doubles_overlap))
    return headed(single, config.heading_mps), tuple(matches)


def widened(detections: Detections, config: LateFusionConfig) -> Detections:
    """The same with what calibration and timing leave unknown added to the covariance of positions."""
    distance = np.hypot(detections.center[:, 0], detections.center[:, 1])
    turn = np.radians(config.calibration_sigma_deg) * distance
    delay = config.timing_sigma_s * config.unknown_speed * detections.moving
    extra = config.calibration_sigma**2 + turn**2 + delay**2
    covariance = detections.position_cov + np.stack([extra, np.zeros_like(extra), extra], axis=1)
    return replace(detections, position_cov=covariance.astype(np.float32))


def without_doubles(detections: Detections, most: float) -> NDArray[np.intp]:
    """Indices of objects that overlap no stronger (earlier) one by more than `most`, footprint IoU."""
    overlap = iou_bev(boxes_of(detections), boxes_of(detections)) > most
    alive = np.ones(len(detections), bool)
    for index in range(len(detections)):
        if alive[index]:
            alive[index + 1 :] &= ~overlap[index, index + 1 :]
    return np.flatnonzero(alive)


def headed(detections: Detections, least: float) -> Detections:
    """The same, turned by half a turn where they would drive backwards faster than `least` m/s.

    Shape gives yaw modulo half a turn; motion, where it is known, settles the rest.
    """
    heading = np.stack([np.cos(detections.yaw), np.sin(detections.yaw)], axis=1)
    forward = np.nan_to_num((heading * detections.velocity).sum(axis=1))
    backwards = (forward < -least) & (detections.moving > 0.5)
    yaw = np.where(backwards, wrap_angle(detections.yaw + np.pi), detections.yaw)
    return replace(detections, yaw=yaw.astype(np.float32))


def join(
    a: Detections, b: Detections, trust: tuple[np.ndarray | float, float], independent: bool = True
) -> Detections:
    """Objects a[i] and b[i] joined by block; class of the one with more trust times score, of a if equal."""
    vectors, scalars = (join_vectors, join_scalars) if independent else (intersect_vectors, intersect_scalars)
    position, position_cov = vectors(
        _pair(a.center[:, :2], a.position_cov), _pair(b.center[:, :2], b.position_cov)
    )
    velocity, velocity_cov = vectors(_pair(a.velocity, a.velocity_cov), _pair(b.velocity, b.velocity_cov))
    yaw_b = nearest_half_turn(b.yaw.astype(np.float64), a.yaw.astype(np.float64))
    left = np.column_stack([a.center[:, 2], a.size, a.yaw])
    right = np.column_stack([b.center[:, 2], b.size, yaw_b])
    blocks = [
        scalars(_pair(left[:, k], a.variance[:, k]), _pair(right[:, k], b.variance[:, k])) for k in range(5)
    ]
    (z, length, width, height, yaw), variance = zip(*blocks)
    return make_detections(
        len(a),
        center=np.column_stack([position, z]),
        size=np.column_stack([length, width, height]),
        yaw=wrap_angle(yaw),
        velocity=velocity,
        position_cov=position_cov,
        velocity_cov=velocity_cov,
        variance=np.column_stack(variance),
        score=np.maximum(a.score, b.score),
        class_id=_joined_class(a, b, trust),
        moving=_joined_chance(a.moving, b.moving),
        contribution=a.contribution,
        track_id=_joined_ids(a, b),
    )


def _add(
    joined: _Joined, index: int, parts: Sequence[SensorObjects], config: LateFusionConfig
) -> tuple[_Joined, list[tuple[int, Float64]]]:
    """`joined` with part `index` in it, and the offsets of its matches by the index of the part they met."""
    part = parts[index]
    new = widened(part.detections, config)
    left, right = match(joined.detections, new, config)
    found = _offsets(joined, new, left, right)
    own = _logit(new.score)
    evidence = np.vstack(
        [joined.evidence, np.full((len(new) - len(right), joined.evidence.shape[1]), np.nan)]
    )
    alone = np.setdiff1d(np.arange(len(new)), right)
    evidence[left, index], evidence[len(joined.evidence) :, index] = own[right], own[alone]
    trust = (_trust_so_far(joined.evidence[left], parts), _CLASS_TRUST[part.group])
    met = join(joined.detections.select(left), new.select(right), trust, part.independent)
    kept = _replaced(joined.detections, left, met)
    return _Joined(concatenate_detections([kept, new.select(alone)]), evidence), found


def _trust_so_far(evidence: Float64, parts: Sequence[SensorObjects]) -> Float64:
    """The trust (N,) in the classes of objects: of the best sensor that saw each."""
    trust = np.array([_CLASS_TRUST[part.group] for part in parts])
    return np.where(np.isnan(evidence), 0.0, trust).max(axis=1, initial=0.0)


def _offsets(
    joined: _Joined, new: Detections, left: NDArray[np.intp], right: NDArray[np.intp]
) -> list[tuple[int, Float64]]:
    apart = (new.center[right, :2] - joined.detections.center[left, :2]).astype(np.float64)
    first = np.array([np.flatnonzero(~np.isnan(row))[0] for row in joined.evidence[left]], np.int64)
    return [(int(k), apart[first == k]) for k in np.unique(first)]


def _replaced(detections: Detections, index: NDArray[np.intp], by: Detections) -> Detections:
    if not len(index):
        return detections
    both = concatenate_detections([detections, by])
    order = np.arange(len(detections))
    order[index] = len(detections) + np.arange(len(index))
    return both.select(order)


def _with_silence(
    joined: _Joined, parts: Sequence[SensorObjects], coverage: Mapping[str, Coverage]
) -> Float64:
    """Evidence (N, P) where a silent part says log(1 - chance that it had seen the object)."""
    evidence = joined.evidence.copy()
    for index, part in enumerate(parts):
        silent = np.isnan(evidence[:, index])
        evidence[silent, index] = 0.0
        if part.sensor in coverage and silent.any():
            chance = np.clip(coverage[part.sensor](joined.detections.select(silent)), 0.0, 0.95)
            evidence[silent, index] = np.log1p(-chance)
    return evidence


def _believed(
    joined: _Joined, evidence: Float64, parts: Sequence[SensorObjects], config: LateFusionConfig
) -> Detections:
    """Objects with score and contribution, those below `min_score` left out, strongest first."""
    prior = float(_logit(np.array([config.prior_existence]))[0])
    heard = ~np.isnan(joined.evidence)
    gain = np.where(heard, evidence - prior, evidence)
    score = _chance(prior + _total(gain, heard, parts, None))
    contribution = _contribution(gain, heard, score, parts, prior)
    known = replace(
        joined.detections, score=score.astype(np.float32), contribution=contribution.astype(np.float32)
    )
    order = np.lexsort((known.center[:, 1], known.center[:, 0], -known.score))
    return known.select(order[known.score[order] >= config.min_score])


def _total(
    gain: Float64, heard: NDArray[np.bool_], parts: Sequence[SensorObjects], without: str | None
) -> Float64:
    """Log-odds gained (N,) from all parts but those of the group `without`.

    Independent parts add up; one that may share their history counts only where it says more than they do.
    """
    use = np.array([part.group != without for part in parts], bool)
    free = use & np.array([part.independent for part in parts], bool)
    total = gain[:, free].sum(axis=1)
    bound = use & ~free
    for index in np.flatnonzero(bound):
        alone = ~(heard & free).any(axis=1)
        more = np.where(alone, gain[:, index], np.maximum(total, gain[:, index]))
        total = np.where(heard[:, index], more, total)
    return total


def _contribution(
    gain: Float64, heard: NDArray[np.bool_], score: Float64, parts: Sequence[SensorObjects], prior: float
) -> Float64:
    """Share (N, 3) of each group: what the score loses without it, among the groups that saw the object."""
    loss = np.zeros((len(score), len(SENSOR_GROUPS)))
    for column, group in enumerate(SENSOR_GROUPS):
        mine = np.array([part.group == group for part in parts], bool)
        seen_without = (heard & ~mine).any(axis=1)
        rest = np.where(seen_without, _chance(prior + _total(gain, heard, parts, group)), 0.0)
        saw = (heard & mine).any(axis=1)
        # a group that saw it has a share even where the others are as sure without it
        loss[:, column] = np.where(saw, np.maximum(score - rest, 0) + 1e-3, 0.0)
    return loss / np.maximum(loss.sum(axis=1, keepdims=True), 1e-12)


def _joined_class(a: Detections, b: Detections, trust: tuple[np.ndarray | float, float]) -> NDArray[np.int16]:
    weight_a = np.where(a.class_id == UNKNOWN_CLASS_ID, 0.0, trust[0] * a.score)
    weight_b = np.where(b.class_id == UNKNOWN_CLASS_ID, 0.0, trust[1] * b.score)
    return np.where(weight_b > weight_a, b.class_id, a.class_id)


def _joined_chance(a: np.ndarray, b: np.ndarray) -> Float64:
    """Two chances joined about an even prior: 0.5 says nothing."""
    return _chance(_logit(a) + _logit(b))


def _joined_ids(a: Detections, b: Detections) -> NDArray[np.int64] | None:
    if a.track_id is None or b.track_id is None:
        return b.track_id if a.track_id is None else a.track_id
    return np.where(a.track_id >= 0, a.track_id, b.track_id)


def _pair(value: np.ndarray, covariance: np.ndarray) -> tuple[Float64, Float64]:
    return value.astype(np.float64), covariance.astype(np.float64)


def _logit(chance: np.ndarray) -> Float64:
    kept = np.clip(np.asarray(chance, np.float64), 1e-4, 1 - 1e-4)
    return np.log(kept / (1 - kept))


def _chance(logit: Float64) -> Float64:
    return 1 / (1 + np.exp(-np.clip(logit, -30.0, 30.0)))
