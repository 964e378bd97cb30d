"""What is decided on raw outputs, and whole models of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mm_fusion.config import load_vehicle
from mm_fusion.detections import CLASSES
from mm_fusion.detectors.choice import make_detector
from mm_fusion.detectors.learned import LearnedDetector, detections_of, shares, turned
from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Calibration, Frame
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.measurements import LidarSweep
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
    found = detections_of(outputs, inputs_of(), small_config())
    assert found.score.tolist() == pytest.approx([0.9, 0.5])
    assert [CLASSES[each] for each in found.class_id] == ["car", "car"]
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
