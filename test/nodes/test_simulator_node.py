"""A simulated drive through real nodes: published live, fused, recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("open3d", reason="the drive is made by Open3D's ray casting")

from mm_fusion.bags.read import open_bag
from mm_fusion.nodes.processes import Child

pytestmark = pytest.mark.ros

TOPICS = ["/lidar/points", "/camera/image/compressed", "/camera/camera_info", "/tf_static", "/odom"]
TRUTH = ["/ground_truth", "/ground_truth_cloud"]
SECONDS = 1.5
DRIVE = ["--vehicle", "minimal", "--seconds", SECONDS, "--camera-width", 160, "--lidar-step", 4]


def recorded(start: Callable[..., Child], tmp_path: Path, *more: object) -> tuple[Path, Child]:
    out = tmp_path / "heard.mcap"
    recorder = start("recorder_node", "--out", out, "--topics", *TOPICS, *TRUTH, "/clock")
    simulator = start("simulator_node", *DRIVE, "--wait-for", 20, *more)
    assert simulator.wait(120.0) == 0, simulator.text()
    recorder.stop()
    return out, simulator


@pytest.mark.parametrize("rate", [0, 2.0])
def test_everything_is_published_with_clock(start: Callable[..., Child], tmp_path: Path, rate: float) -> None:
    out, simulator = recorded(start, tmp_path, "--rate", rate)
    assert "messages published" in simulator.text()
    with open_bag(out) as reader:
        counts = {name: topic.count for name, topic in reader.topics.items()}
    assert set(counts) == {*TOPICS, *TRUTH, "/clock"}
    assert counts["/lidar/points"] >= 10 and counts["/ground_truth_cloud"] >= 10
    assert counts["/clock"] > 100 * SECONDS


def test_the_wall_clock_gives_stamps_of_now(start: Callable[..., Child], tmp_path: Path) -> None:
    out, _ = recorded(start, tmp_path, "--wall-time")
    with open_bag(out) as reader:
        assert "/clock" not in reader.topics
        late = [m.receipt_ns - stamp_ns(m.message) for m in reader.messages({"/lidar/points"})]
    assert len(late) >= 8 and all(-1e9 < value < 20e9 for value in late)


def stamp_ns(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_a_drive_that_cannot_be_is_refused(start: Callable[..., Child]) -> None:
    child = start("simulator_node", "--scenario", "moon")
    assert child.wait(60.0) == 2
    assert "moon" in child.text() and "roundabout" in child.text()
