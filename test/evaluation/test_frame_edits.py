"""Frames with sensors gone, replaced or elsewhere."""

from __future__ import annotations

import numpy as np

from mm_fusion.evaluation.frame_edits import (
    groups_of_subset,
    restamped,
    subset_of,
    with_measurement,
    with_mount_error,
    without,
)
from mm_fusion.geometry.transforms import from_rpy_deg
from test.inputs import scene


def whole():
    items = {
        "lidar": scene.sweep([[10, 0, 1]]),
        "radar": scene.scan([[10, 0, 1]], [0]),
        "camera": scene.image(),
    }
    return scene.frame(items, earlier={"lidar": (scene.sweep([[11, 0, 1]], stamp=scene.STAMP - 10**8),)})


def test_letters_name_groups() -> None:
    assert groups_of_subset("CR") == {"camera", "radar"} and groups_of_subset("") == set()


def test_an_absent_sensor_leaves_nothing_behind() -> None:
    left = subset_of(whole(), "CR")
    assert set(left.measurements) == {"radar", "camera"} and left.earlier == {}
    assert left.available == {"lidar": False, "radar": True, "camera": True}
    assert "lidar" not in left.age_ns and "lidar" not in left.calibration.base_from_sensor
    assert left.kinds == whole().kinds and left.ego is not None


def test_everything_kept_is_the_frame_itself() -> None:
    frame = whole()
    assert subset_of(frame, "CLR") is frame


def test_without_cameras_no_camera_is_calibrated() -> None:
    assert subset_of(whole(), "L").calibration.camera_models == {}


def test_ego_motion_from_radar_goes_with_the_last_radar() -> None:
    assert without(whole(), ["radar"], ego_from_radar=True).ego is None
    assert without(whole(), ["radar"]).ego is not None
    assert without(whole(), ["lidar"], ego_from_radar=True).ego is not None


def test_a_replaced_measurement_has_its_own_age() -> None:
    old = restamped(scene.sweep([[5, 0, 1]]), scene.STAMP - 3 * 10**8)
    changed = with_measurement(whole(), "lidar", old)
    assert changed.age_ns["lidar"] == 3 * 10**8 and changed.earlier == {}
    assert changed.measurements["lidar"] is old and changed.age_ns["radar"] == 0


def test_a_mount_error_is_in_the_sensors_own_axes() -> None:
    moved = with_mount_error(whole(), "camera", from_rpy_deg((0, 0, 0), (0, 0, 1)))
    shift = moved.calibration.base_from_sensor["camera"] - scene.BASE_FROM_CAMERA
    assert np.allclose(shift[:3, 3], (1, 0, 0), atol=1e-9)  # a camera looks along its z
    assert np.array_equal(whole().calibration.base_from_sensor["camera"], scene.BASE_FROM_CAMERA)
