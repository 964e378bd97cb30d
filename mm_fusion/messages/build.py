"""Where rclpy's and rosbags' message classes differ: number sequences, and which fields there are."""

from __future__ import annotations

import array
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from mm_fusion.messages.header import SECOND_NS

Types = Callable[[str], type]
"""`types("std_msgs/msg/Header")` is the class, whose constructor takes every field by keyword."""

_TYPECODES = {"u1": "B", "f4": "f", "f8": "d", "u2": "H"}


@cache
def light(kind: type) -> Callable[..., Any]:
    """The constructor of a message class for those who give every field, by keyword.

    rclpy's own makes the default of each field, messages within messages to the last, also of those that are
    given: most of the time that a list of objects takes. This starts from one blank message in its place.
    """
    return _from_blank(kind) if is_rclpy(kind) else kind


def _from_blank(kind: type) -> Callable[..., Any]:
    blank, new = kind(), object.__new__
    slots = [(name, getattr(blank, name)) for name in kind.__slots__]  # type: ignore[attr-defined]

    def make(**fields: Any) -> Any:
        message: Any = new(kind)
        for name, value in slots:
            setattr(message, name, value)
        for name, value in fields.items():
            setattr(message, name, value)  # by its property, which checks where checks are on
        return message

    return make


def time_of(stamp_ns: int, types: Types) -> Any:
    """builtin_interfaces/Time of `stamp_ns`."""
    return light(types("builtin_interfaces/msg/Time"))(
        sec=int(stamp_ns) // SECOND_NS, nanosec=int(stamp_ns) % SECOND_NS
    )


def header_of(stamp_ns: int, frame_id: str, types: Types) -> Any:
    """std_msgs/Header of time and frame."""
    return light(types("std_msgs/msg/Header"))(stamp=time_of(stamp_ns, types), frame_id=frame_id)


def vector_of(xyz: Any, types: Types, name: str = "geometry_msgs/msg/Vector3") -> Any:
    """Vector3 (or Point, Point32) of three numbers."""
    return light(types(name))(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))


def quaternion_of(xyzw: Any, types: Types) -> Any:
    """geometry_msgs/Quaternion of x y z w."""
    return light(types("geometry_msgs/msg/Quaternion"))(
        x=float(xyzw[0]), y=float(xyzw[1]), z=float(xyzw[2]), w=float(xyzw[3])
    )


def yaw_quaternion(yaw: float, types: Types) -> Any:
    """geometry_msgs/Quaternion of a turn about z."""
    return quaternion_of((0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)), types)


def is_rclpy(kind: type) -> bool:
    """Whether a message class is rclpy's; else it is one of rosbags."""
    return hasattr(kind, "get_fields_and_field_types")


@cache
def field_names(kind: type) -> frozenset[str]:
    """The fields of a message class, so that older and newer layouts can be told apart."""
    if is_rclpy(kind):
        return frozenset(kind.get_fields_and_field_types())  # type: ignore[attr-defined]
    return frozenset(name for name in kind.__dataclass_fields__ if not name.startswith("__"))  # type: ignore[attr-defined]


def sequence_of(values: Any, dtype: str, kind: type) -> Any:
    """A variable-length number field of message class `kind`: array.array for rclpy, ndarray for rosbags.

    rclpy copies an array.array in one go and an ndarray element by element.
    """
    flat = np.ascontiguousarray(values, dtype).reshape(-1)
    if not is_rclpy(kind):
        return flat
    filled = array.array(_TYPECODES[dtype])
    filled.frombytes(flat.view(np.uint8).data if flat.size else b"")
    return filled


def fixed_of(values: Any, dtype: str = "f8") -> np.ndarray:
    """A fixed-length number field, an ndarray for both."""
    return np.ascontiguousarray(values, dtype).reshape(-1)
