"""The arithmetic of the benchmarks that watch a running node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

from mm_fusion.bags.types import message_type, typestore
from mm_fusion.config import load_vehicle
from mm_fusion.messages.encode_sensors import encode_compressed_image
from test.benchmarks.bench_realtime import WARM_FRAMES, figures, stamped
from test.benchmarks.bench_soak import accounts, by_quarter, growth, random_faults
from test.benchmarks.live import Sample, growth_per_minute, quantiles, sample

KIND = "sensor_msgs/msg/CompressedImage"


def test_another_stamp_changes_nothing_else() -> None:
    image = encode_compressed_image(b"\xff\xd8 picture", 1_500_000_007, "camera", message_type)
    data = stamped(bytes(typestore().serialize_cdr(image, KIND)), 1_700_000_000_123_456_789)
    found = typestore().deserialize_cdr(data, KIND)
    assert (found.header.stamp.sec, found.header.stamp.nanosec) == (1_700_000_000, 123_456_789)
    assert found.header.frame_id == "camera" and bytes(found.data) == b"\xff\xd8 picture"


def test_frames_that_do_not_come_are_lost_and_the_first_do_not_count() -> None:
    assert figures({}, {})["frames_sent"] == 0
    sent = {stamp: stamp * 10**6 for stamp in range(WARM_FRAMES + 4)}
    arrived = {stamp: at + 5 * 10**6 for stamp, at in sent.items() if stamp not in (0, WARM_FRAMES + 1)}
    found = figures(sent, arrived)
    assert (found["frames_sent"], found["frames_lost"]) == (4, 1)
    assert found["latency"]["p50_ms"] == 5.0


def test_growth_is_a_slope_per_minute() -> None:
    assert growth_per_minute([], []) == 0.0
    assert growth_per_minute([0, 30, 60, 90], [10, 11, 12, 13]) == pytest.approx(2.0)
    steady = [Sample(float(s), 300.0 + (200 if s < 5 else 0), 9, 40) for s in range(100)]
    found = growth(steady)
    assert abs(found["rss_mb_per_minute"]) < 1e-6 and found["threads_per_minute"] == 0
    assert growth([])["rss_mb_per_minute"] == 0


def test_quarters_of_a_run_side_by_side() -> None:
    assert by_quarter([]) == {} == by_quarter([{"detect": 1.0}] * 3)
    windows = [{"detect": float(n), "results": 9.0} for n in range(8)]
    assert by_quarter(windows) == {"detect": [0.5, 2.5, 4.5, 6.5]}


def test_frames_are_published_or_counted() -> None:
    drops = {"frames": {"superseded": 3}, "shed frames": {"superseded": 2}, "lidar": {"late": 9}}
    assert accounts({"frames": "20", "results": "15"}, drops)["unaccounted"] == 0
    assert accounts({}, {})["frames"] == 0


def test_this_process_can_be_watched() -> None:
    now = sample(Path("/proc") / str(os.getpid()), 1.0)
    assert now.rss_mb > 10 and now.threads >= 1 and now.handles >= 3


def test_every_sensor_has_faults() -> None:
    vehicle = load_vehicle("nuscenes_like")
    plan = random_faults(vehicle, 10.0)
    assert {str(fault.sensor) for fault in plan.faults} == set(vehicle.sensors)
    assert random_faults(vehicle, 10.0) == plan


def test_no_values_have_no_quantiles() -> None:
    assert quantiles([])["p50_ms"] != quantiles([])["p50_ms"]
    assert quantiles([1.0, 3.0])["max_ms"] == 3.0
