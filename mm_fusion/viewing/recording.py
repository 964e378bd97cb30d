"""Frames of a recording as pictures need them: points, radar and truth in `base_link`, images with their
cameras.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import TruthFrame, truth_of
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import Detections
from mm_fusion.evaluation.recorded_frames import decoded_frames
from mm_fusion.frame import Frame
from mm_fusion.geometry.motion import deskew, ground_radial_velocity
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import (
    CameraImage,
    CameraModel,
    Float32,
    Float64,
    LidarSweep,
    RadarScan,
)

TOLERANCE_NS = 50_000_000


@dataclass(frozen=True, slots=True, eq=False)
class CameraView:
    """One image of a frame with where it was taken: camera_from_base (4, 4)."""

    image: CameraImage
    model: CameraModel
    camera_from_base: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a picture of one frame shows.

    points_base: (N, 3) f32. radar_base: (M, 4) f32 x, y, z and radial velocity over ground (NaN where
    unknown). cameras: by name. truth: None where the recording has none within 50 ms.
    """

    stamp_ns: int
    points_base: Float32 = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    radar_base: Float32 = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    cameras: dict[str, CameraView] = field(default_factory=dict)
    truth: Detections | None = None


def sights(path: str | Path, vehicle: VehicleConfig) -> Iterator[Sight]:
    """Every frame of a recording as the pipeline releases it, in order of time; nothing is detected."""
    with open_bag(path) as reader:
        truth = {frame.stamp_ns: touched_truth(frame) for frame in truth_of(reader)}
    for frame in decoded_frames(path, vehicle):
        yield sight_of(frame, nearest(truth, frame.stamp_ns))


def touched_truth(frame: TruthFrame) -> Detections:
    """The true objects that a LiDAR or radar has met, where the recording counts that; else all."""
    lidar, radar = frame.extra.get("num_lidar_points"), frame.extra.get("num_radar_points")
    if lidar is None or radar is None or not (np.isfinite(lidar).all() and np.isfinite(radar).all()):
        return frame.objects
    return frame.objects.select(lidar + radar > 0)


def sight_of(frame: Frame, truth: Detections | None = None) -> Sight:
    """What a decoded frame shows."""
    return Sight(frame.stamp_ns, lidar_points(frame), radar_points(frame), camera_views(frame), truth)


def lidar_points(frame: Frame) -> Float32:
    """(N, 3) f32 points of all LiDARs in `base_link` at the frame's time, deskewed where ego is known."""
    parts = [np.zeros((0, 3), np.float32)]
    for name, sweep in frame.of_kind("lidar").items():
        if isinstance(sweep, LidarSweep) and name in frame.calibration.base_from_sensor:
            xyz = transform_points(frame.calibration.base_from_sensor[name], sweep.xyz)
            offsets = sweep.time_offset_ns.astype(np.int64) + (sweep.stamp_ns - frame.stamp_ns)
            parts.append(xyz if frame.ego is None else deskew(xyz, offsets, frame.ego))
    return np.concatenate(parts)


def radar_points(frame: Frame) -> Float32:
    """(M, 4) f32 returns of all radars in `base_link` with their radial velocity over ground."""
    parts = [np.zeros((0, 4), np.float32)]
    for name, scan in frame.of_kind("radar").items():
        if isinstance(scan, RadarScan) and name in frame.calibration.base_from_sensor:
            place = frame.calibration.base_from_sensor[name]
            parts.append(
                np.column_stack([transform_points(place, scan.xyz), _over_ground(scan, place, frame)])
            )
    return np.concatenate(parts).astype(np.float32)


def _over_ground(scan: RadarScan, base_from_radar: Float64, frame: Frame) -> np.ndarray:
    if scan.compensated:
        return scan.radial_velocity
    if frame.ego is None:
        return np.full(len(scan.xyz), np.nan, np.float32)
    return ground_radial_velocity(
        scan.xyz, scan.radial_velocity, base_from_radar, frame.ego, scan.ambiguity_mps
    )


def camera_views(frame: Frame) -> dict[str, CameraView]:
    """The images of a frame that have a place and a model, by camera."""
    views = {}
    for name, image in frame.of_kind("camera").items():
        model = frame.calibration.camera_models.get(name)
        place = frame.calibration.base_from_sensor.get(name)
        if isinstance(image, CameraImage) and model is not None and place is not None:
            views[name] = CameraView(image, model, inverse(place))
    return views


def nearest(by_stamp: dict[int, Detections], stamp_ns: int) -> Detections | None:
    """What was there within 50 ms of `stamp_ns`, the nearest in time."""
    stamp = min(by_stamp, key=lambda one: abs(one - stamp_ns), default=None)
    return None if stamp is None or abs(stamp - stamp_ns) > TOLERANCE_NS else by_stamp[stamp]
