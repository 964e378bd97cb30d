"""The comparison on a small data set: features are exact, jobs resume, rows differ as they should."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mm_fusion.detectors.learned import detections_of
from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.network.fusion.choice import OPERATORS
from mm_fusion.network.model import FusionModel
from mm_fusion.training.compare import _claimed, best_rows
from mm_fusion.training.compare_cache import FeatureCache, batches, has_stems, stacked, write_about
from mm_fusion.training.compare_jobs import JOININGS, SOURCES, WAYS, chosen_rows, job_of
from mm_fusion.training.compare_model import ComparedNetwork
from mm_fusion.training.compare_report import report_text, report_tree, write_report
from mm_fusion.training.compare_score import CONDITIONS, costs_of, objects_of
from mm_fusion.training.compare_train import Recipe, dropped, train_on_cache
from test.network.scene import random_batch, small_config
from test.training.test_module import scene


def model() -> FusionModel:
    torch.manual_seed(0)
    return FusionModel(small_config()).eval()


class _Batches:
    """A cache whose samples are ready batches, so that no frame has to be simulated."""

    def __call__(self, samples: list[dict]) -> dict:
        return samples[0]


def filled(folder: Path, exact: bool, count: int = 3, stems: bool = False) -> tuple[FeatureCache, list[str]]:
    encoders = model()
    cache = FeatureCache(folder, encoders, exact, stems)
    cache._collate = _Batches()  # type: ignore[assignment]
    for number in range(count):
        batch = scene(encoders.config, frames=1)
        batch["inputs"] = random_batch(encoders.config, 1, seed=number)
        cache.add(str(number), batch)  # type: ignore[arg-type]
    return cache, [str(number) for number in range(count)]


def test_cached_features_give_what_the_whole_model_gives(tmp_path: Path) -> None:
    cache, names = filled(tmp_path, exact=True)
    encoders = model()
    network = ComparedNetwork(encoders.config, encoders).eval()
    state = {k: v for k, v in encoders.fusion.state_dict().items() if not k.startswith(("lift.", "refine"))}
    network.network.load_state_dict(state)
    encoders.fusion.refinement = None
    batch = random_batch(encoders.config, 1, seed=1)
    with torch.no_grad():
        outputs = {name: each.numpy() for name, each in encoders(batch).items()}
    expected = detections_of(outputs, {"coverage": batch["coverage"].numpy()}, network.config)
    found = objects_of(network, cache.read(names[1]))
    assert len(found) == len(expected)
    # other layouts of the same weights round otherwise
    np.testing.assert_allclose(found.center, expected.center, atol=1e-5)
    np.testing.assert_allclose(found.score, expected.score, atol=1e-6)


@pytest.mark.parametrize("lost", ["lidar", "camera", "radar"])
def test_a_lost_sensor_is_a_mask(tmp_path: Path, lost: str) -> None:
    cache, names = filled(tmp_path, exact=True, count=1)
    network = ComparedNetwork(small_config(), model()).eval()
    arrays = cache.read(names[0])
    number = ("camera", "lidar", "radar").index(lost)
    spoilt = {**arrays, "features": arrays["features"].copy()}
    spoilt["features"][number] = np.nan
    np.testing.assert_array_equal(
        objects_of(network, arrays, lost).score, objects_of(network, spoilt, lost).score
    )


@pytest.mark.parametrize(
    "row", ["soft_gate", "early", "late", "hybrid", "adapters_balanced", "dropout_rising"]
)
def test_every_kind_of_row_trains_and_finds(tmp_path: Path, row: str) -> None:
    cache, names = filled(tmp_path / "train", exact=False, stems=row == "early")
    scored, known = filled(tmp_path / "all", exact=True, stems=row == "early")
    job = job_of(row, small_config(), Recipe(steps=3, batch=2), "features")
    network = ComparedNetwork(job.config, model(), job.adapters)
    before = {name: each.clone() for name, each in network.state_dict().items()}
    trained = train_on_cache(network, cache, names, job.recipe)
    assert trained.steps == 3 and np.isfinite(trained.loss)
    after = network.state_dict()
    bodies = [name for name in after if "bodies" in name]
    assert all(torch.equal(before[name], after[name]) for name in bodies)
    assert any(not torch.equal(before[name], after[name]) for name in after if "paint." in name) == (
        row == "early"
    )
    objects_of(network, scored.read(known[0]))


def test_the_same_recipe_gives_the_same_weights(tmp_path: Path) -> None:
    cache, names = filled(tmp_path, exact=False)
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        network = ComparedNetwork(small_config(fusion="vae"), model())
        train_on_cache(network, cache, names, Recipe(steps=2, batch=2))
        states.append(network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_batches_come_in_an_order_of_the_seed(tmp_path: Path) -> None:
    cache, names = filled(tmp_path, exact=False)
    one, same, other = (next(batches(cache, names, 2, seed))[0]["features"] for seed in (1, 1, 4))
    assert one.shape == (3, 2, 32, 16, 16)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    inputs, targets = stacked([cache.read(names[0])])
    assert inputs["features"].dtype == torch.float32
    assert float(targets["heatmap"].max()) == 1.0


@pytest.mark.parametrize("schedule", ["even", "none", "heavy", "rising", "alone"])
def test_drops_leave_each_frame_something(schedule: str) -> None:
    inputs = {"coverage": torch.ones(16, 3, 8, 8)}
    inputs["coverage"][3, 1:] = 0
    left = dropped(inputs, schedule, 0.5, torch.Generator().manual_seed(0))["coverage"]  # type: ignore[arg-type]
    assert bool((left.flatten(1).amax(1) > 0).all())
    sensors = (left.flatten(2).amax(2) > 0).sum(1)
    if schedule == "none":
        assert torch.equal(left, inputs["coverage"])
    if schedule == "alone":
        assert int(sensors.max()) == 1


def test_features_of_other_encoders_are_refused(tmp_path: Path) -> None:
    write_about(tmp_path, {"encoders": "a", "data": "b"})
    assert not has_stems(tmp_path)
    write_about(tmp_path, {"encoders": "a", "data": "b"})
    with pytest.raises(FusionError, match="encoders"):
        write_about(tmp_path, {"encoders": "c", "data": "b"})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, model(), exact=True, stems=False)
    cache.path("x").write_bytes(b"half")
    with pytest.raises(FusionError, match=r"x\.npz"):
        cache.read("x")


def test_a_job_is_claimed_once_and_taken_over_from_the_dead(tmp_path: Path) -> None:
    path = tmp_path / "job.claim"
    with _claimed(path) as mine, _claimed(path) as again:
        assert mine and not again
    assert not path.exists()
    path.write_text("999999999")
    with _claimed(path) as mine:
        assert mine
        assert path.read_text() == str(os.getpid())


def test_rows_are_chosen_by_name() -> None:
    assert chosen_rows("all") == [*OPERATORS, *JOININGS, *WAYS]
    assert chosen_rows("vae, late") == ["vae", "late"]
    assert set(SOURCES) == set(chosen_rows("all"))
    with pytest.raises(ConfigurationError, match="reinforce_gate"):
        chosen_rows("magic")


def test_jobs_differ_by_what_they_depend_on() -> None:
    recipe = Recipe(steps=3)
    keys = {job_of(row, small_config(), recipe, "f").key() for row in chosen_rows("all")}
    assert len(keys) == len(chosen_rows("all"))
    assert job_of("vae", small_config(), recipe, "g").key() not in keys


def result(row: str, value: float, seed: int = 1) -> dict:
    condition = {"map": value, "mate": 0.5, "mase": 0.2, "maoe": 0.3, "mave": None, "truths": 4}
    draws = {"car": [value - 1, value, value + 1]}
    return {
        "row": row, "seed": seed, "steps": 9, "seconds": 60.0, "loss": 1.0, "parameters": 10, "gflop": 0.1,
        "onnxruntime_ms": 2.0, "conditions": {c: {**condition, "draws": draws} for c in CONDITIONS},
    }  # fmt: skip


def test_the_report_ranks_pairs_and_spreads(tmp_path: Path) -> None:
    results = [result("soft_gate", 20.0), result("vae", 30.0), result("vae", 34.0, 2), result("late", 10.0)]
    tree = report_tree(results, {"default": "soft_gate", "config": "small"})
    assert list(tree["rows"]) == ["vae", "soft_gate", "late"]
    vae = tree["rows"]["vae"]
    assert vae["overall"] == 32.0 and vae["overall_spread"] == [30.0, 34.0]
    paired = vae["against_default"]["all"]
    assert paired["difference"] == 10.0
    np.testing.assert_allclose(paired["interval"], [10.0, 10.0])
    write_report(tmp_path, tree)
    assert "`vae`" in (tmp_path / "comparison.md").read_text()
    assert (tmp_path / "cost.png").stat().st_size > 1000
    assert best_rows({r["row"]: r for r in results}, "soft_gate") == ["vae", "soft_gate"]


def test_an_empty_report_is_a_table_without_rows(tmp_path: Path) -> None:
    tree = report_tree([], {"default": "soft_gate", "config": "small"})
    write_report(tmp_path, tree)
    assert "overall" in report_text(tree)


def test_costs_are_those_of_the_operator_alone() -> None:
    costs = costs_of(ComparedNetwork(small_config(fusion="concat"), model()).eval())
    assert costs["parameters"] == 3 * 32 * 32 + 3 * 32 + 32
    assert costs["gflop"] == pytest.approx(2 * 16 * 16 * (3 * 32 * 32 + 3 * 32) / 1e9)
    assert costs["onnxruntime_ms"] > 0
