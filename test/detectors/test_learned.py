"""What is decided on raw outputs, and whole models of a folder."""

from __future__ import annotations

import json
import random
import shutil
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from mm_fusion.config import VehicleConfig, load_vehicle, parse_config
from mm_fusion.detections import CLASSES, Detections
from mm_fusion.detectors.choice import make_detector
from mm_fusion.detectors.learned import LearnedDetector, detections_of, forward, shares, turned
from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.measurements import CameraImage, CameraModel, Deferred, LidarSweep, RadarScan
from mm_fusion.network.model import FusionModel
from mm_fusion.training.export import export_model
from test.network.scene import random_batch, small_config


def inputs_of() -> NetworkInputs:
    batch = {name: array.numpy() for name, array in random_batch(small_config()).items()}
    return NetworkInputs(**batch)  # type: ignore[typeddict-item]


def outputs_of(*rows: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """Raw outputs of cars given as x, y, score."""
    count = len(rows)
    box = np.tile(np.array([0, 0, 0.8, 4, 2, 1.5, 0, 1], np.float32), (count, 1))
    box[:, :2] = np.array([row[:2] for row in rows]).reshape(-1, 2)
    single = {
        "score": np.array([row[2] for row in rows], np.float32),
        "class_index": np.zeros(count, np.int64),
        "cell": np.arange(count),
        "box": box,
        "velocity": np.zeros((count, 2), np.float32),
        "variance": np.ones((count, 9), np.float32),
        "moving": np.zeros(count, np.float32),
        "contribution": np.tile(np.array([0.3, -0.1, 0.1], np.float32), (count, 1)),
        "weights": np.full((count, 3), 1 / 3, np.float32),
    }
    return {name: array[None] for name, array in single.items()}


def test_no_candidates_are_no_detections() -> None:
    assert len(detections_of(outputs_of(), inputs_of(), small_config())) == 0


def test_weak_double_unseen_and_broken_candidates_go() -> None:
    outputs = outputs_of((5, 0, 0.9), (5.2, 0, 0.8), (9, 4, 0.001), (9, -4, 0.5), (2, 5, 0.6), (2, -5, 0.7))
    outputs["weights"][0, 4] = 0
    outputs["box"][0, 5, 2] = np.nan
    outputs["velocity"][0, 3, 1] = np.inf
    found = detections_of(outputs, inputs_of(), small_config())
    assert found.score.tolist() == pytest.approx([0.9])
    assert [CLASSES[each] for each in found.class_id] == ["car"]
    assert found.contribution[0].tolist() == pytest.approx([0.75, 0.0, 0.25])


def test_contributions_without_a_positive_part_are_even_over_what_is_present() -> None:
    present = np.array([[True, False, True]])
    assert shares(np.array([[-1.0, 5.0, -0.2]]), present).tolist() == [[0.5, 0.0, 0.5]]


def test_variance_along_the_ray_turns_with_it() -> None:
    found = turned(np.array([4.0, 4.0]), np.array([1.0, 1.0]), np.array([0.0, np.pi / 2]))
    np.testing.assert_allclose(found, [[4, 0, 1], [1, 0, 4]], atol=1e-6)


def test_a_folder_without_a_model_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.yaml"):
        make_detector(str(tmp_path), load_vehicle("minimal"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return export_model(FusionModel(small_config()).eval(), tmp_path_factory.mktemp("model"))


def frame_of(points: int) -> Frame:
    """A frame of the minimal vehicle whose LiDAR saw `points`, or nothing at all with 0."""
    vehicle = load_vehicle("minimal")
    name = next(name for name, sensor in vehicle.sensors.items() if sensor.kind == "lidar")
    kinds = {each: sensor.kind for each, sensor in vehicle.sensors.items()}
    xyz = np.random.default_rng(0).normal((6.0, 0.0, 0.8), 0.5, (points, 3)).astype(np.float32)
    sweep = LidarSweep(10**9, "lidar", xyz, np.zeros(points, np.float32), np.zeros(points, np.int32), None)
    available = {each: each == name and points > 0 for each in kinds}
    measured = {name: sweep} if points else {}
    return Frame(
        10**9, measured, kinds, available, dict.fromkeys(measured, 0), Calibration({name: np.eye(4)})
    )


def test_a_frame_without_sensors_has_no_detections(folder: Path) -> None:
    assert len(make_detector(str(folder), load_vehicle("minimal")).detect(frame_of(0))) == 0


def test_backends_give_the_same_detections_and_only_the_lidar_contributes(folder: Path) -> None:
    vehicle, frame = load_vehicle("minimal"), frame_of(300)
    one, other = (LearnedDetector(vehicle, folder, each).detect(frame) for each in ("onnxruntime", "torch"))
    assert len(one) == len(other)
    np.testing.assert_allclose(np.sort(one.score), np.sort(other.score), atol=1e-4)
    assert bool((one.contribution[:, (0, 2)] == 0).all())
    assert bool((np.diff(one.score) <= 0).all())


VEHICLE = {
    "sensors": {
        "left": {"kind": "camera", "topic": "/left"},
        "lidar": {"kind": "lidar", "topic": "/lidar"},
        "right": {"kind": "camera", "topic": "/right"},
        "radar": {"kind": "radar", "topic": "/radar"},
    },
    "alignment": {"reference": ["lidar"]},
}
MODEL = CameraModel(np.array([[60.0, 0, 64], [0, 60, 32], [0, 0, 1]]), np.zeros(0), "plumb_bob", 128, 64)
STAMP_NS = 10**9


def vehicle() -> VehicleConfig:
    return parse_config(VEHICLE, VehicleConfig, "test")


def items(seed: int, corrupt: str = "") -> dict[str, Deferred]:
    """One message of each sensor of `vehicle`, not decoded yet; the image of camera `corrupt` is broken."""
    rng = np.random.default_rng(seed)
    xyz = rng.normal((6.0, 0.0, 0.8), 1.5, (400, 3)).astype(np.float32)
    sweep = LidarSweep(STAMP_NS, "lidar", xyz, np.full(400, 0.5, np.float32), np.zeros(400, np.int32))
    scan = RadarScan(STAMP_NS, "radar", xyz[:20], np.zeros(20, np.float32), np.zeros(20, np.float32))
    found = {"lidar": sweep, "radar": scan}
    for name in ("left", "right"):
        pixels = rng.integers(0, 255, (64, 128, 3), np.uint8)
        broken = CameraImage(STAMP_NS, name, None, np.frombuffer(b"\xff\xd8\xff", np.uint8), "jpeg")
        found[name] = broken if name == corrupt else CameraImage(STAMP_NS, name, pixels)
    return {name: Deferred(STAMP_NS, name, 0, lambda item=item: item) for name, item in found.items()}


def frame_with(given: dict[str, Deferred]) -> Frame:
    sensors = vehicle().sensors
    ahead, camera = from_rpy_deg((0, 0, 0), (0, 0, 1.0)), from_rpy_deg((-90, 0, -90), (0.5, 0, 1.5))
    places = {name: camera if name in ("left", "right") else ahead for name in sensors}
    models = dict.fromkeys(("left", "right"), MODEL)
    measured = {name: item.get() for name, item in given.items()}
    return Frame(
        STAMP_NS, measured, {n: s.kind for n, s in sensors.items()}, dict.fromkeys(sensors, True),
        dict.fromkeys(sensors, 0), Calibration(places, models),
    )  # fmt: skip


def same(one: Detections, other: Detections) -> bool:
    pairs = zip(one.arrays().values(), other.arrays().values())
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


@pytest.mark.parametrize("corrupt", ["", "left"])
def test_what_is_prepared_when_and_by_whom_changes_no_byte(folder: Path, corrupt: str) -> None:
    plain = LearnedDetector(vehicle(), folder)
    frames = [items(seed, corrupt) for seed in range(4)]
    expected = [plain.detect(frame_with(given)) for given in frames]
    assert any(len(found) for found in expected)
    early = LearnedDetector(vehicle(), folder)
    order = [(name, item) for given in frames for name, item in given.items()]
    random.Random(3).shuffle(order)
    with ThreadPoolExecutor(3) as pool:
        for name, item in order:
            pool.submit(early.prepare_image, name, item, MODEL)
            pool.submit(early.prepare, name, item)
        found = [early.detect(frame_with(given)) for given in frames]
    assert all(same(one, other) for one, other in zip(expected, found))


def test_a_host_sees_how_long_stages_take(folder: Path) -> None:
    seen: list[str] = []

    @contextmanager
    def measure(stage: str) -> Iterator[None]:
        yield
        seen.append(stage)

    detector = LearnedDetector(vehicle(), folder)
    detector.measure = measure
    detector.detect(frame_with(items(0)))
    rasters = ["rasters", "raster_encoders"] * 2
    assert seen == [*rasters, *["decode", "camera_encoder"] * 2, "lift", "fusion", "objects"]


def test_a_detector_that_nobody_uses_any_more_is_gone_at_once(folder: Path) -> None:
    detector = LearnedDetector(vehicle(), folder)
    gone = weakref.ref(detector._graphs)
    detector.detect(frame_with(items(0)))
    del detector
    assert gone() is None


class Broken:
    """A graph whose device is gone."""

    input_names = ()
    model_hash = ""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise RuntimeError("the device is gone")


def test_a_backend_that_fails_in_the_middle_is_followed_by_the_next(folder: Path) -> None:
    detector = LearnedDetector(vehicle(), folder, "onnxruntime")
    expected = detector.detect(frame_with(items(0)))
    assert (detector.backend, detector.backend_reason) == ("onnxruntime", "")
    detector._graphs._state = ("onnxruntime", dict.fromkeys(("camera", "lidar", "radar", "fusion"), Broken()))
    found = detector.detect(frame_with(items(0)))
    np.testing.assert_allclose(np.sort(found.score), np.sort(expected.score), atol=1e-3)
    assert detector.backend != "onnxruntime" and "the device is gone" in detector.backend_reason


def test_a_folder_that_carries_curves_gives_calibrated_scores(folder: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked"
    shutil.copytree(folder, marked)
    knots = {"score": [0.0, 1.0], "probability": [0.0, 0.5]}
    (marked / "calibration.json").write_text(json.dumps({"version": 1, "curves": {"L": {"all": knots}}}))
    vehicle = load_vehicle("minimal")
    given, found = (
        LearnedDetector(vehicle, each, "onnxruntime").detect(frame_of(400)) for each in (folder, marked)
    )
    assert len(given) == len(found) > 0 and found.score == pytest.approx(given.score / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("velocity", "deviation", "expected"),
    [
        ((-3.0, 0.0), 0.5, -np.pi),  # backwards, and sure of it
        ((-3.0, 0.0), 4.0, 0.0),  # a guess
        ((-0.5, 0.0), 0.1, 0.0),  # parking
        ((3.0, 0.0), 0.1, 0.0),
        ((0.1, 5.0), 0.1, 0.0),  # across: says nothing of the ends
    ],
)
def test_what_drives_heads_where_it_goes(velocity: tuple, deviation: float, expected: float) -> None:
    cov = np.array([[deviation**2, 0.0, deviation**2]])
    yaw = forward(np.zeros(1), np.array([velocity]), cov)[0]
    assert np.isclose(np.cos(yaw - expected), 1.0)


def test_headings_turn_with_the_scene() -> None:
    cov = turned(np.array([0.04]), np.array([9.0]), np.array([0.6]))  # sure along its ray alone
    yaw = forward(np.array([0.6 + np.pi]), 5.0 * np.array([[np.cos(0.6), np.sin(0.6)]]), cov)
    assert np.isclose(np.cos(yaw[0] - 0.6), 1.0)
