"""Classes of installed message packages by name, and which types each use of a topic can take."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from rclpy.serialization import deserialize_message

from mm_fusion.bags.types import typestore
from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import SensorKind
from mm_fusion.messages.routes import Role

TYPES_OF_KIND: dict[SensorKind, tuple[str, ...]] = {
    "camera": ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"),
    "lidar": ("sensor_msgs/msg/PointCloud2",),
    "radar": ("sensor_msgs/msg/PointCloud2", "radar_msgs/msg/RadarScan"),
    "radar_tracks": ("radar_msgs/msg/RadarTracks",),
    "image_detections": ("vision_msgs/msg/Detection2DArray",),
}
LARGE = ("sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
"""Their definitions are the same in every ROS 2 release."""
TYPES_OF_ROLE: dict[Role, tuple[str, ...]] = {
    "camera_info": ("sensor_msgs/msg/CameraInfo",),
    "odometry": ("nav_msgs/msg/Odometry",),
    "twist": ("geometry_msgs/msg/TwistWithCovarianceStamped",),
    "tf": ("tf2_msgs/msg/TFMessage",),
    "tf_static": ("tf2_msgs/msg/TFMessage",),
}


@cache
def message_class(name: str) -> type:
    """The class of a type such as `sensor_msgs/msg/Image`.

    Raises `ConfigurationError` that names the package to install where there is none.
    """
    package, _, kind = name.rpartition("/")
    try:
        return getattr(import_module(package.replace("/", ".")), kind)
    except (ImportError, AttributeError) as error:
        missing = name.split("/", 1)[0]
        raise ConfigurationError(
            f"{name}: no such message here; install the package {missing} ({error})"
        ) from error


def deserialized(data: bytes, kind: str) -> Any:
    """The message in `data` (CDR); raises whatever its library raises on bytes that are none.

    Large ones go through the bag library, whose arrays are views: a cloud takes a fifth of rclpy's time.
    """
    if kind in LARGE:
        return typestore().deserialize_cdr(data, kind)
    return deserialize_message(data, message_class(kind))


def full_name(name: str) -> str:
    """`package/msg/Type` for `package/Type`, which users write too."""
    parts = name.split("/")
    return f"{parts[0]}/msg/{parts[1]}" if len(parts) == 2 else name
