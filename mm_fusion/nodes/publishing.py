"""What the fusion node says: every output of a frame, made only where somebody listens."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from mm_fusion.config import VehicleConfig
from mm_fusion.detections import FusionResult
from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Frame
from mm_fusion.messages.encode import encode_detections, encode_objects
from mm_fusion.messages.encode_clouds import encode_detections_cloud
from mm_fusion.messages.encode_markers import encode_markers
from mm_fusion.messages.encode_sensors import encode_compressed_image
from mm_fusion.messages.encode_status import encode_mode
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.overlays import overlay_jpeg

MARKERS = "~/markers"
MARKED_SCORE = 0.1
"""Weaker ones are in every output but the markers, each of which takes a quarter of a millisecond to make."""
OUTPUTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "~/detections": ("vision_msgs/msg/Detection3DArray", encode_detections),
    "~/detections_cloud": ("sensor_msgs/msg/PointCloud2", encode_detections_cloud),
    "~/objects": ("autoware_perception_msgs/msg/DetectedObjects", encode_objects),
    MARKERS: ("visualization_msgs/msg/MarkerArray", encode_markers),
}
"""In order of publication: what machines read before what people look at, which takes longest to make."""
DEPTH = 10
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class Outputs:
    """The publishers of a node while it is active."""

    def __init__(self, node: Node, vehicle: VehicleConfig) -> None:
        self._node = node
        self._mode_said = ""
        self._lock = threading.RLock()
        self._encoders: dict[str, tuple[Publisher, Callable[..., Any]]] = {}
        for topic, (kind, encode) in OUTPUTS.items():
            self._announce(topic, kind, encode)
        self._mode: Publisher = node.create_publisher(message_class("std_msgs/msg/String"), "~/mode", LATCHED)
        self._overlays: dict[str, Publisher] = {
            name: node.create_publisher(
                message_class("sensor_msgs/msg/CompressedImage"), f"~/overlay/{topic_part(name)}", DEPTH
            )
            for name, sensor in vehicle.sensors.items()
            if sensor.kind == "camera"
        }

    def _announce(self, topic: str, kind: str, encode: Callable[..., Any]) -> None:
        try:
            publisher: Publisher = self._node.create_publisher(message_class(kind), topic, DEPTH)
        except ConfigurationError as error:
            self._node.get_logger().warning(f"{topic} is left out: {error}")
        else:
            self._encoders[topic] = publisher, encode

    def publish(self, result: FusionResult, markers: bool = True) -> None:
        """Every output of a frame but the overlays, an array also when empty; the mode comes first."""
        with self._lock:
            self.say_mode(result.mode)
            for topic, (publisher, encode) in self._encoders.items():
                if (markers or topic != MARKERS) and publisher.get_subscription_count():
                    found = result.detections
                    if topic == MARKERS:
                        found = found.select(found.score >= MARKED_SCORE)
                    message = encode(found, result.stamp_ns, result.frame_id, message_class)
                    publisher.publish(message)

    def say_mode(self, mode: str) -> None:
        """Publish the mode where it has changed; late listeners get the last one."""
        with self._lock:
            if mode != self._mode_said:
                self._mode_said = mode
                self._mode.publish(encode_mode(mode, message_class))

    def overlays_wanted(self) -> list[str]:
        """Cameras whose overlay somebody listens to."""
        return [name for name, publisher in self._overlays.items() if publisher.get_subscription_count()]

    def publish_overlay(self, camera: str, frame: Frame, result: FusionResult) -> None:
        """The image of `camera` with boxes, where the frame has an image."""
        jpeg = overlay_jpeg(camera, frame, result)
        if jpeg is not None:
            message = encode_compressed_image(jpeg, result.stamp_ns, result.frame_id, message_class)
            self._overlays[camera].publish(message)

    def close(self) -> None:
        """Destroy every publisher."""
        for publisher in [self._mode, *self._overlays.values(), *(p for p, _ in self._encoders.values())]:
            self._node.destroy_publisher(publisher)


def topic_part(name: str) -> str:
    """A sensor's name as a part of a topic: letters, digits and underscores."""
    part = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{part}" if part[0].isdigit() else part
