"""The street driven once and recorded: a rosbag2 with every sensor of a vehicle file, odometry and truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.bags.truth import TruthFrame, write_truth
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import SensorConfig, VehicleConfig
from mm_fusion.detections import CLASSES, make_detections
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.cameras import scaled
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraModel, EgoMotion, Float64, StampedTransform
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_odometry,
    encode_radar_cloud,
    encode_transforms,
)
from mm_fusion.simulation.casting import Caster
from mm_fusion.simulation.sensors import camera_rays, lidar_sweep, render, scan_lidar, scan_radar, truth_boxes
from mm_fusion.simulation.street import Street, make_street

START_NS = 1_700_000_000_000_000_000
PERIOD_S = {"camera": 1 / 12, "lidar": 0.1, "radar": 1 / 13}
LATENCY_S = {"camera": 0.018, "lidar": 0.004, "radar": 0.025}
ODOMETRY_PERIOD_S = 0.02
LIDAR_COLUMNS = 360
CAMERA_WIDTH_PX = 352
JPEG_QUALITY = 80
TRUTH_REACH = 70.0

Event = tuple[float, str, Any]
"""Receipt time (s), topic, message; truth has the topic `` and a TruthFrame."""


def write_street_bag(
    path: Path,
    vehicle: VehicleConfig,
    seconds: float = 5.0,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the bag; the same seed gives the same messages.

    Each sensor has its own rate, phase and latency. Raises `ConfigurationError` for a sensor without mount or
    camera intrinsics.
    """
    street = make_street(seed)
    rng = np.random.default_rng(seed)
    plan = sorted(_plan(vehicle, seconds, rng), key=lambda entry: (entry[0], entry[1]))
    events: list[Event] = [(0.0, "/tf_static", encode_transforms(_static(vehicle), message_type))]
    seers = {name: _seer(name, sensor, street) for name, sensor in vehicle.sensors.items()}
    for done, (time_s, name) in enumerate(plan):
        sensor_rng = np.random.default_rng((seed, done))
        events += (
            _odometry(street, time_s, vehicle, sensor_rng) if name == "" else seers[name](time_s, sensor_rng)
        )
        if progress is not None:
            progress(done + 1, len(plan))
    with BagWriter(path, overwrite=overwrite, compressed=True) as writer:
        for receipt_s, topic, message in sorted(events, key=lambda event: event[0]):
            receipt_ns = START_NS + round(receipt_s * 1e9)
            if isinstance(message, TruthFrame):
                write_truth(writer, message, receipt_ns)
            else:
                writer.write(topic, message, receipt_ns)


def _plan(vehicle: VehicleConfig, seconds: float, rng: np.random.Generator) -> Iterator[tuple[float, str]]:
    """(time, sensor) of everything to measure; the name `` is odometry."""
    for name, sensor in vehicle.sensors.items():
        if sensor.kind in PERIOD_S:
            period = sensor.period_ms / 1e3 if sensor.period_ms else PERIOD_S[sensor.kind]
            for time_s in np.arange(0.1 + rng.uniform(0, period), seconds, period):
                yield float(time_s), name
    for time_s in np.arange(0.05, seconds + 0.2, ODOMETRY_PERIOD_S):
        yield float(time_s), ""


def _seer(
    name: str, sensor: SensorConfig, street: Street
) -> Callable[[float, np.random.Generator], list[Event]]:
    """What to call for each measurement of a sensor."""
    base_from_sensor, frame = _mount(name, sensor), sensor.frame or name
    match sensor.kind:
        case "camera":
            return _camera(name, sensor, street, base_from_sensor, frame)
        case "lidar":
            return lambda time_s, rng: _lidar(sensor, street, base_from_sensor, frame, time_s, rng)
        case "radar":
            return lambda time_s, rng: _radar(sensor, street, base_from_sensor, frame, time_s, rng)
        case kind:
            raise ConfigurationError(f"sensors.{name}: the street has no sensor of kind {kind}; leave it out")


def _mount(name: str, sensor: SensorConfig) -> Float64:
    if sensor.mount is None:
        raise ConfigurationError(f"sensors.{name}: mount is missing; the simulated sensor must be somewhere")
    return from_rpy_deg(sensor.mount.rpy_deg, sensor.mount.xyz)


def _static(vehicle: VehicleConfig) -> tuple[StampedTransform, ...]:
    return tuple(
        StampedTransform(
            START_NS, vehicle.base_frame, sensor.frame or name, _mount(name, sensor), static=True
        )
        for name, sensor in vehicle.sensors.items()
    )


