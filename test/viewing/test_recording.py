"""Pictures of a small recording, through the command that draws them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mm_fusion.bags.truth import TruthFrame, write_truth
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.cli.main import main
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import CLASSES, Detections, make_detections
from mm_fusion.evaluation.detections_file import DetectionsFile, ResultFrame, write_detections
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraModel, LidarSweep, RadarScan, StampedTransform
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_radar_cloud,
    encode_transforms,
)
from mm_fusion.viewing.recording import nearest, sights, touched_truth

MS = 1_000_000
START = 1_600_000_000_000 * MS
VEHICLE = """
sensors:
  front: {kind: camera, topic: /front/image, info_topic: /front/info}
  top: {kind: lidar, topic: /top/points}
  nose: {kind: radar, topic: /nose/points, doppler_sign: 1}
alignment: {reference: [top]}
"""
BODY_FROM_OPTICAL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1]])


def car() -> Detections:
    return make_detections(
        1,
        center=np.array([[20.0, 0, 1]]),
        size=np.array([[4.0, 2, 1.6]]),
        velocity=np.array([[5.0, 0]]),
        score=np.array([0.8]),
        class_id=np.array([CLASSES.index("car")]),
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames of one camera, LiDAR and radar with truth."""
    path = tmp_path_factory.mktemp("view") / "bag"
    matrix = np.array([[300.0, 0, 200], [0, 300, 100], [0, 0, 1]])
    model = CameraModel(matrix, np.zeros(5), "plumb_bob", 400, 200)
    jpeg = cv2.imencode(".jpg", np.full((200, 400, 3), 90, np.uint8))[1].tobytes()
    places = {"front": BODY_FROM_OPTICAL, "top": from_rpy_deg((0, 0, 0), (0, 0, 2.0)), "nose": np.eye(4)}
    with BagWriter(path) as writer:
        edges = tuple(StampedTransform(START, "base_link", n, p, static=True) for n, p in places.items())
        writer.write("/tf_static", encode_transforms(edges, message_type), START)
        for stamp in range(START, START + 300 * MS, 100 * MS):
            writer.write("/front/info", encode_camera_info(model, stamp, "front", message_type), stamp)
            writer.write("/front/image", encode_compressed_image(jpeg, stamp, "front", message_type), stamp)
            writer.write("/top/points", encode_lidar(lidar(stamp), message_type), stamp)
            writer.write("/nose/points", encode_radar_cloud(radar(stamp), message_type), stamp)
            write_truth(writer, TruthFrame(stamp, "base_link", car(), {}), stamp)
    return path


def lidar(stamp: int) -> LidarSweep:
    xyz = np.array([[18.0, y, -1.0] for y in np.linspace(-1, 1, 20)], np.float32)
    return LidarSweep(
        stamp, "top", xyz, np.zeros(20, np.float32), np.zeros(20, np.int32), np.zeros(20, np.int16)
    )


def radar(stamp: int) -> RadarScan:
    xyz = np.array([[18.0, 0, 1], [30, 5, 1]], np.float32)
    return RadarScan(stamp, "nose", xyz, np.array([3.0, 0], np.float32), np.zeros(2, np.float32), "rcs", True)


@pytest.fixture
def vehicle(tmp_path: Path) -> Path:
    (tmp_path / "car.yaml").write_text(VEHICLE)
    return tmp_path / "car.yaml"


def test_a_frame_shows_all_that_was_there_in_base_link(recording: Path) -> None:
    import yaml

    seen = list(sights(recording, VehicleConfig.model_validate(yaml.safe_load(VEHICLE))))
    assert [sight.stamp_ns - START for sight in seen] == [0, 100 * MS, 200 * MS]
    last = seen[-1]
    np.testing.assert_allclose(last.points_base[:, 2], 1.0, atol=1e-5)
    assert last.radar_base.shape == (2, 4) and last.truth is not None and len(last.truth) == 1
    assert set(last.cameras) == {"front"}


def test_truth_further_than_50_ms_is_not_shown() -> None:
    assert nearest({}, 0) is None
    assert nearest({100 * MS: car()}, 49 * MS) is None
    assert nearest({100 * MS: car()}, 50 * MS) is not None


@pytest.mark.parametrize(
    ("lidar", "radar", "shown"), [((0, 2), (0, 0), 1), ((0, 0), (3, 1), 2), ((np.nan, 1), (0, 0), 2)]
)
def test_truth_that_no_sensor_met_is_not_shown(
    lidar: tuple[float, float], radar: tuple[float, float], shown: int
) -> None:
    two = car().select(np.array([0, 0]))
    extra = {"num_lidar_points": np.float32(lidar), "num_radar_points": np.float32(radar)}
    assert len(touched_truth(TruthFrame(START, "base_link", two, extra))) == shown
    assert len(touched_truth(TruthFrame(START, "base_link", two, {}))) == 2


def test_view_draws_a_sequence_from_above_and_for_each_camera(
    recording: Path, vehicle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [ResultFrame(START + k * 100 * MS, "CLR", {}, car()) for k in range(3)]
    write_detections(tmp_path / "d.json", DetectionsFile("base_link", frames))
    arguments = [
        "--bag",
        str(recording),
        "--vehicle",
        str(vehicle),
        "--out",
        str(tmp_path / "out"),
        "--quiet",
    ]
    assert main(["view", str(tmp_path / "d.json"), *arguments]) == 0
    assert "birds_eye" in capsys.readouterr().out
    for folder in ("birds_eye", "overlay_front"):
        names = sorted(path.name for path in (tmp_path / "out" / folder).iterdir())
        assert names == ["000000.png", "000001.png", "000002.png"]
    overlay = cv2.imread(str(tmp_path / "out" / "overlay_front" / "000002.png"))
    assert overlay.shape == (480, 960, 3) and (np.abs(overlay.astype(int) - 90).max(axis=2) > 60).any()


def test_view_of_a_recording_finds_its_sensors_alone(recording: Path, tmp_path: Path) -> None:
    arguments = ["view", str(recording), "--out", str(tmp_path / "out"), "--limit", "1", "--quiet"]
    assert main(arguments) == 0
    assert len(list((tmp_path / "out" / "birds_eye").iterdir())) == 1


def test_view_of_results_alone_draws_boxes(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", DetectionsFile("base_link", [ResultFrame(START, "L", {}, car())]))
    assert main(["view", str(tmp_path / "d.json"), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["birds_eye"]


@pytest.mark.parametrize("extra", [["--every", "0"], ["--bag", "nowhere"]])
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str]
) -> None:
    write_detections(tmp_path / "d.json", DetectionsFile("base_link", []))
    assert main(["view", str(tmp_path / "d.json"), "--out", str(tmp_path / "out"), "--quiet", *extra]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mm-fusion view: ") and "Traceback" not in error
