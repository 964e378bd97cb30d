"""Which topic feeds what, and the one way from a message to an item, for node and bag alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mm_fusion.config import VehicleConfig
from mm_fusion.measurements import Deferred, Item
from mm_fusion.messages.camera_info import decode_camera_info
from mm_fusion.messages.detections2d import decode_image_detections
from mm_fusion.messages.ego import decode_odometry, decode_twist
from mm_fusion.messages.images import decode_image
from mm_fusion.messages.pointcloud import decode_lidar, decode_radar_cloud
from mm_fusion.messages.radar import decode_radar_scan, decode_radar_tracks
from mm_fusion.messages.transforms import decode_transforms

Role = Literal["measurement", "camera_info", "odometry", "twist", "tf", "tf_static"]


@dataclass(frozen=True, slots=True)
class Route:
    """One use of a topic. sensor: its name, `/tf` for transforms, the topic for ego motion."""

    sensor: str
    role: Role


def routes(vehicle: VehicleConfig) -> dict[str, tuple[Route, ...]]:
    """What each topic feeds, transforms always included; one topic may feed several sensors."""
    table: dict[str, list[Route]] = {"/tf": [Route("/tf", "tf")], "/tf_static": [Route("/tf", "tf_static")]}
    for name, sensor in vehicle.sensors.items():
        table.setdefault(sensor.topic, []).append(Route(name, "measurement"))
        if sensor.info_topic:
            table.setdefault(sensor.info_topic, []).append(Route(name, "camera_info"))
    for source in vehicle.ego_motion:
        if source.topic and (source.kind == "odometry" or source.kind == "twist"):
            table.setdefault(source.topic, []).append(Route(source.topic, source.kind))
    return {topic: tuple(uses) for topic, uses in table.items()}


def decode(route: Route, message: Any, vehicle: VehicleConfig, receipt_ns: int) -> Item:
    """The item that `message` is to `route`; raises `MeasurementError` for a message that cannot be used."""
    match route.role:
        case "measurement":
            return decode_measurement(route.sensor, message, vehicle, receipt_ns)
        case "camera_info":
            return decode_camera_info(message, vehicle.sensors[route.sensor])
        case "odometry":
            return decode_odometry(message, vehicle.base_frame, route.sensor)
        case "twist":
            return decode_twist(message, vehicle.base_frame, route.sensor)
        case _:
            return decode_transforms(message, static=route.role == "tf_static")


def decode_measurement(name: str, message: Any, vehicle: VehicleConfig, receipt_ns: int) -> Deferred:
    """A sensor's message by the sensor's kind; a radar's by what the message has."""
    sensor = vehicle.sensors[name]
    match sensor.kind:
        case "camera":
            return decode_image(message, sensor, receipt_ns)
        case "lidar":
            return decode_lidar(message, sensor, receipt_ns)
        case "radar" if hasattr(message, "returns"):
            return decode_radar_scan(message, sensor, receipt_ns)
        case "radar":
            return decode_radar_cloud(message, sensor, receipt_ns)
        case "radar_tracks":
            return decode_radar_tracks(message, sensor, receipt_ns)
        case _:
            return decode_image_detections(message, sensor, receipt_ns)
