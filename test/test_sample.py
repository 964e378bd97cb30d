"""The sample recording: small, whole, with truth, and what the documents say of it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.cli.simulate import add_arguments
from mm_fusion.config import load_vehicle
from mm_fusion.messages.routes import routes

ROSBAGS = Path(__file__).resolve().parent.parent / "rosbags"
SAMPLE = ROSBAGS / "sample"


def test_it_is_small_and_data_only() -> None:
    assert sum(path.stat().st_size for path in ROSBAGS.rglob("*") if path.is_file()) < 10_000_000
    assert not list(ROSBAGS.rglob("*.py"))


def test_it_has_every_sensor_of_its_vehicle_for_five_seconds() -> None:
    with open_bag(SAMPLE) as reader:
        assert set(routes(load_vehicle("nuscenes_like"))) <= set(reader.topics)
        assert reader.end_ns - reader.start_ns >= 5e9
        assert sum(1 for _ in reader.messages()) > 1500
        assert reader.problems == []


def test_its_truth_has_several_classes_that_sensors_met() -> None:
    frames = read_truth(SAMPLE)
    met = set()
    for frame in frames:
        seen = (frame.extra["num_lidar_points"] > 0) & (frame.extra["num_radar_points"] > 0)
        met |= {name for name, known in zip(frame.objects.class_names(), seen) if known}
    assert len(frames) >= 45 and {"car", "pedestrian", "truck"} <= met


def test_the_command_in_its_readme_is_one() -> None:
    import argparse

    text = (ROSBAGS / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    line = next(line for line in text.splitlines() if line.strip().startswith("mm-fusion simulate"))
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    given = parser.parse_args(shlex.split(line)[2:])
    assert (given.out, given.vehicle) == (Path("rosbags/sample"), "nuscenes_like")


def test_its_sensors_make_frames_of_all_kinds() -> None:
    pytest.importorskip("open3d", reason="the geometric detector needs it")
    from collections import Counter

    from mm_fusion.offline import run_bag

    results = run_bag(SAMPLE, load_vehicle("nuscenes_like"), "geometric").results
    modes = Counter(result.mode for result in results)
    assert modes["CLR"] >= 45
