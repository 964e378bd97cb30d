"""A few made-up messages through decoding, pipeline and detector: compiled loops exist before real ones.

A compiled loop exists for the types and layouts that it has met; one more stops a frame for seconds where no
cache on disk knows it. So the rounds differ as real messages do: in the size of clouds (working memory is
then a part of a larger one) and in points that are not finite; poses and calibration are messages too.
"""

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
    Deferred,
    EgoMotion,
    Float32,
    Float64,
    LidarSweep,
    RadarScan,
    StampedTransform,
)
from mm_fusion.messages.build import Types
from mm_fusion.messages.encode_clouds import encode_lidar, encode_radar_cloud
from mm_fusion.messages.encode_sensors import encode_camera_info, encode_compressed_image, encode_transforms
from mm_fusion.messages.routes import Route, decode
from mm_fusion.nodes.camera_use import CameraUse
from mm_fusion.nodes.message_types import TYPES_OF_KIND, TYPES_OF_ROLE, deserialized
from mm_fusion.nodes.overlays import overlay_jpeg
from mm_fusion.nodes.publishing import OUTPUTS
from mm_fusion.pipeline import Pipeline

_BEGIN_NS = 1_000_000_000
_STEP_NS = 100_000_000
_ROUNDS = 4
_CAMERA = CameraModel(
    np.array([[100.0, 0.0, 80.0], [0.0, 100.0, 45.0], [0.0, 0.0, 1.0]]), np.zeros(5), "plumb_bob", 160, 90
)


def warm_up(vehicle: VehicleConfig, detector: Detector, types: Types) -> int:
    """Number of frames detected in a few rounds of every camera, LiDAR and radar; nothing of them is kept.

    types: message classes by name. The scene is flat ground with a car ahead, so that every stage has work.
    """
    pipeline = Pipeline(vehicle, detector)
    _add_statics(pipeline, types)
    use, frames = CameraUse(), 0
    for number in range(_ROUNDS):
        for frame in [*_round(pipeline, number, types), *(pipeline.flush() if number == _ROUNDS - 1 else ())]:
            result = pipeline.detect(frame)
            _publish_nowhere(frame, result, types)
            use.observe(frame, result)
            pipeline.examine()
            frames += 1
    return frames


def _add_statics(pipeline: Pipeline, types: Types) -> None:
    """Where the sensors are, and what the cameras are."""
    vehicle = pipeline.vehicle
    mounts = tuple(_mount(name, vehicle) for name in vehicle.sensors)
    _add_message(pipeline, Route("/tf", "tf_static"), encode_transforms(mounts, types), _BEGIN_NS)
    for name, sensor in vehicle.sensors.items():
        if sensor.kind == "camera":
            message = encode_camera_info(_CAMERA, _BEGIN_NS, _frame_of(name, vehicle), types)
            _add_message(pipeline, Route(name, "camera_info"), message, _BEGIN_NS)


def _round(pipeline: Pipeline, number: int, types: Types) -> list[Frame]:
    """Frames that come of one message of every source of motion and every sensor."""
    stamp_ns, vehicle = _BEGIN_NS + number * _STEP_NS, pipeline.vehicle
    frames: list[Frame] = []
    for source in vehicle.ego_motion:
        if source.topic:
            frames += pipeline.add(source.topic, _ego(stamp_ns), stamp_ns)
    for name, sensor in vehicle.sensors.items():
        message = _message(sensor, _frame_of(name, vehicle), stamp_ns, _scene(number), types)
        if message is not None:
            frames += _add_message(pipeline, Route(name, "measurement"), message, stamp_ns)
    return frames


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


def _add_message(pipeline: Pipeline, route: Route, message: Any, stamp_ns: int) -> list[Frame]:
    """Frames that come of a message after its way over the wire."""
    vehicle = pipeline.vehicle
    try:
        message = deserialized(serialize_message(message), _type_name(route, vehicle))
        item = decode(route, message, vehicle, stamp_ns)
        if isinstance(item, Deferred):
            pipeline.prepare(route.sensor, item)
    except (MeasurementError, ConfigurationError):
        return []  # a made-up message that this vehicle's fields cannot read, or whose package is missing
    return pipeline.add(route.sensor, item, stamp_ns)


def _type_name(route: Route, vehicle: VehicleConfig) -> str:
    if route.role == "measurement":
        return TYPES_OF_KIND[vehicle.sensors[route.sensor].kind][0]
    return TYPES_OF_ROLE[route.role][0]


def _message(sensor: SensorConfig, frame_id: str, stamp_ns: int, scene: Float32, types: Types) -> Any:
    """A message of a camera, LiDAR or radar that sees `scene`; None for objects that others have formed."""
    xyz = transform_points(_sensor_from_base(), scene)
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


def _scene(number: int) -> Float32:
    """(N, 3) points in `base_link`: ground on a grid, and the near sides of a car 12 m ahead.

    Every second is missing in odd rounds, and every hundredth is not finite from the second on.
    """
    x, y = np.meshgrid(np.linspace(3, 40, 60), np.linspace(-15, 15, 50))
    ground = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    v, z = np.meshgrid(np.linspace(0, 1, 30), np.linspace(0.3, 1.5, 12))
    rear = np.stack([np.full(v.size, 12.0), 1.0 + 1.8 * v.ravel(), z.ravel()], axis=1)
    side = np.stack([12.0 + 4.3 * v.ravel(), np.full(v.size, 1.0), z.ravel()], axis=1)
    scene = np.concatenate([ground, rear, side]).astype(np.float32)
    if number:
        scene[::100] = np.nan
    return scene[:: 1 + number % 2]


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
