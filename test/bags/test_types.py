"""The store without ROS knows every interface that the package speaks."""

from __future__ import annotations

import pytest

from mm_fusion.bags.types import message_definition, message_type, types_of_definition
from mm_fusion.errors import BagError


@pytest.mark.parametrize(
    "name",
    [
        "vision_msgs/msg/Detection3DArray",
        "radar_msgs/msg/RadarTracks",
        "autoware_perception_msgs/msg/DetectedObjects",
        "tf2_msgs/msg/TFMessage",
        "sensor_msgs/msg/PointCloud2",
    ],
)
def test_interfaces_are_known_by_definition_and_class(name: str) -> None:
    assert message_type(name).__msgtype__ == name
    assert name in types_of_definition(name, message_definition(name), idl=False)


def test_unknown_type_is_named() -> None:
    with pytest.raises(BagError, match="nothing_msgs/msg/Nothing"):
        message_type("nothing_msgs/msg/Nothing")
