"""A small recording scored from files: what is read, paired, nested and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.truth import TruthFrame, write_truth
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.cli.main import main
from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.errors import BagError, ResultError
from mm_fusion.evaluation.detections_file import (
    DetectionsFile,
    ResultFrame,
    read_detections,
    write_detections,
)
from mm_fusion.evaluation.report import score_report
from mm_fusion.evaluation.score import evaluate
from mm_fusion.evaluation.truth import read_truth_scenes
from mm_fusion.geometry.transforms import inverse
from mm_fusion.measurements import CameraModel, EgoMotion, StampedTransform
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_detections_cloud,
    encode_mode,
    encode_odometry,
    encode_transforms,
)

S = 1_000_000_000
START = 1_600_000_000 * S
CAMERA_FROM_BASE = np.array([[0, -1.0, 0, 0], [0, 0, -1, 1.2], [1, 0, 0, 0], [0, 0, 0, 1]])


def cars(*x: float, score: float = 1.0) -> Detections:
    n = len(x)
    return make_detections(
        n,
        center=np.column_stack([x, np.zeros(n), np.full(n, 0.8)]) if n else np.zeros((0, 3)),
        size=np.tile([4.0, 2, 1.6], (n, 1)),
        velocity=np.zeros((n, 2)),
        score=np.full(n, score),
        class_id=np.full(n, CLASSES.index("car")),
    )


def stamps() -> list[int]:
    """Three runs of two frames, 20 s apart."""
    return [START + run * 20 * S + step * S for run in range(3) for step in range(2)]


@pytest.fixture(scope="module")
def truth_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cars in each frame, one of them behind the camera; the calibration changes with the second run."""
    path = tmp_path_factory.mktemp("truth") / "bag"
    matrix = np.array([[800.0, 0, 480], [0, 800, 300], [0, 0, 1]])
    model = CameraModel(matrix, np.zeros(5), "plumb_bob", 960, 600)
    with BagWriter(path) as writer:
        for number, stamp in enumerate(stamps()):
            if number in (0, 2):
                place = inverse(CAMERA_FROM_BASE)
                place[0, 3] = number
                edge = StampedTransform(stamp, "base_link", "camera_front", place, static=True)
                other = StampedTransform(stamp, "base_link", "radar_6455", np.eye(4), static=True)
                writer.write("/tf_static", encode_transforms((edge, other), message_type), stamp)
            writer.write(
                "/camera/camera_info", encode_camera_info(model, stamp, "camera_front", message_type), stamp
            )
            ego = EgoMotion(stamp, np.array([10.0, 0, 0]), np.zeros(3))
            writer.write("/odom", encode_odometry(ego, message_type, "odom", "base_link"), stamp)
            extra = {"occlusion": np.array([0.0, 0.0]), "num_lidar_points": np.array([5.0, 5.0])}
            write_truth(writer, TruthFrame(stamp, "base_link", cars(20, -20), extra), stamp)
    return path


def results(
    path: Path, found: Detections | None = None, shift_ns: int = 0, frame_id: str = "base_link"
) -> Path:
    """A detections.json with the same objects at every stamp but the last."""
    chosen = cars(20, 50, score=0.9) if found is None else found
    frames = [ResultFrame(stamp + shift_ns, "C", {"front": True}, chosen) for stamp in stamps()[:-1]]
    write_detections(path, DetectionsFile(frame_id, frames))
    return path


def test_truth_is_read_with_the_calibration_and_motion_of_its_own_time(truth_bag: Path) -> None:
    truth = read_truth_scenes(truth_bag)
    assert [scene.stamp_ns for scene in truth.scenes] == stamps()
    assert {"camera_front", "radar_6455", "base_link"} <= truth.frames
    first, third = truth.scenes[0].cameras["camera_front"], truth.scenes[2].cameras["camera_front"]
    assert (inverse(first.camera_from_base)[0, 3], inverse(third.camera_from_base)[0, 3]) == (0.0, 2.0)
    assert truth.scenes[0].ego is not None and truth.scenes[0].ego.linear_velocity[0] == 10.0
    assert truth.scenes[0].extra["occlusion"].tolist() == [0, 0]


def test_the_score_file_has_its_documented_keys_and_counts(truth_bag: Path, tmp_path: Path) -> None:
    tree = evaluate(results(tmp_path / "d.json"), truth_bag, draws=100)
    assert tree["frames"] == {"truth": 6, "missed": 1, "outputs": 5, "outputs_without_truth": 0, "runs": 3}
    assert tree["region"]["name"] == "astyx" and "inside the image" in tree["region"]["words"]
    assert tree["objects"] == {"car": {"truth": 6, "detections": 10}}
    for part in ("kitti", "kitti_r11", "kitti_occlusion"):
        assert set(tree[part]["car"]) == {"3d", "bev"}
        assert set(tree[part]["car"]["3d"]) == {"0.3", "0.5", "0.7"}
        assert set(tree[part]["car"]["3d"]["0.5"]) == {"easy", "moderate", "hard"}
    assert tree["recall_30m"]["car"] == pytest.approx(100 * 5 / 6)
    low, high = tree["intervals"]["recall_30m"]["car"]
    assert 49 < low < 70 and high == 100, "the run with the missed frame is drawn often or never"
    assert tree["nuscenes"]["car"]["ap"]["0.5"] < 100 and tree["nuscenes"]["car"]["ate"] == pytest.approx(
        0, abs=1e-6
    )


