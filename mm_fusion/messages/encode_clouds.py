"""Records as PointCloud2: LiDAR sweeps, radar scans, and detections with all that they know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import CLASSES, Detections, make_detections
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import LidarSweep, RadarScan
from mm_fusion.messages.build import Types, header_of, sequence_of
from mm_fusion.messages.cloud_fields import DATATYPES, read_cloud
from mm_fusion.messages.header import reading

_CODES = {name: code for code, name in DATATYPES.items()}
_LIDAR_POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2"), ("t", "<i4")]
)
"""22 bytes; `t` is ns from the header's stamp."""

DETECTION_FIELDS: dict[str, tuple[str, ...]] = {
    "center": ("x", "y", "z"),
    "size": ("length", "width", "height"),
    "yaw": ("yaw",),
    "velocity": ("vx", "vy"),
    "score": ("score",),
    "class_id": ("class_id",),
    "track_id": ("track_id",),
    "moving": ("moving",),
    "position_cov": ("pos_xx", "pos_xy", "pos_yy"),
    "velocity_cov": ("vel_xx", "vel_xy", "vel_yy"),
    "variance": ("var_z", "var_l", "var_w", "var_h", "var_yaw"),
    "contribution": ("contribution_camera", "contribution_lidar", "contribution_radar"),
}
"""Fields of `~/detections_cloud` by array of `Detections`, all float32, in order."""

TRACK_ID_LIMIT = 2**24
"""float32 holds integers below this; larger track ids go modulo it."""


def cloud_message(header: Any, points: NDArray, types: Types) -> Any:
    """PointCloud2 of (N,) structured `points`, whose fields it keeps by name."""
    kind = types("sensor_msgs/msg/PointCloud2")
    fields: Mapping[str, Any] = points.dtype.fields or {}
    point_field = types("sensor_msgs/msg/PointField")
    return kind(
        header=header,
        height=1,
        width=len(points),
        fields=[
            point_field(name=name, offset=int(entry[1]), datatype=_CODES[entry[0].str[1:]], count=1)
            for name, entry in fields.items()
        ],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * len(points),
        data=sequence_of(np.frombuffer(points.tobytes(), np.uint8), "u1", kind),
        is_dense=True,
    )


def encode_lidar(sweep: LidarSweep, types: Types) -> Any:
    """PointCloud2 of a sweep, 22 bytes a point; the stamp is the scan's middle, intensity 0..1."""
    points = np.zeros(len(sweep.xyz), _LIDAR_POINT)
    points["x"], points["y"], points["z"] = sweep.xyz.T
    points["intensity"], points["t"] = sweep.intensity, sweep.time_offset_ns
    if sweep.ring is not None:
        points["ring"] = sweep.ring.astype(np.uint16)
    return cloud_message(header_of(sweep.stamp_ns, sweep.frame_id, types), points, types)


def encode_radar_cloud(scan: RadarScan, types: Types) -> Any:
    """PointCloud2 of a scan: x y z, receding-positive `velocity` (or `velocity_comp`), and strength."""
    velocity = "velocity_comp" if scan.compensated else "velocity"
    names = ("x", "y", "z", velocity, scan.strength_kind)
    points = np.zeros(len(scan.xyz), [(name, "<f4") for name in names])
    for name, column in zip(names, (*scan.xyz.T, scan.radial_velocity, scan.strength_db)):
        points[name] = column
    return cloud_message(header_of(scan.stamp_ns, scan.frame_id, types), points, types)


def encode_detections_cloud(
    detections: Detections,
    stamp_ns: int,
    frame_id: str,
    types: Types,
    extra: Mapping[str, NDArray] | None = None,
) -> Any:
    """PointCloud2 with one point per object and all of `DETECTION_FIELDS`; `extra` columns (N,) follow."""
    columns: dict[str, NDArray] = {}
    for name, fields in DETECTION_FIELDS.items():
        array = _track_column(detections) if name == "track_id" else getattr(detections, name)
        columns.update(zip(fields, array.reshape(len(detections), len(fields)).T))
    columns.update(extra or {})
    points = np.zeros(len(detections), [(name, "<f4") for name in columns])
    for name, column in columns.items():
        points[name] = column
    return cloud_message(header_of(stamp_ns, frame_id, types), points, types)


def _track_column(detections: Detections) -> NDArray:
    """Track ids that float32 holds exactly, -1 where there is none."""
    if detections.track_id is None:
        return np.full(len(detections), -1, np.int64)
    return np.where(detections.track_id < 0, -1, detections.track_id % TRACK_ID_LIMIT)


def decode_detections_cloud(message: Any) -> tuple[Detections, dict[str, NDArray[np.float32]]]:
    """The objects of a `detections_cloud`, and its further columns by name, (N,) float32 each.

    Columns that are missing stay unknown, but for the box. `track_id` is None where no object has one.
    """
    with reading("detections PointCloud2", "detections cloud"):
        cloud = read_cloud(message)
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which is a value here
            columns = {n: cloud.column(c).reshape(-1).astype(np.float32) for n, c in cloud.columns.items()}
        _need_box(columns)
        arrays: dict[str, NDArray | None] = {"track_id": None}
        for name, fields in DETECTION_FIELDS.items():
            if all(field in columns for field in fields):
                stacked = np.stack([columns.pop(field) for field in fields], axis=1)
                arrays[name] = stacked[:, 0] if len(fields) == 1 else stacked
        _mend(arrays)
        return make_detections(cloud.width * cloud.height, **arrays), columns


def _need_box(columns: Mapping[str, NDArray]) -> None:
    missing = [f for name in ("center", "size", "yaw") for f in DETECTION_FIELDS[name] if f not in columns]
    if missing:
        raise MeasurementError(
            f"expected a cloud of detections, got one without {', '.join(missing)}; check the topic's name"
        )


def _mend(arrays: dict[str, NDArray | None]) -> None:
    """Whole numbers come back as they went; a class that we do not know is `unknown`."""
    class_id, track_id = arrays.get("class_id"), arrays.get("track_id")
    if class_id is not None:
        known = (class_id >= 0) & (class_id < len(CLASSES))
        arrays["class_id"] = np.where(known, class_id, len(CLASSES) - 1)
    if track_id is not None:
        whole = np.where(np.abs(track_id) < 2.0**62, track_id, -1)
        arrays["track_id"] = whole if (whole >= 0).any() else None