def _camera(
    name: str, sensor: SensorConfig, street: Street, base_from_camera: Float64, frame: str
) -> Callable[[float, np.random.Generator], list[Event]]:
    import cv2

    if sensor.camera is None:
        raise ConfigurationError(
            f"sensors.{name}: camera (size and matrix) is missing; the simulator needs it"
        )
    full = CameraModel(
        np.array(sensor.camera.matrix, np.float64).reshape(3, 3),
        np.array(sensor.camera.distortion, np.float64),
        sensor.camera.distortion_model,
        sensor.camera.width_px,
        sensor.camera.height_px,
    )
    width = min(CAMERA_WIDTH_PX, full.width_px)
    model = scaled(full, width, round(full.height_px * width / full.width_px))
    rays = camera_rays(model)

    def see(time_s: float, rng: np.random.Generator) -> list[Event]:
        stamp_ns = START_NS + round(time_s * 1e9)
        pixels = render(
            Caster(street, time_s), street.world_from_base(time_s) @ base_from_camera, model, rays, rng
        )
        jpeg = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        receipt_s = time_s + LATENCY_S["camera"] + float(rng.uniform(0, 0.004))
        image = encode_compressed_image(jpeg.tobytes(), stamp_ns, frame, message_type)
        info = encode_camera_info(model, stamp_ns, frame, message_type)
        return [
            (receipt_s, sensor.info_topic or f"{sensor.topic}/camera_info", info),
            (receipt_s, sensor.topic, image),
        ]

    return see


def _lidar(
    sensor: SensorConfig,
    street: Street,
    base_from_lidar: Float64,
    frame: str,
    time_s: float,
    rng: np.random.Generator,
) -> list[Event]:
    duration_s = (sensor.duration_ms or 100.0) / 1e3
    stamp_ns = START_NS + round(time_s * 1e9)
    unit = sensor.unit or "hdl32"
    found = scan_lidar(street, base_from_lidar, unit, LIDAR_COLUMNS, time_s, duration_s, rng)
    sweep = lidar_sweep(stamp_ns, frame, *found[:4])
    receipt_s = time_s + duration_s / 2 + LATENCY_S["lidar"] + float(rng.uniform(0, 0.003))
    truth = _truth(
        street, time_s, stamp_ns, np.bincount(found[4][found[4] >= 0], minlength=len(street.actors))
    )
    return [(receipt_s, sensor.topic, encode_lidar(sweep, message_type)), (receipt_s, "", truth)]


def _radar(
    sensor: SensorConfig,
    street: Street,
    base_from_radar: Float64,
    frame: str,
    time_s: float,
    rng: np.random.Generator,
) -> list[Event]:
    stamp_ns = START_NS + round(time_s * 1e9)
    scan, _ = scan_radar(street, base_from_radar, time_s, stamp_ns, frame, rng)
    receipt_s = time_s + LATENCY_S["radar"] + float(rng.uniform(0, 0.005))
    return [(receipt_s, sensor.topic, encode_radar_cloud(scan, message_type))]


def _odometry(street: Street, time_s: float, vehicle: VehicleConfig, rng: np.random.Generator) -> list[Event]:
    """The twist with a little noise, and the pose as /tf, for the sources that the vehicle names."""
    linear = street.linear * (1 + rng.normal(0, 0.003))
    angular = street.angular + np.array([0, 0, rng.normal(0, 0.0005)])
    stamp_ns = START_NS + round(time_s * 1e9)
    ego = EgoMotion(stamp_ns, linear, angular, street.world_from_base(time_s))
    events: list[Event] = []
    for source in vehicle.ego_motion:
        if source.kind == "odometry":
            events.append((time_s + 0.001, source.topic or "", encode_odometry(ego, message_type)))
        elif source.kind == "tf":
            pose = StampedTransform(
                stamp_ns, source.frame, vehicle.base_frame, street.world_from_base(time_s)
            )
            events.append((time_s + 0.001, "/tf", encode_transforms((pose,), message_type)))
    return events


def _truth(street: Street, time_s: float, stamp_ns: int, lidar_points: np.ndarray) -> TruthFrame:
    boxes, velocity = truth_boxes(street, time_s)
    near = np.hypot(boxes[:, 0], boxes[:, 1]) < TRUTH_REACH
    count = int(near.sum())
    speed = np.hypot(*velocity[near].T)
    objects = make_detections(
        count,
        center=boxes[near, :3],
        size=boxes[near, 3:6],
        yaw=boxes[near, 6],
        velocity=velocity[near],
        position_cov=np.zeros((count, 3)),
        velocity_cov=np.zeros((count, 3)),
        variance=np.zeros((count, 5)),
        score=np.ones(count),
        class_id=np.array([CLASSES.index(actor.class_name) for actor in street.actors])[near],
        moving=(speed > 0.5).astype(np.float32),
        track_id=np.array([actor.track_id for actor in street.actors])[near],
    )
    return TruthFrame(
        stamp_ns, "base_link", objects, {"num_lidar_points": lidar_points[near].astype(np.float32)}
    )