def test_two_scores_are_the_same_bytes(truth_bag: Path, tmp_path: Path) -> None:
    results(tmp_path / "d.json")
    for name in ("a.json", "b.json"):
        arguments = ["evaluate", str(tmp_path / "d.json"), "--truth", str(truth_bag), "--draws", "20"]
        assert main([*arguments, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_truth_moves_to_the_outputs_stamp_against_the_cars_own_motion(
    truth_bag: Path, tmp_path: Path
) -> None:
    """The car drives 10 m/s: 40 ms later what stands is 0.4 m nearer."""
    late = results(tmp_path / "d.json", cars(19.6, score=0.9), shift_ns=S // 25)
    assert evaluate(late, truth_bag, draws=1)["nuscenes"]["car"]["ate"] == pytest.approx(0, abs=1e-5)


def test_no_detections_at_all_score_zero(truth_bag: Path, tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", DetectionsFile("base_link", []))
    tree = evaluate(tmp_path / "d.json", truth_bag, draws=1)
    assert tree["frames"]["missed"] == 6
    assert tree["kitti"]["car"]["3d"]["0.5"]["moderate"] == 0 and tree["recall_30m"]["car"] == 0


def test_against_a_second_file_the_difference_is_paired(truth_bag: Path, tmp_path: Path) -> None:
    ours = results(tmp_path / "ours.json")
    theirs = results(tmp_path / "theirs.json", empty_detections())
    tree = evaluate(ours, truth_bag, theirs, draws=50)
    entry = tree["against"]["recall_30m"]["car"]
    assert entry["difference"] == pytest.approx(100 * 5 / 6) and entry["share_above_zero"] == 1.0
    assert "difference to the other file" in score_report(tree)


def test_the_report_names_region_classes_and_what_is_not_nds(truth_bag: Path, tmp_path: Path) -> None:
    text = score_report(evaluate(results(tmp_path / "d.json"), truth_bag, draws=1))
    for said in (
        "region astyx",
        "6 truth frames in 3 runs, 1 without output",
        "car",
        "not NDS",
        "recall in 30 m",
    ):
        assert said in text


def test_a_recorded_topic_is_read_like_a_file(truth_bag: Path, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "out") as writer:
        for number, stamp in enumerate(stamps()[:-1]):
            if number in (0, 2):
                writer.write("/fusion/mode", encode_mode("CL" if number else "C", message_type), stamp)
            found = replace(cars(20, 50, score=0.9), track_id=np.array([7, 8]))
            message = encode_detections_cloud(found, stamp, "base_link", message_type)
            writer.write("/fusion/detections_cloud", message, stamp + 1)
    read = read_detections(tmp_path / "out")
    assert [frame.mode for frame in read.frames] == ["C", "C", "CL", "CL", "CL"]
    assert [frame.stamp_ns for frame in read.frames] == stamps()[:-1]
    assert read.frames[0].detections.track_id is not None
    np.testing.assert_allclose(read.frames[0].detections.center[:, 0], [20, 50])
    from_json = evaluate(results(tmp_path / "d.json"), truth_bag, draws=1)
    recorded = evaluate(tmp_path / "out", truth_bag, draws=1)
    assert recorded["kitti"] == from_json["kitti"]


def test_a_bag_without_the_topic_is_refused(truth_bag: Path) -> None:
    with pytest.raises(ResultError, match="detections_cloud"):
        read_detections(truth_bag)


def test_what_does_not_fit_is_named(truth_bag: Path, tmp_path: Path) -> None:
    other_time = results(tmp_path / "late.json", shift_ns=3 * S)
    with pytest.raises(ResultError, match="of another one"):
        evaluate(other_time, truth_bag)
    with pytest.raises(ResultError, match="boxes are in 'map'"):
        evaluate(results(tmp_path / "map.json", frame_id="map"), truth_bag)
    frame = ResultFrame(START, "C", {}, cars(20))
    write_detections(tmp_path / "twice.json", DetectionsFile("base_link", [frame, frame]))
    with pytest.raises(ResultError, match="one stamp"):
        evaluate(tmp_path / "twice.json", truth_bag)
    with pytest.raises(BagError):
        evaluate(results(tmp_path / "d.json"), tmp_path / "nowhere")


def test_a_bag_without_truth_is_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "empty") as writer:
        writer.write("/fusion/mode", encode_mode("C", message_type), START)
    with pytest.raises(ResultError, match="ground_truth_cloud"):
        evaluate(results(tmp_path / "d.json"), tmp_path / "empty")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "{tmp}/none.json", "--truth", "{bag}"], "none.json"),
        (["evaluate", "{tmp}/d.json"], "--truth"),
        (["evaluate", "{tmp}/d.json", "--truth", "{tmp}/nothing"], "nothing"),
        (["evaluate", "{tmp}/d.json", "--truth", "{bag}", "--draws", "0"], "--draws"),
        (["evaluate", "{bag}", "--projection", "--vehicle", "no_such_car"], "no_such_car"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    truth_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    results(tmp_path / "d.json")
    words = [word.format(tmp=tmp_path, bag=truth_bag) for word in arguments]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("mm-fusion evaluate: ") and "Traceback" not in error
