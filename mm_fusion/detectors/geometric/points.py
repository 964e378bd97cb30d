"""Points and returns of all sensors of a kind, brought to `base_link` at the frame's time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mm_fusion.config import EgoBox
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.motion import base_ref_from_base, deskew, ground_radial_velocity
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.measurements import Float32, LidarSweep, Measurement, RadarScan, SensorKind

FARTHEST = 2000.0
"""Coordinates beyond this, m, are no measurements."""


@dataclass(frozen=True, slots=True, eq=False)
class LidarPoints:
    """All LiDARs' points: xyz (N, 3) f32 m in `base_link`; sensor_xy (2,) m, the sensors' mean place."""

    xyz: Float32
    sensor_xy: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class RadarReturns:
    """All radars' returns in `base_link`: xyz (N, 3) f32 m; ray (N, 2) f32, horizontal and of unit length.

    velocity (N,) f32 over ground along the ray, receding positive, NaN where ego motion is unknown; ambiguity
    (N,) f32 m/s, infinite where the velocity does not wrap; strength_db (N,) f32; origin (N, 2) f32 of its
    radar.
    """

    xyz: Float32
    ray: Float32
    velocity: Float32
    ambiguity: Float32
    strength_db: Float32
    origin: Float32

    def select(self, keep: np.ndarray) -> RadarReturns:
        """The returns that `keep` (mask or indices) names."""
        return RadarReturns(*(getattr(self, name)[keep] for name in self.__slots__))


def lidar_points(frame: Frame, ego_box: EgoBox | None) -> LidarPoints:
    """Every calibrated LiDAR's sweeps, deskewed where ego motion is known, without the car itself."""
    clouds = [np.zeros((0, 3), np.float32)]
    origins = []
    for name, sweep in _sweeps(frame, "lidar"):
        if isinstance(sweep, LidarSweep):
            clouds.append(_at_reference(frame, name, sweep.select(_plausible(sweep.xyz))))
            origins.append(frame.calibration.base_from_sensor[name][:2, 3])
    xyz = np.concatenate(clouds)
    keep = ~_inside(xyz, ego_box)
    return LidarPoints(xyz[keep], np.mean(origins, axis=0) if origins else np.zeros(2))


def radar_returns(frame: Frame, ego_box: EgoBox | None) -> RadarReturns:
    """Every calibrated radar's returns with their velocity over ground along the ray."""
    parts = [_no_returns()]
    for name, scan in _sweeps(frame, "radar"):
        if isinstance(scan, RadarScan):
            parts.append(_returns_of(frame, name, scan.select(_plausible(scan.xyz))))
    joined = RadarReturns(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in RadarReturns.__slots__)
    )
    return joined.select(~_inside(joined.xyz, ego_box))


def _sweeps(frame: Frame, kind: SensorKind) -> Iterator[tuple[str, Measurement]]:
    for name, newest in frame.of_kind(kind).items():
        if name not in frame.calibration.base_from_sensor:
            continue
        yield name, newest
        # older sweeps lie where the car was: without ego motion they would smear the world
        for item in frame.earlier.get(name, ()) if frame.ego is not None else ():
            yield name, decoded(item)


def _at_reference(frame: Frame, name: str, sweep: LidarSweep) -> Float32:
    xyz_base = transform_points(frame.calibration.base_from_sensor[name], sweep.xyz)
    if frame.ego is None:
        return xyz_base
    return deskew(
        xyz_base, sweep.time_offset_ns.astype(np.int64) + (sweep.stamp_ns - frame.stamp_ns), frame.ego
    )


def _returns_of(frame: Frame, name: str, scan: RadarScan) -> RadarReturns:
    base_from_radar = frame.calibration.base_from_sensor[name]
    if frame.ego is not None:
        base_from_radar = base_ref_from_base(frame.ego, scan.stamp_ns, frame.stamp_ns) @ base_from_radar
    xyz = transform_points(base_from_radar, scan.xyz)
    origin = np.broadcast_to(base_from_radar[:2, 3].astype(np.float32), (len(xyz), 2))
    ray = xyz[:, :2] - origin
    ray = ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), np.float32(1e-6))
    ambiguity = np.full(len(xyz), scan.ambiguity_mps or np.inf, np.float32)
    return RadarReturns(
        xyz, ray, _velocity_over_ground(frame, name, scan), ambiguity, scan.strength_db, origin
    )


def _velocity_over_ground(frame: Frame, name: str, scan: RadarScan) -> Float32:
    if scan.compensated:
        return scan.radial_velocity
    if frame.ego is None:
        return np.full(len(scan.xyz), np.nan, np.float32)
    base_from_radar = frame.calibration.base_from_sensor[name]
    velocity = ground_radial_velocity(
        scan.xyz, scan.radial_velocity, base_from_radar, frame.ego, scan.ambiguity_mps
    )
    return np.asarray(velocity, np.float32)


def _no_returns() -> RadarReturns:
    pair, one = np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    return RadarReturns(np.zeros((0, 3), np.float32), pair, one, one, one, pair)


def _plausible(xyz: Float32) -> np.ndarray:
    """Which points (N, 3) are finite and on this side of the horizon."""
    return np.asarray((np.abs(xyz) < FARTHEST).all(axis=1))


def _inside(xyz: Float32, box: EgoBox | None) -> np.ndarray:
    if box is None:
        return np.zeros(len(xyz), bool)
    low, high = np.array(box.min, np.float32), np.array(box.max, np.float32)
    return np.asarray(((xyz >= low) & (xyz <= high)).all(axis=1))
