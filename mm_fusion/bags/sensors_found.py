"""Which topics of a recording are sensors, of which kind, and what to call them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import SensorKind
from mm_fusion.messages.cloud_fields import RADAR_FIELDS, read_fields

KIND_OF_TYPE: dict[str, SensorKind] = {
    "sensor_msgs/msg/Image": "camera",
    "sensor_msgs/msg/CompressedImage": "camera",
    "radar_msgs/msg/RadarScan": "radar",
    "radar_msgs/msg/RadarTracks": "radar_tracks",
    "vision_msgs/msg/Detection2DArray": "image_detections",
}
REFERENCE_ORDER: tuple[SensorKind, ...] = ("lidar", "radar", "camera", "radar_tracks", "image_detections")
"""Which kind should open frames, most preferred first."""
CLOUD = "sensor_msgs/msg/PointCloud2"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
EGO_KIND_OF_TYPE = {
    "nav_msgs/msg/Odometry": "odometry",
    "geometry_msgs/msg/TwistWithCovarianceStamped": "twist",
}
DOPPLER_PROPERTIES = ("velocity", "velocity_comp", "vx_comp")
OBJECT_FIELDS = frozenset({"class_id", "length", "yaw"})
"""A cloud with one of these is a list of objects."""
NOT_SENSORS = ("ground_truth", "overlay", "depth", "mask", "markers")
GENERIC_WORDS = frozenset(
    "image images image_raw image_color image_rect image_rect_color compressed points points_raw "
    "point_cloud scan "
    "scans cloud raw color rect data detections tracks pointcloud".split()
)
BASE_FRAMES = ("base_link", "base_footprint", "ego_vehicle", "ego", "vehicle", "base", "car", "body")


def kind_of(topic: str, kind: str, first: Any) -> SensorKind | None:
    """The kind of sensor that publishes on `topic`, judged by type and, for clouds, by the first message's
    fields.
    """
    if any(word in topic.lower() for word in NOT_SENSORS):
        return None
    if kind != CLOUD:
        return KIND_OF_TYPE.get(kind)
    try:
        names = {name.lower() for name in read_fields(first)}
    except MeasurementError:
        return None
    if names & OBJECT_FIELDS or not {"x", "y", "z"} <= names:
        return None
    doppler = any(names & set(RADAR_FIELDS[prop]) for prop in DOPPLER_PROPERTIES)
    return "radar" if doppler else "lidar"


def sensor_names(topics: Sequence[str], kinds: Mapping[str, SensorKind]) -> dict[str, str]:
    """A short distinct name for each topic: its telling words, with the kind where there are none."""
    names: dict[str, str] = {}
    for topic in topics:
        words = [word for word in topic.strip("/").split("/") if word.lower() not in GENERIC_WORDS]
        name = "_".join(words) or kinds[topic]
        taken, number = name, 1
        while taken in names.values():
            number += 1
            taken = f"{name}_{number}"
        names[topic] = taken
    return names


def info_topic_of(topic: str, frame_id: str, infos: Mapping[str, str]) -> str | None:
    """The CameraInfo topic (of `infos`, frame by topic) that goes with an image: beside it, else of its
    frame.
    """
    path = topic.strip("/").split("/")
    beside = [
        (len(shared), info)
        for info in infos
        if (shared := _shared_start(path, info.strip("/").split("/")[:-1]))
        and len(shared) == info.count("/") - 1
    ]
    if beside:
        return max(beside)[1]
    return next((info for info, frame in sorted(infos.items()) if frame and frame == frame_id), None)


def choose_base(frames: Collection[str], edges: Mapping[str, str]) -> str | None:
    """The vehicle's frame among `frames`: by its usual names, else the top of the tree (`edges`: parent by
    child).
    """
    for name in BASE_FRAMES:
        if name in frames:
            return name
    roots = sorted(set(edges.values()) - set(edges))
    return roots[0] if len(roots) == 1 else None


def _shared_start(path: Sequence[str], other: Sequence[str]) -> list[str]:
    shared = []
    for left, right in zip(path, other):
        if left != right:
            break
        shared.append(left)
    return shared
