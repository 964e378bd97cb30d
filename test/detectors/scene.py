"""A small world of boxes on a plane, as a LiDAR, a radar and a camera on it would see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.detections import CLASSES
from mm_fusion.detectors.geometric.detector import GeometricDetector
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.boxes import corners
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import (
    CameraModel,
    EgoMotion,
    ImageDetections,
    LidarSweep,
    Measurement,
    RadarScan,
    RadarTracks,
)
from mm_fusion.model_config import load_geometric

STAMP = 1_700_000_000_000_000_000
BASE_FROM_LIDAR = from_rpy_deg((0, 0, 0), (0.0, 0.0, 1.8))
BASE_FROM_RADAR = from_rpy_deg((0, 0, 0), (2.0, 0.0, 0.6))
BASE_FROM_CAMERA = from_rpy_deg((-90, 0, -90), (1.0, 0.0, 1.5))
CAMERA = CameraModel(
    np.array([[900.0, 0, 800], [0, 900, 450], [0, 0, 1]]), np.zeros(0), "plumb_bob", 1600, 900
)
CALIBRATION = Calibration(
    {"lidar": BASE_FROM_LIDAR, "radar": BASE_FROM_RADAR, "seen": BASE_FROM_CAMERA, "tracks": BASE_FROM_RADAR},
    {"seen": CAMERA},
)
KINDS = {"lidar": "lidar", "radar": "radar", "seen": "image_detections", "tracks": "radar_tracks"}

# x y z l w h yaw: ahead from behind, to the left from its corner, across the road
CARS = np.array(
    [
        [15.0, 0.0, 0.8, 4.2, 1.8, 1.6, 0.0],
        [12.0, 7.0, 0.8, 4.4, 1.8, 1.6, 0.4],
        [20.0, -8.0, 0.8, 4.1, 1.8, 1.5, np.pi / 2],
    ]
)
PEDESTRIAN = np.array([8.0, -4.0, 0.86, 0.6, 0.6, 1.72, 0.0])


def vehicle(kinds: Mapping[str, str] = KINDS) -> VehicleConfig:
    sensors = {name: {"kind": kind, "topic": f"/{name}"} for name, kind in kinds.items()}
    return parse_config(
        {"sensors": sensors, "alignment": {"reference": [next(iter(kinds))]}}, VehicleConfig, "test"
    )


def detector() -> GeometricDetector:
    return GeometricDetector(vehicle(), load_geometric())


def sweep(boxes: np.ndarray, beams: int = 40, noise: float = 0.01) -> LidarSweep:
    """One scan from 1.8 m above a plane, beams from -20 to +5 degrees, a point every 0.4 degrees."""
    elevation, azimuth = np.radians(np.linspace(-20, 5, beams)), np.radians(np.arange(-180, 180, 0.4))
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    rays = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1).reshape(-1, 3)
    ranges = np.full(len(rays), np.inf)
    down = rays[:, 2] < -1e-3
    ranges[down] = -1.8 / rays[down, 2]
    for box in np.reshape(boxes, (-1, 7)):
        ranges = np.minimum(ranges, _hits(rays, box))
    seen = ranges < 80
    ranges = ranges[seen] + np.random.default_rng(5).normal(0, noise, seen.sum())
    xyz = (rays[seen] * ranges[:, None]).astype(np.float32)
    return LidarSweep(STAMP, "lidar", xyz, np.zeros(len(xyz), np.float32), np.zeros(len(xyz), np.int32))


def scan(
    boxes: np.ndarray, velocity: Sequence[Sequence[float]], ego_speed: float = 0.0, returns: int = 30
) -> RadarScan:
    """Returns from the near half of each box, with Doppler of its velocity (over ground) and ours, no
    wrap.
    """
    draw = np.random.default_rng(7)
    points, doppler = [np.zeros((0, 3))], [np.zeros(0)]
    for box, moving in zip(np.reshape(boxes, (-1, 7)), velocity):
        local = draw.uniform(-0.5, 0.5, (returns, 2)) * (box[3:5] * 0.9)
        c, s = np.cos(box[6]), np.sin(box[6])
        xy = box[:2] + np.stack(
            [c * local[:, 0] - s * local[:, 1], s * local[:, 0] + c * local[:, 1]], axis=1
        )
        xyz = np.column_stack([xy, draw.normal(0.7, 0.3, returns)]) - BASE_FROM_RADAR[:3, 3]
        rays = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
        points.append(xyz)
        doppler.append(rays @ [moving[0] - ego_speed, moving[1], 0.0])
    xyz = np.concatenate(points).astype(np.float32)
    strength = np.full(len(xyz), 55.0, np.float32)
    return RadarScan(STAMP, "radar", xyz, np.concatenate(doppler).astype(np.float32), strength)


def image_detections(boxes: np.ndarray, names: Sequence[str], score: float = 0.9) -> ImageDetections:
    """The boxes' frames in the camera's image, without error."""
    rows = np.reshape(boxes, (-1, 7))
    points = transform_points(inverse(BASE_FROM_CAMERA), corners(rows).reshape(-1, 3))
    pixels = project(CAMERA, points)[0].reshape(-1, 8, 2)
    frames = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1).astype(np.float32)
    ids = np.array([CLASSES.index(name) for name in names], np.int16)
    return ImageDetections(STAMP, "camera", frames, np.full(len(rows), score, np.float32), ids)


def tracks(box: np.ndarray, velocity: Sequence[float], track_id: int) -> RadarTracks:
    """One track of a box in the radar's frame."""
    center = (box[:3] - BASE_FROM_RADAR[:3, 3])[None].astype(np.float32)
    cov = np.array([[0.3, 0.0, 0.3]], np.float32)
    size, speed = box[None, 3:6].astype(np.float32), np.array([velocity], np.float32)
    moving, ids = np.ones(1, np.float32), np.array([track_id])
    return RadarTracks(STAMP, "radar", center, size, speed, cov, cov, moving, ids)


def frame(measurements: Mapping[str, Measurement], ego_speed: float | None = 0.0, **changes: object) -> Frame:
    """A frame of what is given; every sensor of `KINDS` that is not given is absent."""
    ego = None if ego_speed is None else EgoMotion(STAMP, np.array([ego_speed, 0.0, 0.0]), np.zeros(3))
    fields = {
        "stamp_ns": STAMP,
        "measurements": dict(measurements),
        "kinds": KINDS,
        "available": {name: name in measurements for name in KINDS},
        "age_ns": dict.fromkeys(measurements, 0),
        "calibration": CALIBRATION,
        "ego": ego,
    }
    return Frame(**{**fields, **changes})  # type: ignore[arg-type]


def _hits(rays: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Ranges (N,) at which rays from the LiDAR enter a box, infinite where they miss it (slab method)."""
    c, s = np.cos(box[6]), np.sin(box[6])
    into_box = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
    start = into_box @ (BASE_FROM_LIDAR[:3, 3] - box[:3])
    ray = rays @ into_box.T
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (-box[3:6] / 2 - start) / ray, (box[3:6] / 2 - start) / ray
    enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)
