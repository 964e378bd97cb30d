"""A few made-up messages through decoding, pipeline and detector: compiled loops exist before real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.serialization import serialize_message

from mm_fusion.config import SensorConfig, VehicleConfig
from mm_fusion.detections import FusionResult
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import ConfigurationError, MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import (
    CameraModel,
    EgoMotion,
    Float32,
    Float64,
    LidarSweep,
    RadarScan,
    StampedTransform,
)
from mm_fusion.messages.build import Types
from mm_fusion.messages.encode_clouds import encode_lidar, encode_radar_cloud
from mm_fusion.messages.encode_sensors import encode_compressed_image
from mm_fusion.messages.routes import Route, decode
from mm_fusion.nodes.message_types import TYPES_OF_KIND, deserialized
from mm_fusion.nodes.overlays import overlay_jpeg
from mm_fusion.nodes.publishing import OUTPUTS
from mm_fusion.pipeline import Pipeline

_BEGIN_NS = 1_000_000_000
_STEP_NS = 100_000_000
_ROUNDS = 3
_CAMERA = CameraModel(
    np.array([[100.0, 0.0, 80.0], [0.0, 100.0, 45.0], [0.0, 0.0, 1.0]]), np.zeros(5), "plumb_bob", 160, 90
)


def warm_up(vehicle: VehicleConfig, detector: Detector, types: Types) -> int:
    """Number of frames detected in a few rounds of every camera, LiDAR and radar; nothing of them is kept.

    types: message classes by name. The scene is flat ground with a car ahead, so that every stage has work.
    """
    pipeline = Pipeline(vehicle, detector)
    pipeline.add("/tf", tuple(_mount(name, vehicle) for name in vehicle.sensors), _BEGIN_NS)
    for name, sensor in vehicle.sensors.items():
        if sensor.kind == "camera":
            pipeline.add(name, _CAMERA, _BEGIN_NS)
    frames: list[Frame] = []
    for stamp_ns in range(_BEGIN_NS, _BEGIN_NS + _ROUNDS * _STEP_NS, _STEP_NS):
        for source in vehicle.ego_motion:
            if source.topic:
                frames += pipeline.add(source.topic, _ego(stamp_ns), stamp_ns)
        for name in vehicle.sensors:
            frames += _add(pipeline, name, stamp_ns, types)
    frames += pipeline.flush()
    for frame in frames:
        _publish_nowhere(frame, pipeline.detect(frame), types)
    return len(frames)


def _publish_nowhere(frame: Frame, result: FusionResult, types: Types) -> None:
    """Make what the node would publish: what is imported or compiled for it holds up the other threads."""
    for kind, encode in OUTPUTS.values():
        try:
            types(kind)
        except ConfigurationError:
            continue
        serialize_message(encode(result.detections, result.stamp_ns, result.frame_id, types))
    for camera in frame.calibration.camera_models:
        overlay_jpeg(camera, frame, result)


def _add(pipeline: Pipeline, name: str, stamp_ns: int, types: Types) -> list[Frame]:
    vehicle = pipeline.vehicle
    try:
        message = _message(vehicle.sensors[name], _frame_of(name, vehicle), stamp_ns, types)
        if message is None:
            return []
        message = deserialized(serialize_message(message), TYPES_OF_KIND[vehicle.sensors[name].kind][0])
        item = decode(Route(name, "measurement"), message, vehicle, stamp_ns)
        pipeline.prepare(name, item)  # type: ignore[arg-type]
    except (MeasurementError, ConfigurationError):
        return []  # a made-up message that this vehicle's fields cannot read, or whose package is missing
    return pipeline.add(name, item, stamp_ns)


def _message(sensor: SensorConfig, frame_id: str, stamp_ns: int, types: Types) -> Any:
    """A message of a camera, LiDAR or radar; None for objects that others have formed."""
    xyz = transform_points(_sensor_from_base(), _scene())
    column = np.ones(len(xyz), np.float32)
    match sensor.kind:
        case "lidar":
            times = np.linspace(-5e7, 5e7, len(xyz)).astype(np.int32)
            sweep = LidarSweep(stamp_ns, frame_id, xyz, column, times, np.zeros(len(xyz), np.int16))
            return encode_lidar(sweep, types)
        case "radar":
            scan = RadarScan(
                stamp_ns, frame_id, xyz[::3], -column[::3], column[::3], ambiguity_mps=sensor.ambiguity_mps
            )
            return encode_radar_cloud(scan, types)
        case "camera":
            return encode_compressed_image(_jpeg(), stamp_ns, frame_id, types)
        case _:
            return None


def _scene() -> Float32:
    """(N, 3) points in `base_link`: ground on a grid, and the near sides of a car 12 m ahead."""
    x, y = np.meshgrid(np.linspace(3, 40, 60), np.linspace(-15, 15, 50))
    ground = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    v, z = np.meshgrid(np.linspace(0, 1, 30), np.linspace(0.3, 1.5, 12))
    rear = np.stack([np.full(v.size, 12.0), 1.0 + 1.8 * v.ravel(), z.ravel()], axis=1)
    side = np.stack([12.0 + 4.3 * v.ravel(), np.full(v.size, 1.0), z.ravel()], axis=1)
    return np.concatenate([ground, rear, side]).astype(np.float32)


def _sensor_from_base() -> Float64:
    matrix = np.eye(4)
    matrix[2, 3] = -1.8
    return matrix


def _mount(name: str, vehicle: VehicleConfig) -> StampedTransform:
    base_from_sensor = inverse(_sensor_from_base())
    return StampedTransform(
        _BEGIN_NS, vehicle.base_frame, _frame_of(name, vehicle), base_from_sensor, static=True
    )


def _frame_of(name: str, vehicle: VehicleConfig) -> str:
    return vehicle.sensors[name].frame or f"warm_up/{name}"


def _ego(stamp_ns: int) -> EgoMotion:
    return EgoMotion(stamp_ns, np.array([5.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.01]))


def _jpeg() -> bytes:
    import cv2

    return bytes(cv2.imencode(".jpg", np.full((90, 160, 3), 90, np.uint8))[1])
