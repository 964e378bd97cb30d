"""`Detections` as visualization_msgs/MarkerArray: boxes in class colours, velocity arrows, text."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mm_fusion.detections import CLASSES, Detections
from mm_fusion.messages.build import (
    Types,
    field_names,
    header_of,
    is_rclpy,
    light,
    quaternion_of,
    vector_of,
    yaw_quaternion,
)
from mm_fusion.messages.encode_sensors import encode_compressed_image

_ARROW, _CUBE, _TEXT = 0, 1, 9
_ADD, _DELETE_ALL = 0, 3
_SLOWEST_ARROW_MPS = 0.5
_ARROW_SECONDS = 1.0
"""An arrow ends where the object will be after this time."""

COLORS: dict[str, tuple[float, float, float]] = {
    "car": (0.13, 0.59, 0.95),
    "truck": (0.40, 0.23, 0.72),
    "bus": (0.25, 0.32, 0.71),
    "trailer": (0.61, 0.15, 0.69),
    "construction_vehicle": (0.47, 0.33, 0.28),
    "pedestrian": (0.96, 0.26, 0.21),
    "motorcycle": (1.00, 0.60, 0.00),
    "bicycle": (0.30, 0.69, 0.31),
    "traffic_cone": (1.00, 0.34, 0.13),
    "barrier": (0.62, 0.62, 0.62),
    "unknown": (0.85, 0.85, 0.85),
}
"""Red, green, blue 0..1 by class, also for pictures."""


def encode_markers(detections: Detections, stamp_ns: int, frame_id: str, types: Types) -> Any:
    """MarkerArray that first deletes what the last frame drew."""
    header = header_of(stamp_ns, frame_id, types)
    markers = [_marker(header, types, action=_DELETE_ALL)]
    speeds = np.linalg.norm(detections.velocity, axis=1).tolist()
    for i, (speed, words) in enumerate(zip(speeds, _words(detections))):
        markers.append(_box(detections, i, header, types))
        markers.append(_text(detections, i, words, header, types))
        if np.isfinite(speed) and speed >= _SLOWEST_ARROW_MPS:
            markers.append(_arrow(detections, i, header, types))
    return types("visualization_msgs/msg/MarkerArray")(markers=markers)


def _box(detections: Detections, i: int, header: Any, types: Types) -> Any:
    pose = _pose(detections.center[i], float(detections.yaw[i]), types)
    scale = vector_of(detections.size[i], types)
    return _marker(
        header, types, "boxes", i, _CUBE, pose=pose, scale=scale, color=_color(detections, i, types, 0.5)
    )


def _arrow(detections: Detections, i: int, header: Any, types: Types) -> Any:
    start = detections.center[i].astype(np.float64)
    end = start + np.array([*detections.velocity[i], 0.0]) * _ARROW_SECONDS
    points = [vector_of(point, types, "geometry_msgs/msg/Point") for point in (start, end)]
    scale, color = vector_of((0.15, 0.4, 0.5), types), _color(detections, i, types, 1.0)
    return _marker(header, types, "velocity", i, _ARROW, points=points, scale=scale, color=color)


def _text(detections: Detections, i: int, words: str, header: Any, types: Types) -> Any:
    top = detections.center[i] + np.array([0, 0, detections.size[i, 2] / 2 + 0.6])
    scale, color = vector_of((0.0, 0.0, 0.7), types), _color(detections, i, types, 1.0)
    return _marker(
        header,
        types,
        "text",
        i,
        _TEXT,
        pose=_pose(top, 0.0, types),
        scale=scale,
        color=color,
        text=words,
    )


def _words(detections: Detections) -> list[str]:
    """`car 0.91 C20 L70 R10`: class, score, and the share of each sensor in percent."""
    shares = (np.nan_to_num(detections.contribution) * 100).tolist()
    return [
        f"{name} {score:.2f} C{c:.0f} L{lidar:.0f} R{r:.0f}"
        for name, score, (c, lidar, r) in zip(detections.class_names(), detections.score.tolist(), shares)
    ]


def _pose(position: Any, yaw: float, types: Types) -> Any:
    return light(types("geometry_msgs/msg/Pose"))(
        position=vector_of(position, types, "geometry_msgs/msg/Point"), orientation=yaw_quaternion(yaw, types)
    )


def _color(detections: Detections, i: int, types: Types, alpha: float) -> Any:
    red, green, blue = COLORS[CLASSES[detections.class_id[i]]]
    return light(types("std_msgs/msg/ColorRGBA"))(r=red, g=green, b=blue, a=alpha)


def _marker(header: Any, types: Types, ns: str = "", id_: int = 0, type_: int = 0, **given: Any) -> Any:
    """A Marker with every field of this ROS release filled."""
    blank = _blanks(types("visualization_msgs/msg/Marker"), types)
    filled = {**blank, "header": header, "ns": ns, "id": id_, "type": type_, **given}
    return light(types("visualization_msgs/msg/Marker"))(**filled)


@cache
def _blanks(kind: type, types: Types) -> dict[str, Any]:
    """Every field of a Marker as it is where nobody says otherwise."""
    origin = types("geometry_msgs/msg/Pose")(
        position=vector_of((0, 0, 0), types, "geometry_msgs/msg/Point"),
        orientation=quaternion_of((0, 0, 0, 1), types),
    )
    filled: dict[str, Any] = {
        "action": _ADD,
        "pose": origin,
        "scale": vector_of((1, 1, 1), types),
        "color": types("std_msgs/msg/ColorRGBA")(r=1.0, g=1.0, b=1.0, a=1.0),
        "lifetime": types("builtin_interfaces/msg/Duration")(sec=0, nanosec=0),
        "frame_locked": False,
        "points": [],
        "colors": [],
        "text": "",
        "mesh_resource": "",
        "mesh_use_embedded_materials": False,
    }
    later = ("texture_resource", "texture", "uv_coordinates", "mesh_file")  # not in Galactic
    return filled | {name: _blank(name, types, kind) for name in later if name in field_names(kind)}


def _blank(name: str, types: Types, kind: type) -> Any:
    """An empty value of one of the newer fields."""
    match name:
        case "texture_resource":
            return ""
        case "uv_coordinates":
            return []
        case "texture":
            return _blank_texture(types)
        case _:
            mesh = types("visualization_msgs/msg/MeshFile")
            data = b"" if is_rclpy(mesh) else np.zeros(0, np.uint8)
            return mesh(filename="", data=data)


def _blank_texture(types: Types) -> Any:
    message = encode_compressed_image(b"", 0, "", types)
    message.format = ""
    return message
