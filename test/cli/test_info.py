"""`mm-fusion info` prints a page or JSON, and writes a vehicle file whole or not at all."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.cli import info
from mm_fusion.config import load_vehicle
from mm_fusion.errors import BagError
from mm_fusion.measurements import CameraModel, LidarSweep, StampedTransform
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_transforms,
)

START_NS = 1_700_000_000 * 10**9


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A second of one LiDAR and one camera."""
    model = CameraModel(np.diag([500.0, 500.0, 1.0]), np.zeros(5), "plumb_bob", 64, 48)
    xyz = np.random.default_rng(0).uniform(-20, 20, (500, 3)).astype(np.float32)
    edge = StampedTransform(START_NS, "base_link", "lidar", np.eye(4), True)
    with BagWriter(tmp_path / "drive") as writer:
        writer.write("/tf_static", encode_transforms((edge,), message_type), START_NS)
        for stamp in range(START_NS, START_NS + 10**9, 10**8):
            sweep = LidarSweep(stamp, "lidar", xyz, np.zeros(500, np.float32), np.zeros(500, np.int32))
            writer.write("/lidar/points", encode_lidar(sweep, message_type), stamp + 10**6)
            image = encode_compressed_image(b"jpeg", stamp, "cam", message_type)
            writer.write("/cam/image/compressed", image, stamp + 10**6)
            writer.write(
                "/cam/camera_info", encode_camera_info(model, stamp, "cam", message_type), stamp + 10**6
            )
    return tmp_path / "drive"


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    info.add_arguments(parser)
    return info.run(parser.parse_args([str(word) for word in words]))


def test_page_names_topics_sensors_and_faults(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bag) == 0
    said = capsys.readouterr().out
    for part in (
        "/lidar/points",
        "10.00",
        "base: base_link",
        "64x48 px",
        "NOT placed",
        "not joined to base_link: cam",
    ):
        assert part in said


def test_json_is_json_and_the_vehicle_file_is_taken(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bag, "--json", "--write-vehicle", tmp_path / "car.yaml") == 0
    tree = json.loads(capsys.readouterr().out)
    assert [sensor["name"] for sensor in tree["sensors"]] == ["cam", "lidar"]
    assert tree["sensors"][0]["model"]["width_px"] == 64 and tree["duration_s"] == pytest.approx(0.901)
    vehicle = load_vehicle(str(tmp_path / "car.yaml"))
    assert list(vehicle.sensors) == ["cam", "lidar"] and vehicle.sensors["cam"].mount is not None


def test_vehicle_file_that_cannot_be_written_is_named(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"absent/car\.yaml"):
        run(bag, "--write-vehicle", tmp_path / "absent" / "car.yaml")
