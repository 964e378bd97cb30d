from __future__ import annotations

import importlib
import os

import numpy as np
import pytest

from mm_fusion.bags.types import message_type
from mm_fusion.config import SensorConfig
from mm_fusion.messages.build import header_of, sequence_of

os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"  # read when a message package is imported
STAMP_NS = 1_700_000_000_250_000_000


def ros_type(name: str) -> type:
    """rclpy's class of a message, or a skip that says why."""
    package, _, kind = name.split("/")
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    module = pytest.importorskip(f"{package}.msg", reason=f"{package} is not installed")
    return getattr(module, kind)


@pytest.fixture(params=["rosbags", pytest.param("rclpy", marks=pytest.mark.ros)])
def types(request):
    """Message classes of both kinds by name."""
    if request.param == "rclpy":
        pytest.importorskip("rclpy", reason="rclpy is not installed")
        return ros_type
    return message_type


@pytest.fixture
def on_the_wire(types):
    """A message as its receiver sees it: serialised, so every field was filled rightly, and read back."""

    def send(message):
        if types is message_type:
            from mm_fusion.bags.types import typestore

            name = message.__msgtype__
            return typestore().deserialize_cdr(typestore().serialize_cdr(message, name), name)
        serialization = importlib.import_module("rclpy.serialization")
        return serialization.deserialize_message(serialization.serialize_message(message), type(message))

    return send


@pytest.fixture
def sensor():
    """A sensor's configuration from what differs from the default."""

    def build(kind: str = "lidar", **given) -> SensorConfig:
        return SensorConfig(kind=kind, topic="/sensor", **given)

    return build


@pytest.fixture
def cloud(types):
    """PointCloud2 of a structured (N,) or (H, W) array, as any driver might lay it out."""

    def build(
        points: np.ndarray, stamp_ns=STAMP_NS, frame="lidar", row_padding=0, bigendian=False, **changed
    ):
        rows = points if points.ndim == 2 else points[None]
        stored = rows.astype(points.dtype.newbyteorder(">" if bigendian else "<"))
        padded = b"".join(row.tobytes() + b"\xaa" * row_padding for row in stored)
        kind, field = types("sensor_msgs/msg/PointCloud2"), types("sensor_msgs/msg/PointField")
        codes = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
        step = points.dtype.itemsize
        given = {
            "header": header_of(stamp_ns, frame, types),
            "height": rows.shape[0],
            "width": rows.shape[1],
            "fields": [
                field(name=name, offset=at, datatype=codes[dtype.str[1:]], count=1)
                for name, (dtype, at, *_) in points.dtype.fields.items()
            ],
            "is_bigendian": bigendian,
            "point_step": step,
            "row_step": step * rows.shape[1] + row_padding,
            "data": sequence_of(np.frombuffer(padded, np.uint8), "u1", kind),
            "is_dense": False,
        }
        return kind(**{**given, **changed})

    return build


@pytest.fixture
def stamp_ns() -> int:
    """A stamp of our days."""
    return STAMP_NS
