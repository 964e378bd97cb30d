"""The keyframe keeps its times, and its boxes hold the points that nuScenes counted in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.convert.nuscenes_keyframe import convert
from mm_fusion.bags.convert.recording import points_per_box
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.config import SensorConfig
from mm_fusion.errors import BagError
from mm_fusion.geometry.boxes import boxes_of
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.messages.pointcloud import decode_lidar
from mm_fusion.messages.transforms import decode_transforms


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"keyframe\.json"):
        convert(tmp_path, tmp_path / "bag")


def test_boxes_hold_their_points_and_cameras_keep_their_times(shared_data: Path, tmp_path: Path) -> None:
    report = convert(shared_data / "nuscenes_keyframe", tmp_path / "bag")
    assert report.frames == 1 and report.objects["pedestrian"] == 30
    buffer, stamps = TransformBuffer(), {}
    config = SensorConfig(kind="lidar", topic="/LIDAR_TOP/points")
    with open_bag(tmp_path / "bag") as reader:
        assert reader.problems == []
        for topic, _, message, receipt_ns in reader.messages():
            if topic == "/tf_static":
                buffer.add(decode_transforms(message, static=True))
            elif topic == config.topic:
                sweep = decode_lidar(message, config, receipt_ns).get()
            elif topic.endswith("compressed"):
                stamps[topic.split("/")[1]] = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    assert len(stamps) == 6 and stamps["CAM_FRONT_LEFT"] == 1_532_402_927_604_844_000
    assert sweep.stamp_ns == 1_532_402_927_647_951_000
    truth = read_truth(tmp_path / "bag")[0]
    xyz_base = transform_points(buffer.lookup("base_link", "LIDAR_TOP", sweep.stamp_ns), sweep.xyz)
    counted = points_per_box(xyz_base, boxes_of(truth.objects))
    claimed = truth.extra["num_lidar_points"]
    assert np.abs(counted - claimed)[claimed >= 10].max() <= 0.2 * claimed.max()
    assert np.corrcoef(counted, claimed)[0, 1] > 0.98
    bottoms = truth.objects.center[:, 2] - truth.objects.size[:, 2] / 2
    near = np.hypot(*truth.objects.center[:, :2].T) < 20
    assert abs(np.median(bottoms[near])) < 0.3
    assert np.isfinite(truth.objects.velocity).any() and (np.abs(truth.objects.velocity_cov[:, 1]) == 0).all()
