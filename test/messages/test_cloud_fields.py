from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.messages.cloud_fields import (
    LIDAR_FIELDS,
    MAX_POINTS,
    RADAR_FIELDS,
    Column,
    assign_columns,
    need_position,
    read_cloud,
    read_fields,
)

XYZ = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4")])


def columns(*names: str, datatype: int = 7) -> dict[str, Column]:
    return {name: Column(name, 4 * i, datatype) for i, name in enumerate(names)}


def test_empty_cloud(cloud):
    read = read_cloud(cloud(np.zeros(0, XYZ)))
    assert (read.width, read.height, len(read.raw)) == (0, 1, 0)


def test_columns_and_padded_rows(cloud):
    points = np.zeros((2, 3), XYZ)
    points["y"] = np.arange(6).reshape(2, 3)
    read = read_cloud(cloud(points, row_padding=7, bigendian=True))
    assert read_fields(cloud(points))["y"] == Column("y", 4, 7)
    assert np.array_equal(read.column(read.columns["y"]), points["y"])


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"width": 5}, "expected 1 x 5 points of 12 bytes .60 bytes.*got 48"),
        ({"point_step": 0}, "point_step above 0"),
        ({"height": 0}, "got 48 bytes of data"),
        ({"point_step": 4}, "fields of datatype 1..8 inside a point of 4 bytes, got 'y'"),
        ({"width": 10_000_000}, f"at most {MAX_POINTS} points, got 1 x 10000000; thin"),
    ],
)
def test_sizes_that_disagree_are_said(cloud, changed, text):
    message = cloud(np.zeros(4, XYZ), **changed)
    if "point_step" in changed and changed["point_step"] == 4:
        message.row_step, message.width = 48, 12
    with pytest.raises(MeasurementError, match=text):
        read_cloud(message)


def test_row_step_left_at_zero(cloud):
    assert read_cloud(cloud(np.zeros(4, XYZ), row_step=0)).row_step == 48


@pytest.mark.parametrize(
    ("table", "prop", "name"),
    [(LIDAR_FIELDS, prop, name) for prop, names in LIDAR_FIELDS.items() for name in names]
    + [(RADAR_FIELDS, prop, name) for prop, names in RADAR_FIELDS.items() for name in names],
)
def test_every_known_name_in_any_case(table, prop, name):
    assert assign_columns(columns(name), table, {})[prop].name == name
    assert assign_columns(columns(name.upper()), table, {})[prop].name == name.upper()


def test_overrides():
    there = columns("intensity", "reflectivity", "t")
    found = assign_columns(there, LIDAR_FIELDS, {"intensity": "reflectivity", "time": "", "ring": "t:ns"})
    assert {prop: column.name for prop, column in found.items()} == {"intensity": "reflectivity", "ring": "t"}


def test_override_of_a_missing_field_is_said():
    with pytest.raises(MeasurementError, match="expected a field 'bright'.*got fields i .f4.; correct"):
        assign_columns(columns("i"), LIDAR_FIELDS, {"intensity": "bright"})


@pytest.mark.parametrize("there", [columns("x", "y"), columns("x", "y", "z", datatype=3)])
def test_position_must_be_there_and_float(there):
    with pytest.raises(MeasurementError, match="expected a float field"):
        need_position(assign_columns(there, LIDAR_FIELDS, {}), there)
