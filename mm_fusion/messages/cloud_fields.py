"""The layout of a PointCloud2: which column means what, and whether the bytes are all there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import MeasurementError
from mm_fusion.messages.header import payload_bytes

MAX_POINTS = 5_000_000
"""Largest cloud that is decoded; more than four times what any LiDAR on the market sends in a scan."""

DATATYPES: dict[int, str] = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
"""NumPy's names of PointField.INT8 ... FLOAT64."""

LIDAR_FIELDS: dict[str, tuple[str, ...]] = {
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
    "intensity": ("intensity", "reflectivity", "i", "intensities"),
    "ring": ("ring", "channel", "line", "laser_id"),
    "time": ("t", "time", "timestamp", "time_stamp", "offset_time", "time_offset"),
}
RADAR_FIELDS: dict[str, tuple[str, ...]] = {
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
    "velocity": (
        "velocity",
        "doppler",
        "radial_speed",
        "v_r",
        "range_rate",
        "doppler_velocity",
        "radial_velocity",
    ),
    "velocity_comp": ("v_r_compensated", "velocity_comp", "doppler_comp", "v_comp"),
    "vx_comp": ("vx_comp",),
    "vy_comp": ("vy_comp",),
    "vx": ("vx",),
    "vy": ("vy",),
    "rcs": ("rcs",),
    "snr": ("snr",),
    "power": ("power", "intensity", "amplitude"),
}
"""Property of the record -> names in use, most telling first; `fields` of the vehicle file goes before."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a point. offset: bytes from the point's start; datatype: PointField's code."""

    name: str
    offset: int
    datatype: int


@dataclass(frozen=True, slots=True, eq=False)
class CloudBytes:
    """A cloud's layout: `raw` (B,) uint8 holds height rows of width points, `row_step` bytes apart."""

    raw: NDArray[np.uint8]
    width: int
    height: int
    point_step: int
    row_step: int
    bigendian: bool
    columns: Mapping[str, Column]

    def column(self, column: Column) -> np.ndarray:
        """(height, width) strided view of one column, in the message's own byte order."""
        dtype = np.dtype((">" if self.bigendian else "<") + DATATYPES[column.datatype])
        shape, strides = (self.height, self.width), (self.row_step, self.point_step)
        if not self.width * self.height:  # NumPy finds no place for an offset in an empty buffer
            return np.zeros(shape, dtype)
        return np.ndarray(shape, dtype, self.raw, column.offset, strides)


def read_fields(message: Any) -> dict[str, Column]:
    """The columns of a PointCloud2 by name; raises `MeasurementError` where one lies outside the point."""
    step = int(message.point_step)
    columns: dict[str, Column] = {}
    for entry in message.fields:
        column = Column(str(entry.name), int(entry.offset), int(entry.datatype))
        size = np.dtype(DATATYPES[column.datatype]).itemsize if column.datatype in DATATYPES else 0
        if not (size and 0 <= column.offset <= step - size):
            raise MeasurementError(
                f"expected fields of datatype 1..8 inside a point of {step} bytes, got {column.name!r} "
                "of datatype "
                f"{column.datatype} at byte {column.offset}; the driver fills the cloud's fields wrongly"
            )
        columns.setdefault(column.name, column)
    return columns


def read_cloud(message: Any) -> CloudBytes:
    """Layout and bytes of a PointCloud2; raises `MeasurementError` where sizes and data disagree."""
    width, height, step = int(message.width), int(message.height), int(message.point_step)
    raw = payload_bytes(message.data)
    if width < 0 or height < 0 or width * height > MAX_POINTS:
        raise MeasurementError(
            f"expected at most {MAX_POINTS} points, got {height} x {width}; thin the cloud in the driver"
        )
    if step <= 0 and width * height > 0:
        raise MeasurementError(
            f"expected a point_step above 0, got {step}; the driver fills the cloud wrongly"
        )
    row_step = _row_step(width, height, step, int(message.row_step), len(raw))
    return CloudBytes(raw, width, height, step, row_step, bool(message.is_bigendian), read_fields(message))


def _row_step(width: int, height: int, step: int, claimed: int, size: int) -> int:
    if claimed >= width * step and claimed * height == size:
        return claimed
    if width * step * height == size:  # several drivers leave row_step at zero
        return width * step
    raise MeasurementError(
        f"expected {height} x {width} points of {step} bytes ({height * width * step} bytes, row_step "
        f"{claimed}), "
        f"got {size} bytes of data; the message was cut or the driver fills the sizes wrongly"
    )


def assign_columns(
    columns: Mapping[str, Column], table: Mapping[str, tuple[str, ...]], override: Mapping[str, str]
) -> dict[str, Column]:
    """Column by property: as the vehicle's `fields` says, else the first known name that is there, any case.

    An override may end in a unit (`t:ns`) and be empty (the property is not read). Raises `MeasurementError`
    where an override names a column that is not there.
    """
    lower: dict[str, Column] = {}
    for name, column in columns.items():
        lower.setdefault(name.lower(), column)
    found: dict[str, Column] = {}
    for prop, names in table.items():
        if prop in override:
            names = _overriding(prop, override[prop], columns)
        match = next(
            (columns.get(name) or lower.get(name) for name in names if name in columns or name in lower), None
        )
        if match is not None:
            found[prop] = match
    return found


def _overriding(prop: str, value: str, columns: Mapping[str, Column]) -> tuple[str, ...]:
    name = value.split(":")[0]
    if name and name not in columns:
        raise MeasurementError(
            f"expected a field {name!r} (`fields: {{{prop}: {value}}}` of the vehicle file), got "
            f"{_listed(columns)}; "
            "correct the vehicle file"
        )
    return (name,) if name else ()


def need_position(
    found: Mapping[str, Column], columns: Mapping[str, Column]
) -> tuple[Column, Column, Column]:
    """The columns x, y, z; raises `MeasurementError` where one is missing or no float."""
    for prop in ("x", "y", "z"):
        if prop not in found or found[prop].datatype not in (7, 8):
            raise MeasurementError(
                f"expected a float field {prop}, got {_listed(columns)}; name it in `fields` of the "
                "vehicle file"
            )
    return found["x"], found["y"], found["z"]


def _listed(columns: Mapping[str, Column]) -> str:
    return "fields " + (", ".join(f"{c.name} ({DATATYPES[c.datatype]})" for c in columns.values()) or "none")
