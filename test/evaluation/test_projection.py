"""The measure prefers the right calibration, in a drawn scene and in real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import ResultError
from mm_fusion.evaluation.projection import EdgeView, edge_views, projection_tree
from mm_fusion.evaluation.recorded_frames import decoded_frames, vehicle_of_recording
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg, inverse
from mm_fusion.measurements import CameraImage, CameraModel, LidarSweep

BODY_FROM_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
MATRIX = np.array([[600.0, 0, 400], [0, 600, 300], [0, 0, 1]])
MODEL = CameraModel(MATRIX, np.zeros(0), "plumb_bob", 800, 600)
BLOCKS = ((-12.0, -4.0, 3.0), (3.0, 12.0, 5.0))
"""Two upright plates at 12 m before a wall at 40 m: azimuth from and to, and upper end, degrees."""


def plate_at(azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    inside = [(azimuth_deg > a) & (azimuth_deg < b) & (elevation_deg < top) for a, b, top in BLOCKS]
    return np.any(inside, axis=0)


def scene() -> tuple[np.ndarray, LidarSweep]:
    """The image and the scan of the plates, both from the origin."""
    row, column = np.mgrid[0:600, 0:800]
    ray = np.stack([np.ones_like(row), (400 - column) / 600, (300 - row) / 600], axis=-1)
    azimuth = np.rad2deg(np.arctan2(ray[..., 1], ray[..., 0]))
    elevation = np.rad2deg(np.arctan2(ray[..., 2], np.hypot(ray[..., 0], ray[..., 1])))
    picture = np.where(plate_at(azimuth, elevation)[..., None], 200, 60).astype(np.uint8)
    picture = np.ascontiguousarray(np.broadcast_to(picture, (600, 800, 3)))
    e, a = (
        g.ravel() for g in np.meshgrid(np.arange(-12, 12, 0.5), np.arange(-180, 180, 0.25), indexing="ij")
    )
    distance = np.where(plate_at(a, e), 12.0, 40.0)
    az, el = np.deg2rad(a), np.deg2rad(e)
    xyz = distance[:, None] * np.column_stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)])
    zeros = np.zeros(len(xyz))
    sweep = LidarSweep(0, "lidar", xyz.astype(np.float32), zeros.astype(np.float32), zeros.astype(np.int32))
    return picture, sweep


def frame(turned_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Frame:
    picture, sweep = scene()
    places = {"lidar": np.eye(4), "front": from_rpy_deg(turned_deg) @ BODY_FROM_OPTICAL}
    return Frame(
        0,
        {"front": CameraImage(0, "front", picture), "lidar": sweep},
        {"front": "camera", "lidar": "lidar"},
        {"front": True, "lidar": True},
        {"front": 0, "lidar": 0},
        Calibration(places, {"front": MODEL}),
    )


def views(turned_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[EdgeView]:
    return list(edge_views([frame(turned_deg)]))


def test_nothing_to_compare_is_said() -> None:
    assert list(edge_views([])) == []
    with pytest.raises(ResultError, match="no image with LiDAR edges"):
        projection_tree([])


def test_edges_fall_on_edges_with_the_right_calibration() -> None:
    tree = projection_tree(views())["all"]
    assert tree["edges"] > 100 and tree["median"] < 2.5
    for turn in ("pitch +1", "pitch -1", "yaw +1", "yaw -1"):
        one = tree["turned"][turn]
        assert one["felt_smaller_percent"] > 60, turn
        assert one["felt_median"] == pytest.approx(10.5, abs=3.5), "a degree is 600 px * pi / 180"


def test_a_calibration_that_is_off_shows_where_the_right_one_lies() -> None:
    tree = projection_tree(views((0.0, 0.0, 1.0)))["all"]
    assert tree["turned"]["yaw -1"]["felt_smaller_percent"] < -100
    assert tree["turned"]["yaw +1"]["felt_smaller_percent"] > 20


def test_turning_is_about_the_cars_axes() -> None:
    """Yaw left by a degree moves what is seen to the right."""
    (given,) = views()
    assert given.across_px["yaw +1"][~given.between_rings] == pytest.approx(10.5, abs=1.5)
    assert given.across_px["yaw +1"][given.between_rings] == pytest.approx(0, abs=2)
    assert inverse(from_rpy_deg((0, 0, 1.0)))[0, 1] > 0


def test_the_nuscenes_keyframe_fits_better_than_turned(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "nuscenes_keyframe"
    if not source.is_dir():
        pytest.skip(f"no keyframe in {source}")
    from mm_fusion.bags.convert.nuscenes_keyframe import convert

    convert(source, tmp_path / "bag")
    found = decoded_frames(tmp_path / "bag", vehicle_of_recording(tmp_path / "bag"))
    tree = projection_tree(list(edge_views(found)))["all"]
    assert tree["images"] == 6
    for turn, one in tree["turned"].items():
        assert one["felt_smaller_percent"] > 20, turn
        assert one["smaller_percent"] > 5, turn
