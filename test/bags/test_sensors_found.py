"""Topics are told apart by type and fields, and named after their telling words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mm_fusion.bags.sensors_found import choose_base, info_topic_of, kind_of, sensor_names


def cloud(*names: str) -> SimpleNamespace:
    fields = [SimpleNamespace(name=name, offset=4 * i, datatype=7, count=1) for i, name in enumerate(names)]
    return SimpleNamespace(fields=fields, point_step=4 * len(names))


@pytest.mark.parametrize(
    ("topic", "kind", "first", "expected"),
    [
        ("/a", "std_msgs/msg/String", None, None),
        ("/cam/image_raw", "sensor_msgs/msg/Image", None, "camera"),
        ("/cam/depth", "sensor_msgs/msg/Image", None, None),
        ("/fusion/overlay/cam", "sensor_msgs/msg/CompressedImage", None, None),
        ("/scan", "radar_msgs/msg/RadarScan", None, "radar"),
        ("/tracks", "radar_msgs/msg/RadarTracks", None, "radar_tracks"),
        ("/boxes", "vision_msgs/msg/Detection2DArray", None, "image_detections"),
        ("/c", "sensor_msgs/msg/PointCloud2", cloud("x", "y", "z", "intensity"), "lidar"),
        ("/c", "sensor_msgs/msg/PointCloud2", cloud("x", "y", "z", "Doppler", "rcs"), "radar"),
        ("/c", "sensor_msgs/msg/PointCloud2", cloud("x", "y", "z", "length", "class_id"), None),
        ("/c", "sensor_msgs/msg/PointCloud2", cloud("u", "v"), None),
    ],
)
def test_kinds(topic: str, kind: str, first: SimpleNamespace | None, expected: str | None) -> None:
    assert kind_of(topic, kind, first) == expected


def test_names_are_short_and_distinct() -> None:
    topics = ["/points", "/front/camera/image_raw/compressed", "/CAM_BACK/image", "/front/points", "/cloud"]
    kinds = dict.fromkeys(topics, "lidar")
    assert sensor_names(topics, kinds) == {  # type: ignore[arg-type]
        "/points": "lidar",
        "/front/camera/image_raw/compressed": "front_camera",
        "/CAM_BACK/image": "CAM_BACK",
        "/front/points": "front",
        "/cloud": "lidar_2",
    }


def test_camera_info_beside_the_image_goes_before_the_frame() -> None:
    infos = {"/a/camera_info": "left", "/b/camera_info": "right"}
    assert info_topic_of("/b/image_raw", "left", infos) == "/b/camera_info"
    assert info_topic_of("/images/left", "left", infos) == "/a/camera_info"
    assert info_topic_of("/images/other", "other", infos) is None
    assert info_topic_of("/b/image_raw", "left", {}) is None


def test_base_frame_by_name_or_root() -> None:
    assert choose_base([], {}) is None
    assert choose_base(["odom", "base_link"], {"base_link": "odom"}) == "base_link"
    assert choose_base(["rig", "a", "b"], {"a": "rig", "b": "rig"}) == "rig"
    assert choose_base(["r", "s", "a", "b"], {"a": "r", "b": "s"}) is None
