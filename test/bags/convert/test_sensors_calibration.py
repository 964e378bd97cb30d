"""Points stored askew are put right; pairs and scene become two parts of one recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.convert.sensors_calibration import convert, whole_points
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.config import SensorConfig
from mm_fusion.errors import BagError
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.messages.camera_info import decode_camera_info
from mm_fusion.messages.pointcloud import decode_lidar
from mm_fusion.messages.transforms import decode_transforms


def test_whole_rows_stay_and_unusable_ones_go() -> None:
    rows = np.ones((20, 4), np.float32)
    rows[3, 0], rows[5] = np.nan, 0.0
    points, mended = whole_points(rows)
    assert len(points) == 18 and not mended
    assert whole_points(np.zeros((0, 4), np.float32))[0].shape == (0, 4)


def test_rows_read_in_steps_of_13_bytes_are_put_right() -> None:
    points = np.random.default_rng(1).uniform(-5, 5, (208, 4)).astype(np.float32)
    points[:, 3] = 1.0
    raw = np.frombuffer(points.tobytes()[: 208 * 13], np.uint8).reshape(208, 13)
    askew = np.empty((208, 4), np.float32)
    askew[:, :3] = np.ascontiguousarray(raw[:, :12]).view("<f4")
    askew[:, 3] = raw[:, 12]
    found, mended = whole_points(askew)
    assert mended
    np.testing.assert_array_equal(found[:, :3], points[: 208 * 13 // 16, :3])


def test_rows_beyond_help_are_an_error() -> None:
    with pytest.raises(BagError, match="usable"):
        whole_points(np.full((100, 4), 1e20, np.float32))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"calibration\.json"):
        convert(tmp_path, tmp_path / "bag")


def test_points_fall_into_both_distorted_images_and_both_radars_are_there(
    shared_data: Path, tmp_path: Path
) -> None:
    report = convert(shared_data / "sensors_calibration", tmp_path / "bag")
    assert (report.frames, report.runs, report.messages["/lidar/points"]) == (11, 2, 10)
    assert report.messages["/oculii_radar/points"] == report.messages["/ti_radar/scan"] == 1
    assert len(read_truth(tmp_path / "bag")[0].objects) == sum(report.objects.values()) > 50
    buffer, models, shares = TransformBuffer(), {}, []
    lidar = SensorConfig(kind="lidar", topic="/lidar/points")
    with open_bag(tmp_path / "bag") as reader:
        for topic, _, message, receipt_ns in reader.messages():
            if topic == "/tf_static":
                buffer.add(decode_transforms(message, static=True))
            elif topic.endswith("camera_info"):
                models[message.header.frame_id] = decode_camera_info(
                    message, SensorConfig(kind="camera", topic=topic)
                )
            elif topic == lidar.topic:
                sweep = decode_lidar(message, lidar, receipt_ns).get()
                for frame, model in models.items():
                    xyz = transform_points(buffer.lookup(frame, "lidar", receipt_ns), sweep.xyz)
                    shares.append(project(model, xyz)[1].mean())
    assert len(shares) == 20 and np.median(shares) > 0.9  # the checkerboard is held into both images
    assert all(np.count_nonzero(model.distortion) == 5 for model in models.values())
