"""PointCloud2 to `LidarSweep` and `RadarScan`: any float type, point step, byte order and row padding."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import Deferred, LidarSweep, RadarScan, StrengthKind
from mm_fusion.messages.cloud_fields import (
    DATATYPES,
    LIDAR_FIELDS,
    RADAR_FIELDS,
    CloudBytes,
    Column,
    assign_columns,
    need_position,
    read_cloud,
    read_fields,
)
from mm_fusion.messages.header import SensorHeader, read_header, reading
from mm_fusion.messages.point_times import AT_STAMP, MAX_OFFSET_NS, TimeRule, time_rule

__all__ = ["decode_lidar", "decode_radar_cloud", "read_fields", "warm_up"]

_KERNEL_ORDER = ("x", "y", "z", "intensity", "ring", "time")
_NOTHING_NEARER_M = 1e-3
"""A return at the sensor itself is a driver's mark for "no return"."""


def decode_lidar(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[LidarSweep]:
    """A LiDAR scan, its points read at first use; raises `MeasurementError` for a wrong header or size."""
    with reading("PointCloud2", sensor.topic):
        header = read_header(message, sensor, receipt_ns)
        cloud = read_cloud(message)
        found = assign_columns(cloud.columns, LIDAR_FIELDS, sensor.fields)
        need_position(found, cloud.columns)
    decode = partial(_read_lidar, cloud, found, header, sensor)
    return Deferred(header.stamp_ns, header.frame_id, len(cloud.raw), decode)


def _read_lidar(
    cloud: CloudBytes, found: dict[str, Column], header: SensorHeader, sensor: SensorConfig
) -> LidarSweep:
    """The points of a checked cloud with one mask over all columns: finite, and in the sensor's range."""
    from mm_fusion.messages.cloud_points import empty_points, read_points, sample_points  # numba: late

    with reading("PointCloud2", sensor.topic):
        raw, step, found = packed(cloud, found)
        count = cloud.width * cloud.height
        at, kind = _kernel_columns(found)
        bounds = _squared_range(sensor)
        low, high, brightest = sample_points(raw, step, count, at, kind, bounds)
        rule = time_rule(low, high, kind[5], header, sensor) if kind[5] else AT_STAMP
        scale = np.float32(1 / (sensor.intensity_scale or _intensity_scale(kind[3], brightest)))
        out = empty_points(count, bool(kind[4]))
        kept, mistimed = read_points(raw, step, count, at, kind, bounds, scale, _as_tuple(rule), out)
        _check_times(mistimed, count, sensor)
        _check_any(kept, count, sensor)
    xyz, intensity, ring, offset = out
    rings = ring[:kept] if kind[4] else None
    xyz = xyz[: 3 * kept].reshape(kept, 3)
    return LidarSweep(header.stamp_ns, header.frame_id, xyz, intensity[:kept], offset[:kept], rings)


def warm_up() -> None:
    """Compile the loops of LiDAR clouds, so that the first cloud need not wait for seconds."""
    columns = {prop: Column(prop, 4 * i, 7) for i, prop in enumerate(_KERNEL_ORDER)}
    raw = np.array([1, 0, 0, 0, 0, 0], np.float32).view(np.uint8)
    raw.flags.writeable = False
    sensor = SensorConfig(kind="lidar", topic="warm-up")
    _read_lidar(CloudBytes(raw, 1, 1, 24, 24, False, columns), columns, SensorHeader(0, 0, "warm-up"), sensor)


def _as_tuple(rule: TimeRule) -> tuple[float, float, float, float]:
    return rule.origin, rule.unit_ns, rule.shift_ns, float(MAX_OFFSET_NS)


def _kernel_columns(found: dict[str, Column]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Byte offset and datatype (0: absent) of each column in the kernel's order."""
    columns = [found.get(prop) for prop in _KERNEL_ORDER]
    return tuple(c.offset if c else 0 for c in columns), tuple(c.datatype if c else 0 for c in columns)


def _squared_range(sensor: SensorConfig) -> tuple[np.float32, np.float32]:
    nearest = max(sensor.min_range_m, _NOTHING_NEARER_M)
    return np.float32(nearest**2), np.float32(sensor.max_range_m**2)


def _intensity_scale(datatype: int, brightest: float) -> float:
    """The value that means 1: by the type of a byte, else the usual scale above the brightest point."""
    if datatype in (1, 2):
        return 255.0
    return next((scale for scale in (1.0, 255.0) if brightest <= scale), 65535.0)


def _check_times(mistimed: int, count: int, sensor: SensorConfig) -> None:
    if mistimed * 2 > count:
        raise MeasurementError(
            f"expected point times within 1 s of the scan, got {mistimed} of {count} points outside; "
            "give the unit, "
            f'such as `fields: {{time: "t:ns"}}`, in the vehicle file (now '
            f"{sensor.fields.get('time', 'guessed')!r})"
        )


def _check_any(kept: int, count: int, sensor: SensorConfig) -> None:
    """Raise where a cloud of points says nothing: wrong bytes look like that, and so does a covered LiDAR."""
    if count and not kept:
        raise MeasurementError(
            f"expected points between {sensor.min_range_m} and {sensor.max_range_m} m, got none among "
            f"{count}; is the LiDAR covered, or its byte order or unit of length another?"
        )


def packed(cloud: CloudBytes, found: dict[str, Column]) -> tuple[NDArray[np.uint8], int, dict[str, Column]]:
    """Bytes, point step and columns of the same points without row padding, in this machine's byte order."""
    native = cloud.bigendian == (sys.byteorder == "big")
    if native and (cloud.row_step == cloud.width * cloud.point_step or cloud.height == 1):
        return cloud.raw, cloud.point_step, found
    dtype = np.dtype([(prop, DATATYPES[column.datatype]) for prop, column in found.items()])
    points = np.empty((cloud.height, cloud.width), dtype)
    for prop, column in found.items():
        points[prop] = cloud.column(column)
    at: Mapping[str, Any] = dtype.fields or {}
    moved = {prop: replace(column, offset=int(at[prop][1])) for prop, column in found.items()}
    raw = points.reshape(-1).view(np.uint8)
    raw.flags.writeable = False
    return raw, dtype.itemsize, moved


def decode_radar_cloud(message: Any, sensor: SensorConfig, receipt_ns: int) -> Deferred[RadarScan]:
    """A radar scan, its returns read at first use; raises `MeasurementError` for a wrong header or size.

    Raw Doppler (`doppler_sign` makes it receding-positive) goes before a compensated one, `vx`/`vy` last.
    """
    with reading("radar PointCloud2", sensor.topic):
        header = read_header(message, sensor, receipt_ns)
        cloud = read_cloud(message)
        found = assign_columns(cloud.columns, {**RADAR_FIELDS, "strength": ()}, sensor.fields)
        need_position(found, cloud.columns)
        _need_velocity(found, cloud)
    decode = partial(_read_radar, cloud, found, header, sensor)
    return Deferred(header.stamp_ns, header.frame_id, len(cloud.raw), decode)


def _need_velocity(found: dict[str, Column], cloud: CloudBytes) -> None:
    pairs = ({"velocity"}, {"velocity_comp"}, {"vx_comp", "vy_comp"}, {"vx", "vy"})
    if not any(pair <= found.keys() for pair in pairs):
        raise MeasurementError(
            f"expected a Doppler field ({', '.join(RADAR_FIELDS['velocity'])} or vx_comp and vy_comp), "
            "got fields "
            f"{', '.join(cloud.columns) or 'none'}; name it by `fields: {{velocity: NAME}}` in the "
            "vehicle file"
        )


def _read_radar(
    cloud: CloudBytes, found: dict[str, Column], header: SensorHeader, sensor: SensorConfig
) -> RadarScan:
    """The returns of a checked cloud with one mask over all columns: finite, and in the sensor's range."""
    with reading("radar PointCloud2", sensor.topic), np.errstate(all="ignore"):  # what is not finite is cut
        values = {prop: cloud.column(column).reshape(-1).astype(np.float64) for prop, column in found.items()}
        xyz = np.stack([values["x"], values["y"], values["z"]], axis=1)
        velocity, compensated = _radial_velocity(values, xyz, sensor)
        strength, kind = _strength(values, len(xyz), sensor)
    return radar_scan(header, sensor, xyz, velocity, strength, kind, compensated)


def _radial_velocity(values: dict[str, NDArray], xyz: NDArray, sensor: SensorConfig) -> tuple[NDArray, bool]:
    if "velocity" in values:
        return values["velocity"] * sensor.doppler_sign, False
    if "velocity_comp" in values:
        return values["velocity_comp"] * sensor.doppler_sign, True
    x, y = ("vx_comp", "vy_comp") if {"vx_comp", "vy_comp"} <= values.keys() else ("vx", "vy")
    along = values[x] * xyz[:, 0] + values[y] * xyz[:, 1]
    return along / np.linalg.norm(xyz, axis=1), x == "vx_comp"


def _strength(values: dict[str, NDArray], count: int, sensor: SensorConfig) -> tuple[NDArray, StrengthKind]:
    """dB and what they are: the overriding field, else rcs, snr, power; zeros where there is none."""
    kinds: tuple[StrengthKind, ...] = ("rcs", "snr", "power")
    kind: StrengthKind = next((kind for kind in kinds if kind in values), "power")
    column = values.get("strength", values.get(kind, np.zeros(count)))
    return column, sensor.strength_kind or kind


def radar_scan(
    header: SensorHeader,
    sensor: SensorConfig,
    xyz: NDArray,
    velocity: NDArray,
    strength: NDArray,
    kind: StrengthKind,
    compensated: bool,
) -> RadarScan:
    """The returns that are finite and in the sensor's range; a strength that is no number becomes 0 dB."""
    with np.errstate(all="ignore"):
        single = [np.asarray(a, np.float32) for a in (xyz, velocity, strength)]
        distance = np.linalg.norm(xyz, axis=1)
        keep = (distance >= max(sensor.min_range_m, _NOTHING_NEARER_M)) & (distance <= sensor.max_range_m)
    keep &= np.isfinite(single[1])
    xyz32, velocity32, strength32 = (array[keep] for array in single)
    strength32 = np.where(np.isfinite(strength32), strength32, np.float32(0))
    return RadarScan(
        header.stamp_ns,
        header.frame_id,
        xyz32,
        velocity32,
        strength32,
        kind,
        compensated,
        sensor.ambiguity_mps,
    )
