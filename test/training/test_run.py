"""A whole run of a few steps: checkpoints, going on, and what is refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import load_vehicle
from mm_fusion.detections import CLASSES, make_detections
from mm_fusion.errors import FusionError
from mm_fusion.frame import Calibration, Frame
from mm_fusion.measurements import LidarSweep
from mm_fusion.network_config import load_learned
from mm_fusion.training import loading
from mm_fusion.training.checkpoint import load_checkpoint
from mm_fusion.training.labelled import EVERYWHERE
from mm_fusion.training.model_of import model_of
from mm_fusion.training.run import launched_with, start_of, train
from mm_fusion.training.settings import TrainingConfig
from test.network.scene import small_config


class OneCar:
    """Frames of one LiDAR that sees one car."""

    vehicle = load_vehicle("minimal")
    region = EVERYWHERE

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        name = next(name for name, sensor in self.vehicle.sensors.items() if sensor.kind == "lidar")
        xyz = np.random.default_rng(number).normal((6.0, 0.0, 0.8), 0.5, (200, 3)).astype(np.float32)
        sweep = LidarSweep(10**9, "lidar", xyz, np.zeros(200, np.float32), np.zeros(200, np.int32), None)
        kinds = {each: sensor.kind for each, sensor in self.vehicle.sensors.items()}
        available = {each: each == name for each in kinds}
        frame = Frame(10**9, {name: sweep}, kinds, available, {name: 0}, Calibration({name: np.eye(4)}))
        car = make_detections(
            1,
            center=np.array([[6.0, 0.0, 0.8]]),
            size=np.array([[4.5, 1.9, 1.6]]),
            class_id=np.array([CLASSES.index("car")]),
            score=np.ones(1),
        )
        return frame, TruthFrame(10**9, "base_link", car, {})


@pytest.fixture
def one_car(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "open_frames", lambda *_: OneCar())


def settings(steps: int, **changes: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"steps": steps, "batch": 2, "save_every": 2, **changes})


def test_a_run_goes_on_where_it_stopped(one_car: None, tmp_path: Path) -> None:
    train(small_config(), settings(2), [Path("x")], tmp_path, quiet=True)
    first = torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"]
    train(small_config(), settings(4), [Path("x")], tmp_path, quiet=True)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert (first, kept["global_step"], kept["ema"]["steps"]) == (2, 4, 4)
    assert load_checkpoint(tmp_path / "last.ckpt").config == small_config()


def test_a_run_of_another_config_is_refused(one_car: None, tmp_path: Path) -> None:
    train(small_config(), settings(2), [Path("x")], tmp_path, quiet=True)
    with pytest.raises(FusionError, match="checkpoint of config"):
        train(small_config(top_k=9), settings(4), [Path("x")], tmp_path, quiet=True)


def test_the_same_seed_gives_the_same_weights(one_car: None, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(small_config(), settings(2), [Path("x")], tmp_path / name, quiet=True)
    a, b = (load_checkpoint(tmp_path / name / "last.ckpt").state_dict() for name in ("a", "b"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def weights_after(folder: Path, *lengths: int, workers: int = 0) -> dict[str, torch.Tensor]:
    for steps in lengths:
        train(small_config(), settings(steps, warm_up=1), [Path("x")], folder, workers=workers, quiet=True)
    return load_checkpoint(folder / "last.ckpt").state_dict()


def test_processes_and_a_rest_on_the_way_change_no_sample(
    one_car: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mm_fusion.training.module.DetectorModule.rate_at", lambda *_: 1.0)
    whole = weights_after(tmp_path / "a", 4)
    for other in (weights_after(tmp_path / "b", 2, 4), weights_after(tmp_path / "c", 4, workers=2)):
        assert all(torch.equal(whole[name], other[name]) for name in whole)


def test_shares_of_another_length_are_refused(one_car: None, tmp_path: Path) -> None:
    with pytest.raises(FusionError, match="expected one for each of 1 folders"):
        train(small_config(), settings(2, shares=(0.5, 0.5)), [Path("x")], tmp_path / "a", quiet=True)
    assert not (tmp_path / "a").exists()


def test_other_frames_are_looked_at_and_change_nothing(one_car: None, tmp_path: Path) -> None:
    looked = settings(4, val_every=2, val_frames=3)
    train(small_config(), looked, [Path("x")], tmp_path / "a", quiet=True, val=Path("y"))
    lines = [json.loads(line) for line in (tmp_path / "a" / "validation.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert all(math.isfinite(line["loss"]) and 0 <= line["map"] <= 100 for line in lines)
    assert set(lines[0]) == {"step", "loss", "map", "ap_car"}
    train(small_config(), settings(4), [Path("x")], tmp_path / "b", quiet=True)
    a, b = (load_checkpoint(tmp_path / name / "last.ckpt").state_dict() for name in ("a", "b"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_look_without_frames_to_look_at_is_refused(one_car: None, tmp_path: Path) -> None:
    with pytest.raises(FusionError, match="--val"):
        train(small_config(), settings(2, val_every=2), [Path("x")], tmp_path, quiet=True)
    with pytest.raises(FusionError, match="recording"):
        train(small_config(), settings(2, folds=2), [Path("x")], tmp_path, quiet=True)


def test_half_a_checkpoint_is_named_and_kept(one_car: None, tmp_path: Path) -> None:
    train(small_config(), settings(2), [Path("x")], tmp_path, quiet=True)
    half = (tmp_path / "last.ckpt").read_bytes()[:5000]
    (tmp_path / "last.ckpt").write_bytes(half)
    with pytest.raises(FusionError, match=r"last\.ckpt"):
        train(small_config(), settings(4), [Path("x")], tmp_path, quiet=True)
    assert (tmp_path / "last.ckpt").read_bytes() == half


def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(
    one_car: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_config(), settings(2), [Path("x")], tmp_path, quiet=True)
    before = (tmp_path / "last.ckpt").read_bytes()
    bad = {"heatmap": torch.tensor(float("nan"), requires_grad=True)}
    monkeypatch.setattr("mm_fusion.training.module.DetectorModule.losses", lambda *_: bad)
    with pytest.raises(FusionError, match="finite loss"):
        train(small_config(), settings(6), [Path("x")], tmp_path, quiet=True)
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_fine_tuning_begins_with_given_weights_and_leaves_frozen_graphs_alone(
    one_car: None, tmp_path: Path
) -> None:
    first = train(small_config(), settings(2), [Path("x")], tmp_path / "a", quiet=True)
    frozen = settings(2, frozen=("lidar",))
    second = train(small_config(), frozen, [Path("x")], tmp_path / "b", start=first, quiet=True)
    before, after = load_checkpoint(first), load_checkpoint(second)
    pairs = zip(before.lidar.state_dict().values(), after.lidar.state_dict().values())
    assert all(torch.equal(one, other) for one, other in pairs)
    assert not torch.equal(before.fusion.head.heatmap.weight, after.fusion.head.heatmap.weight)


def test_a_run_begins_with_weights_of_another_grid(one_car: None, tmp_path: Path) -> None:
    first = train(small_config(), settings(2), [Path("x")], tmp_path / "a", quiet=True)
    grid = small_config().grid
    wider = small_config(grid=grid.model_copy(update={"x_max": grid.x_max + 4 * grid.cell}), top_k=5)
    second = train(wider, settings(1, rate=1e-9), [Path("x")], tmp_path / "b", start=first, quiet=True)
    before, after = (load_checkpoint(path).fusion.head.heatmap.weight for path in (first, second))
    torch.testing.assert_close(before, after)


def test_a_run_begins_with_a_shipped_model_or_another_run(one_car: None, tmp_path: Path) -> None:
    for start, given in (("tiny", model_of("tiny")), (tmp_path / "tiny", None)):
        out = tmp_path / Path(start).name if given is not None else tmp_path / "again"
        last = train(load_learned("tiny"), settings(1, rate=1e-9), [Path("x")], out, start=start, quiet=True)
        before = given or load_checkpoint(tmp_path / "tiny" / "last.ckpt")
        weights = (each.fusion.head.heatmap.weight for each in (load_checkpoint(last), before))
        torch.testing.assert_close(*weights)


def test_a_shipped_name_goes_before_a_run_of_that_name(
    one_car: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_config(), settings(1), [Path("x")], tmp_path / "tiny", quiet=True)
    monkeypatch.chdir(tmp_path)
    assert start_of("tiny").config == load_learned("tiny")
    assert start_of("./tiny").config == small_config()


def test_a_start_that_is_none_is_named(one_car: None, tmp_path: Path) -> None:
    with pytest.raises(FusionError, match="no such model; choices"):
        train(small_config(), settings(1), [Path("x")], tmp_path / "run", start="tinny", quiet=True)
    assert not (tmp_path / "run").exists()


def test_weights_of_other_sizes_do_not_start_a_run(one_car: None, tmp_path: Path) -> None:
    first = train(small_config(), settings(2), [Path("x")], tmp_path / "a", quiet=True)
    other = small_config(classes=["car", "truck"])
    with pytest.raises(FusionError, match="sizes differ.*leave --config out"):
        train(other, settings(2), [Path("x")], tmp_path / "b", start=first, quiet=True)


def test_half_precision_trains(one_car: None, tmp_path: Path) -> None:
    last = train(small_config(), settings(2, precision="bf16-mixed"), [Path("x")], tmp_path, quiet=True)
    assert all(bool(torch.isfinite(each).all()) for each in load_checkpoint(last).state_dict().values())


def test_without_torchrun_the_trainer_decides_by_itself() -> None:
    assert launched_with({"WORLD_SIZE": "4"}) == {}


def test_torchrun_says_how_many_nodes_and_devices_there_are() -> None:
    started = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}
    found = launched_with(started)
    assert (found["devices"], found["num_nodes"]) == (8, 2)


def test_two_processes_of_torchrun_train_one_model(one_car: None, tmp_path: Path) -> None:
    """Loopback alone; what two learn from frames of their own differs from one, and is written whole."""
    for steps in (2, 3):  # the second goes on with the first
        run_together(tmp_path / "run", steps)
        kept = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
        assert kept["global_step"] == steps
    assert not (tmp_path / "run" / "partial.ckpt").exists()
    alone = train(small_config(), settings(3), [Path("x")], tmp_path / "alone", quiet=True)
    ours, theirs = (load_checkpoint(each).state_dict() for each in (tmp_path / "run" / "last.ckpt", alone))
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)


def run_together(out: Path, steps: int) -> None:
    """`steps` of a run by two processes on this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    words = ["--nproc-per-node", "2", "-m", "test.training.one_car_run", str(out), str(steps)]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *words], capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
