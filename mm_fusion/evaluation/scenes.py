"""Truth together with what scoring needs to know of the car at that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mm_fusion.detections import Detections
from mm_fusion.measurements import CameraModel, EgoMotion, Float64


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """One calibrated camera: its model and camera_from_base (4, 4)."""

    model: CameraModel
    camera_from_base: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Labelled objects at `stamp_ns` with the cameras and the ego motion of that time.

    extra: further columns by name, (N,) each: occlusion, truncation, visibility, num_lidar_points, ...
    """

    stamp_ns: int
    frame_id: str
    objects: Detections
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    ego: EgoMotion | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """All scenes of a recording in order of time, and the frames that its transforms name."""

    scenes: list[Scene]
    frames: frozenset[str] = frozenset()
