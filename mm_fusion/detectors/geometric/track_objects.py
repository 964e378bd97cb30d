"""Objects that a radar or another node has already formed, as the list of a sensor."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import UNKNOWN_CLASS_ID, Detections, make_detections
from mm_fusion.frame import Frame
from mm_fusion.geometry.motion import base_ref_from_base
from mm_fusion.geometry.transforms import transform_points, yaw_of
from mm_fusion.measurements import Float64, RadarTracks

UNKNOWN_SIZE = (2.0, 2.0, 1.6)
"""Length, width, height of a track that gives none, m."""
TRACK_SCORE = 0.5
"""A tracker has seen its object more than once, but does not say how sure it is."""


def track_objects(frame: Frame, name: str, tracks: RadarTracks) -> Detections:
    """The tracks of one sensor in `base_link` at the frame's time, ids passed on."""
    base_from_sensor = frame.calibration.base_from_sensor[name]
    if frame.ego is not None:
        base_from_sensor = base_ref_from_base(frame.ego, tracks.stamp_ns, frame.stamp_ns) @ base_from_sensor
    usable = np.isfinite(tracks.center).all(axis=1)
    count = int(usable.sum())
    turn = base_from_sensor[:2, :2]
    velocity = tracks.velocity[usable].astype(np.float64) @ turn.T
    center = transform_points(base_from_sensor, tracks.center[usable].astype(np.float64))
    center[:, :2] += np.nan_to_num(velocity) * ((frame.stamp_ns - tracks.stamp_ns) * 1e-9)
    given = tracks.size[usable] > 0
    return make_detections(
        count,
        center=center,
        size=np.where(given, tracks.size[usable], UNKNOWN_SIZE),
        yaw=_heading(velocity, yaw_of(base_from_sensor)),
        velocity=np.where(np.isfinite(velocity).all(axis=1, keepdims=True), velocity, np.nan),
        velocity_cov=_velocity_cov(tracks.velocity_cov[usable], velocity, turn),
        position_cov=_turned(_positive(tracks.position_cov[usable], 1.0), turn),
        variance=_variance(given),
        score=np.full(count, TRACK_SCORE),
        class_id=np.full(count, UNKNOWN_CLASS_ID),
        moving=np.clip(np.nan_to_num(tracks.moving[usable], nan=0.5), 0, 1),
        contribution=np.tile([0.0, 0.0, 1.0], (count, 1)),
        track_id=tracks.track_id[usable],
    )


def _heading(velocity: Float64, otherwise: float) -> Float64:
    """The direction (N,) of motion, where it is faster than a walk; else the sensor's own axis."""
    speed = np.nan_to_num(np.hypot(velocity[:, 0], velocity[:, 1]))
    return np.where(
        speed > 1.0, np.arctan2(np.nan_to_num(velocity[:, 1]), np.nan_to_num(velocity[:, 0])), otherwise
    )


def _variance(given: np.ndarray) -> Float64:
    sizes = np.where(given, 0.25, 4.0)
    return np.column_stack([np.full(len(given), 0.5), sizes, np.full(len(given), 0.3)])


def _velocity_cov(covariance: np.ndarray, velocity: Float64, turn: Float64) -> Float64:
    known = np.isfinite(velocity).all(axis=1, keepdims=True)
    return np.where(known, _turned(_positive(covariance, 4.0), turn), [np.inf, 0.0, np.inf])


def _positive(covariance: np.ndarray, otherwise: float) -> Float64:
    """Covariances (N, 3) as they are where they can be ones, else `otherwise` on the diagonal."""
    xx, xy, yy = covariance.astype(np.float64).T
    fine = np.isfinite(covariance).all(axis=1) & (xx > 0) & (yy > 0) & (xy * xy < xx * yy)
    return np.where(fine[:, None], covariance, [otherwise, 0.0, otherwise])


def _turned(covariance: Float64, turn: Float64) -> Float64:
    xx, xy, yy = covariance.T
    matrices = np.stack([np.stack([xx, xy], axis=1), np.stack([xy, yy], axis=1)], axis=1)
    turned = turn @ matrices @ turn.T
    return turned[:, [0, 0, 1], [0, 1, 1]]
