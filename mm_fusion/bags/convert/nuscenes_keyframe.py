"""One nuScenes keyframe (six cameras, one LiDAR, truth) as a recording.

Every camera keeps its own time; the cloud has no times per point and is taken at the keyframe's time, to
which its source has already moved it. All are received together, when the keyframe is complete: with nothing
before it, a host that got them one by one could not know which sensors to wait for. nuScenes' ego frame lies
on the ground below the rear axle, so it is `base_link`. The one pose that there is goes out on /tf from
`map`. How far the car went between a camera's exposure and the keyframe is part of that camera's place beside
the LiDAR, and gives the odometry. Truth has its velocity over ground; occlusion and truncation are not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.recording import (
    BASE_FRAME,
    RECEIPT_DELAY_NS,
    STATIC_LEAD_NS,
    ConvertReport,
    Progress,
    Recorder,
    no_progress,
    reading_source,
    truth_frame,
)
from mm_fusion.bags.truth import TruthFrame, write_truth
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter, Storage
from mm_fusion.errors import BagError
from mm_fusion.geometry.motion import log_twist
from mm_fusion.measurements import CameraModel, EgoMotion, LidarSweep, StampedTransform
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_odometry,
    encode_transforms,
)

LIDAR = "LIDAR_TOP"
MAP_FRAME = "map"


def convert(
    source: Path,
    out: Path,
    storage: Storage = "mcap",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> ConvertReport:
    """A recording at `out` of the keyframe in `source`; raises `BagError` where a file is missing or
    unreadable.
    """
    source, progress = Path(source), progress or no_progress
    with reading_source(source / "keyframe.json"), open(source / "keyframe.json", encoding="utf-8") as file:
        keyframe = json.load(file)
    with BagWriter(out, storage, overwrite=overwrite) as writer, reading_source(source):
        recorder = Recorder(writer)
        stamp_ns, cameras = _ns(keyframe["timestamp"]), keyframe["cameras"]
        receipt_ns = stamp_ns + RECEIPT_DELAY_NS
        _write_transforms(recorder, keyframe, stamp_ns, receipt_ns - STATIC_LEAD_NS)
        for number, (name, camera) in enumerate(sorted(cameras.items())):
            _write_camera(recorder, source, name, camera, receipt_ns)
            progress(number + 1, len(cameras) + 1)
        odometry = encode_odometry(_ego_motion(keyframe, stamp_ns), message_type, MAP_FRAME, BASE_FRAME)
        recorder.write("/odom", odometry, receipt_ns)
        cloud = encode_lidar(_sweep(source, stamp_ns), message_type)
        recorder.write(f"/{LIDAR}/points", cloud, receipt_ns)
        truth = _truth(keyframe["instances"], np.array(keyframe["lidar2ego"], float), stamp_ns)
        write_truth(recorder, truth, receipt_ns)
        recorder.count_truth(truth.objects)
        progress(len(cameras) + 1, len(cameras) + 1)
    return ConvertReport(Path(out), 1, 1, recorder.messages, recorder.objects)


def _ns(seconds: float) -> int:
    """Nanoseconds of a time given to the microsecond."""
    return round(seconds * 1e6) * 1000


def _write_transforms(
    recorder: Recorder, keyframe: Mapping[str, Any], stamp_ns: int, receipt_ns: int
) -> None:
    """All places, and the pose at the keyframe's own time."""
    places = {LIDAR: np.array(keyframe["lidar2ego"], float)}
    places.update({name: np.array(camera["cam2ego"], float) for name, camera in keyframe["cameras"].items()})
    recorder.write_static(places, stamp_ns, receipt_ns)
    pose = StampedTransform(stamp_ns, MAP_FRAME, BASE_FRAME, np.array(keyframe["ego2global"], float))
    recorder.write("/tf", encode_transforms((pose,), message_type), receipt_ns)


def _ego_motion(keyframe: Mapping[str, Any], stamp_ns: int) -> EgoMotion:
    """Twist and pose at the keyframe's time, from the camera whose exposure lies farthest from it."""
    farthest = max(keyframe["cameras"].values(), key=lambda camera: abs(_ns(camera["timestamp"]) - stamp_ns))
    cam2ego, lidar2cam = (np.array(farthest[key], float) for key in ("cam2ego", "lidar2cam"))
    base_ref_from_base_cam = np.array(keyframe["lidar2ego"], float) @ np.linalg.inv(cam2ego @ lidar2cam)
    elapsed_ns = _ns(farthest["timestamp"]) - stamp_ns
    linear, angular = (
        log_twist(base_ref_from_base_cam, elapsed_ns * 1e-9) if elapsed_ns else (np.zeros(3),) * 2
    )
    return EgoMotion(stamp_ns, linear, angular, np.array(keyframe["ego2global"], float))


def _write_camera(
    recorder: Recorder, source: Path, name: str, camera: Mapping[str, Any], receipt_ns: int
) -> None:
    path, stamp_ns = source / f"{name}.jpg", _ns(camera["timestamp"])
    jpeg = path.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise BagError(f"{path}: cannot be read as an image")
    model = CameraModel(
        np.array(camera["cam2img"], float)[:3, :3], np.zeros(5), "plumb_bob", pixels.shape[1], pixels.shape[0]
    )
    image = encode_compressed_image(jpeg, stamp_ns, name, message_type)
    recorder.write(f"/{name}/image/compressed", image, receipt_ns)
    recorder.write(
        f"/{name}/camera_info", encode_camera_info(model, stamp_ns, name, message_type), receipt_ns
    )


def _sweep(source: Path, stamp_ns: int) -> LidarSweep:
    with np.load(source / f"{LIDAR}.npz") as arrays:
        xyz = np.ascontiguousarray(arrays["xyz"], np.float32)
        intensity = arrays["intensity"].astype(np.float32) / np.float32(255)
        ring = arrays["ring"].astype(np.int16)
    return LidarSweep(stamp_ns, LIDAR, xyz, intensity, np.zeros(len(xyz), np.int32), ring)


def _truth(instances: list[dict], base_from_lidar: NDArray, stamp_ns: int) -> TruthFrame:
    boxes, velocity = np.zeros((len(instances), 7)), np.full((len(instances), 2), np.nan)
    for row, speed, entry in zip(boxes, velocity, instances):
        x, y, z, length, width, height, yaw = entry["box_lidar_xyzlwh_yaw"]
        heading = base_from_lidar[:3, :3] @ (np.cos(yaw), np.sin(yaw), 0)
        row[:3] = base_from_lidar[:3, :3] @ (x, y, z) + base_from_lidar[:3, 3]
        row[3:] = length, width, height, np.arctan2(heading[1], heading[0])
        speed[:] = (base_from_lidar[:3, :3] @ (*_pair(entry.get("velocity_xy")), 0))[:2]
    count = len(instances)
    extra = {
        "occlusion": np.full(count, 3.0),  # KITTI's code for unknown
        "truncation": np.full(count, np.nan),
        "visibility": np.zeros(count),
        "num_lidar_points": np.array([entry["num_lidar_pts"] for entry in instances], float),
        "num_radar_points": np.array([entry["num_radar_pts"] for entry in instances], float),
    }
    return truth_frame(stamp_ns, boxes, [entry["class"] or "unknown" for entry in instances], extra, velocity)


def _pair(value: list[float] | None) -> tuple[float, float]:
    """A velocity, NaN where the source has none."""
    if value is None or None in value:
        return (np.nan, np.nan)
    return (value[0], value[1])
