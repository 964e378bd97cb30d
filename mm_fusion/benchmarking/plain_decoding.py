"""Messages to arrays as a competent user without this package would do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig

_CODES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


@dataclass(frozen=True, slots=True, eq=False)
class PlainCloud:
    """A decoded cloud: xyz (N, 3) in its sensor's frame, other columns (N,) by name, Doppler interval."""

    stamp_ns: int
    xyz: np.ndarray
    columns: dict[str, np.ndarray]
    ambiguity_mps: float | None = None


def plain_points(message: Any) -> NDArray[Any]:
    """A structured view of a cloud's points, as ros2_numpy reads them."""
    layout = {
        "names": [f.name for f in message.fields],
        "formats": [_CODES[f.datatype] for f in message.fields],
        "offsets": [f.offset for f in message.fields],
        "itemsize": message.point_step,
    }
    return np.frombuffer(message.data, np.dtype(layout))  # type: ignore[call-overload]


def plain_cloud(message: Any, stamp_ns: int, sensor: SensorConfig) -> PlainCloud:
    """A cloud's finite points within the sensor's range, with every further column."""
    points = plain_points(message)
    xyz = np.stack([points["x"], points["y"], points["z"]], axis=1)
    distance = np.linalg.norm(xyz, axis=1)
    keep = np.isfinite(distance) & (distance >= sensor.min_range_m) & (distance <= sensor.max_range_m)
    names = [name for name in points.dtype.names or () if name not in "xyz"]
    columns = {name: points[name][keep] for name in names}
    return PlainCloud(stamp_ns, xyz[keep], columns, sensor.ambiguity_mps)


def plain_decode_cloud(message: Any) -> tuple[np.ndarray, ...]:
    """A LiDAR cloud's columns, finite rows alone: xyz, intensity, ring, time in ns."""
    points = plain_points(message)
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

    pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def plain_image(data: np.ndarray, width_px: int, height_px: int, kept_px: int) -> NDArray[np.uint8]:
    """(3, kept_px, width_px): decoded whole, resized, the bottom kept, channels first."""
    import cv2

    pixels = cv2.resize(plain_decode_jpeg(data), (width_px, height_px), interpolation=cv2.INTER_AREA)
    planes = np.zeros((3, kept_px, width_px), np.uint8)
    kept = pixels[max(0, height_px - kept_px) :]
    planes[:, : len(kept)] = np.transpose(kept, (2, 0, 1))
    return planes
