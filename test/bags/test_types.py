"""The store without ROS knows every interface that the package speaks."""

from __future__ import annotations

import pytest
from rosbags.typesys import TypesysError

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


def test_embedded_idl_is_read_in_both_forms() -> None:
    body = "module own_msgs { module msg { struct Own { string data; }; }; };"
    parts = "=" * 80 + "\nIDL: own_msgs/msg/Own\n" + body
    for text in (body, parts):
        assert list(types_of_definition("own_msgs/msg/Own", text, idl=True)) == ["own_msgs/msg/Own"]
    with pytest.raises(TypesysError):
        types_of_definition("own_msgs/msg/Own", "=" * 80 + "\nMSG: own_msgs/msg/Own\n" + body, idl=True)
