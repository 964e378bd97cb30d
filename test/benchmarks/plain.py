"""What a competent user would write without this package: the other side of each benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain_copy(message: Any) -> np.ndarray:
    """One plain copy of a cloud's bytes."""
    return np.frombuffer(message.data, np.uint8).copy()


def plain_decode_cloud(message: Any) -> tuple[np.ndarray, ...]:
    """A cloud's columns by a structured view, as sensor_msgs_py and ros2_numpy read them, finite rows alone."""
    codes = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
    layout = {
        "names": [f.name for f in message.fields],
        "formats": [codes[f.datatype] for f in message.fields],
        "offsets": [f.offset for f in message.fields],
        "itemsize": message.point_step,
    }
    points = np.frombuffer(message.data, np.dtype(layout))
    xyz = np.stack([points["x"], points["y"], points["z"]], axis=1)
    keep = np.isfinite(xyz).all(axis=1)
    return (
        xyz[keep],
        points["intensity"][keep],
        points["ring"][keep].astype(np.int16),
        points["t"][keep].astype(np.int32),
    )


def plain_decode_jpeg(data: np.ndarray) -> np.ndarray:
    """RGB pixels as cv_bridge and cvtColor give them."""
    import cv2

    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def plain_decode_jpeg_half(data: np.ndarray) -> np.ndarray:
    """RGB pixels at half size: decoded whole, then resized."""
    import cv2

    pixels = plain_decode_jpeg(data)
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
