"""Reasons with known answers, whole explanations of an untrained model, and what is drawn of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mm_fusion.cli.main import main
from mm_fusion.config import dump_config, load_vehicle
from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Calibration, Frame
from mm_fusion.measurements import LidarSweep
from mm_fusion.network.model import FusionModel
from mm_fusion.runtime.torch_explain import EncodedFrame
from mm_fusion.viewing.explain import (
    Explainer,
    Explanation,
    Worths,
    raw_rows,
    removal_of,
    score_near,
    shapley_of,
)
from mm_fusion.viewing.explain_picture import explanation_picture, summary_picture
from mm_fusion.viewing.explain_ranks import agreement, agreements, mean_by_sensor
from mm_fusion.viewing.recording import Sight
from test.network.scene import random_batch, small_config

SAMPLE = Path(__file__).resolve().parents[2] / "rosbags" / "sample"


def worths_of(score: Callable[[bool, bool, bool], float]) -> Worths:
    return {kept: np.array([score(*kept)]) for kept in product((True, False), repeat=3)}


def explanation(removed: list[list[float]], **more: list[list[float]]) -> Explanation:
    """An explanation of cars whose sensors are all present; what is not given is zero."""
    count = len(removed)
    found = make_detections(count, size=np.ones((count, 3)), score=np.full(count, 0.5))
    arrays = {name: np.zeros((count, 3), np.float32) for name in ("stated", "gate", "shapley")}
    arrays |= {name: np.array(rows, np.float32).reshape(-1, 3) for name, rows in more.items()}
    lost = np.array(removed, np.float32).reshape(-1, 3)
    maps = np.full((3, 8, 8), 1 / 3, np.float32)
    present = np.ones((count, 3), bool)
    return Explanation(
        found, present, arrays["stated"], arrays["gate"], lost, arrays["shapley"], maps, np.ones_like(maps)
    )


def test_sensors_that_add_are_worth_what_they_add() -> None:
    worths = worths_of(lambda camera, lidar, radar: 0.1 * camera + 0.5 * lidar - 0.2 * radar)
    np.testing.assert_allclose(shapley_of(worths), [[0.1, 0.5, -0.2]], atol=1e-6)
    np.testing.assert_allclose(removal_of(worths), [[0.1, 0.5, -0.2]], atol=1e-6)


def test_either_of_two_is_enough_removal_is_blind_and_shapley_is_not() -> None:
    worths = worths_of(lambda camera, lidar, radar: 0.8 * (camera or lidar))
    np.testing.assert_allclose(shapley_of(worths), [[0.4, 0.4, 0.0]], atol=1e-6)
    np.testing.assert_allclose(removal_of(worths), [[0.0, 0.0, 0.0]], atol=1e-6)


def raw(*rows: tuple[float, float, int, float]) -> dict[str, np.ndarray]:
    """Candidates as x, y, class, score."""
    box = np.zeros((1, len(rows), 8), np.float32)
    box[0, :, :2] = np.array([row[:2] for row in rows]).reshape(-1, 2)
    return {
        "box": box,
        "class_index": np.array([[row[2] for row in rows]]),
        "score": np.array([[row[3] for row in rows]], np.float32),
        "weights": np.ones((1, len(rows), 3), np.float32),
    }


def test_the_same_object_is_near_and_of_the_class() -> None:
    whole = raw((5, 0, 0, 0.9), (20, 0, 1, 0.8))
    other = raw((5.5, 0, 0, 0.3), (5.5, 1, 0, 0.4), (5, 0, 1, 0.9), (23, 0, 1, 0.7))
    np.testing.assert_allclose(score_near(other, whole, np.array([0, 1])), [0.4, 0.0])
    assert score_near(other, whole, np.zeros(0, np.int64)).shape == (0,)
    close = raw((5, 0, 0, 0.9), (6.5, 0, 0, 0.2))
    np.testing.assert_allclose(score_near(close, close, np.array([1, 0])), [0.2, 0.9])
    found = make_detections(2, center=np.array([[20, 0, 0], [5, 0, 0]], np.float32))
    assert raw_rows(found, whole).tolist() == [1, 0]
    assert raw_rows(empty_detections(), whole).tolist() == []


def test_nothing_to_rank_is_not_a_number() -> None:
    for frames in ([], [explanation([])], [explanation([[0.0, 0.0, 0.0]])]):
        found = agreement(frames, "stated")
        assert found.detections == 0 and np.isnan(found.spearman) and found.interval is None


def test_the_same_order_is_one_the_opposite_minus_one_and_even_says_nothing() -> None:
    lost = [[0.1, 0.5, 0.3]]
    given = {"stated": [[0.0, 0.3, 0.1]], "gate": [[0.5, 0.1, 0.4]], "shapley": [[0.2, 0.2, 0.2]]}
    found = agreements([explanation(lost, **given)] * 4)
    assert [round(each.spearman, 6) for each in found.values()] == [1.0, -1.0, 0.0]
    assert (found["stated"].first, found["gate"].first) == (1.0, 0.0)
    assert found["stated"].interval == (1.0, 1.0)
    assert found["stated"].detections == 4


def test_absent_sensors_are_not_ranked() -> None:
    one = explanation([[0.1, 0.5, 0.9]], stated=[[0.1, 0.5, -0.9]])
    two = replace(one, present=np.array([[True, True, False]]))
    assert agreement([two], "stated").spearman == pytest.approx(1.0)
    assert np.isnan(mean_by_sensor([two])["stated"]["radar"])
    assert mean_by_sensor([two])["removed"]["lidar"] == pytest.approx(0.5)


def test_what_is_taken_away_leaves_no_trace() -> None:
    torch.manual_seed(0)
    model = FusionModel(small_config()).eval()
    batch = {name: array.numpy() for name, array in random_batch(small_config()).items()}
    batch |= {name: batch[name][0] for name in ("images", "camera_present", "available")}
    encoded = EncodedFrame(model, batch)  # type: ignore[arg-type]
    whole, without = encoded.outputs(), encoded.outputs((True, False, True))
    assert encoded.weight_map().shape == (3, *small_config().grid.shape)
    assert not np.allclose(whole["score"], without["score"])
    broken = dict(batch, lidar=batch["lidar"] * 7 + 1)
    np.testing.assert_array_equal(
        EncodedFrame(model, broken).outputs((True, False, True))["score"],  # type: ignore[arg-type]
        without["score"],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `export` writes beside the graphs, which are not needed here."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model")
    weights = FusionModel(small_config()).state_dict()
    save_file({name: each.contiguous() for name, each in weights.items()}, path / "weights.safetensors")
    (path / "model.yaml").write_text(dump_config(small_config()))
    return path


def test_only_the_sensor_that_is_there_has_a_part(folder: Path) -> None:
    vehicle = load_vehicle("minimal")
    kinds = {name: sensor.kind for name, sensor in vehicle.sensors.items()}
    xyz = np.random.default_rng(0).normal((6.0, 0.0, 0.8), 0.5, (300, 3)).astype(np.float32)
    sweep = LidarSweep(10**9, "lidar", xyz, np.zeros(300, np.float32), np.zeros(300, np.int32), None)
    frame = Frame(
        10**9,
        {"lidar": sweep},
        kinds,
        {name: name == "lidar" for name in kinds},
        {"lidar": 0},
        Calibration({"lidar": np.eye(4)}),
    )
    found = Explainer(vehicle, folder).explain(frame)
    assert len(found.detections) > 0
    assert bool((found.present == [False, True, False]).all())
    np.testing.assert_allclose(found.removed[:, 1], found.detections.score, atol=1e-6)
    assert bool((found.gate == [0, 1, 0]).all())
    np.testing.assert_allclose(found.shapley.sum(1), found.detections.score, atol=1e-5)
    np.testing.assert_allclose(found.shapley[:, (0, 2)], 0.0, atol=1e-3)


@pytest.mark.parametrize("removed", [[], [[0.1, 0.5, 0.3], [0.2, -0.1, 0.0]]])
def test_pictures(removed: list[list[float]]) -> None:
    explained = explanation(removed)
    grid = small_config().grid
    assert explanation_picture(Sight(0), explained, grid, "frame").shape == (1000, 1600, 3)
    assert summary_picture([explained], agreements([explained])).shape == (700, 1500, 3)


@pytest.mark.slow
def test_the_command_draws_and_sums_up(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["view", str(SAMPLE), "--vehicle", "nuscenes_like", "--explain", "--model", str(folder)]
    words += ["--out", str(tmp_path), "--limit", "2", "--every", "20", "--min-score", "0.02", "--quiet"]
    assert main(words) == 0
    assert "stated contribution" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "explain").iterdir()) == ["000000.png", "000001.png"]
    tree = json.loads((tmp_path / "explain.json").read_text())
    assert [frame["frame"] for frame in tree["frames"]] == [0, 20]
    assert set(tree["agreement_with_removal"]) == {"stated", "gate", "shapley"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--explain"], "expected a learned model"),
        (["--explain", "--model", "geometric"], "expected a learned model"),
        (["--explain", "--model", "no_such_model"], "no such model"),
        (["--model", "tiny"], "expected --explain"),
    ],
)
def test_what_cannot_be_explained_is_said(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--vehicle", "nuscenes_like", "--out", str(tmp_path / "out")]
    assert main(["view", str(SAMPLE), *more, *words]) == 2
    assert said in capsys.readouterr().err


def test_models_that_join_detections_are_refused(folder: Path, tmp_path: Path) -> None:
    late = tmp_path / "late"
    late.mkdir()
    (late / "model.yaml").write_text((folder / "model.yaml").read_text() + "joining: late\n")
    with pytest.raises(ConfigurationError, match="no weights to draw"):
        Explainer(load_vehicle("minimal"), late)
