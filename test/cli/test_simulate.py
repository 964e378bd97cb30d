"""`mm-fusion simulate` from the command line: what it makes, and what it says of bad input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("open3d", reason="drives are made by Open3D's ray casting")

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.cli.main import main
from mm_fusion.config import dump_config, load_vehicle

DRIVE = ["--vehicle", "minimal", "--camera-width", "96", "--lidar-step", "8", "--quiet"]


def simulate(*words: object) -> int:
    return main(["simulate", *DRIVE, *(str(word) for word in words)])


def test_a_bag_has_every_sensor_and_truth_and_is_the_same_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert (
            simulate("--seconds", 1, "--scenario", "straight", "--weather", "rain", "--out", tmp_path / name)
            == 0
        )
    with open_bag(tmp_path / "a") as first, open_bag(tmp_path / "b") as second:
        assert {"/tf", "/tf_static", "/odom", "/lidar/points", "/camera/camera_info"} <= set(first.topics)
        pairs = list(zip(first.raw_messages(), second.raw_messages()))
    assert len(pairs) > 100 and all(bytes(a.data) == bytes(b.data) for a, b in pairs)
    frames = read_truth(tmp_path / "a")
    assert len(frames) >= 9 and max(frame.extra["num_lidar_points"].max() for frame in frames) > 5


def test_run_detects_in_it(tmp_path: Path) -> None:
    assert simulate("--seconds", 1, "--scenario", "straight", "--out", tmp_path / "bag") == 0
    words = [
        "run",
        str(tmp_path / "bag"),
        "--vehicle",
        "minimal",
        "--out",
        str(tmp_path / "d.json"),
        "--quiet",
    ]
    assert main(words) == 0
    modes = [frame["mode"] for frame in json.loads((tmp_path / "d.json").read_text())["frames"]]
    assert len(modes) >= 9 and set(modes[2:]) == {"CL"}


def test_every_fault_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--list-faults") == 0
    assert len(capsys.readouterr().out.splitlines()) == 18


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "moon"], "moon"),
        (["--vehicle", "spaceship"], "spaceship: no such file"),
        (["--faults", "gremlins"], "gremlins: no such file"),
        (["--seconds", "0"], "--seconds 0.0: expected 0.1 or more"),
        (["--seconds", "1e9"], "300 s"),
        (["--seed", "-1"], "--seed -1: expected 0 or more"),
        (["--lidar-step", "0"], "--lidar-step 0: expected 1 or more"),
        (["--dataset", "d"], "exactly one of --out"),
        (["--vehicle", "astyx"], "mount is missing"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate("--out", tmp_path / "bag", *words) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_make_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate() == 2
    assert "exactly one of --out BAG, --live, --dataset DIR, --compare DIR" in capsys.readouterr().err


def test_a_fault_of_a_sensor_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = tmp_path / "f.yaml"
    faults.write_text(yaml.safe_dump({"faults": [{"fault": "drop", "sensor": "radar"}]}))
    assert simulate("--out", tmp_path / "bag", "--faults", faults) == 2
    assert "'radar' is no sensor of this vehicle" in capsys.readouterr().err
    assert not (tmp_path / "bag").exists()


def test_an_unknown_unit_lists_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = yaml.safe_load(dump_config(load_vehicle("minimal")))
    tree["sensors"]["lidar"]["unit"] = "hdl31"
    (tmp_path / "v.yaml").write_text(yaml.safe_dump(tree))
    assert simulate("--out", tmp_path / "bag", "--vehicle", tmp_path / "v.yaml") == 2
    assert "hdl31" in (said := capsys.readouterr().err) and "vlp16" in said
    assert not (tmp_path / "bag").exists()


def test_an_existing_bag_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bag").mkdir()
    assert simulate("--seconds", 1, "--out", tmp_path / "bag") == 2
    assert "exists already" in capsys.readouterr().err


def test_a_tiny_data_set_by_two_workers(tmp_path: Path) -> None:
    assert simulate("--dataset", tmp_path / "d", "--frames", 4, "--workers", 2) == 0
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    assert {split: len(shards) for split, shards in manifest["splits"].items()} == {
        "train": 1,
        "val": 1,
        "test": 1,
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_nothing_behind(workers: int, tmp_path: Path) -> None:
    words = [*DRIVE, "--seconds", "60", "--workers", str(workers), "--out", str(tmp_path / "bag")]
    process = subprocess.Popen(
        [sys.executable, "-m", "mm_fusion.cli.main", "simulate", *words],
        stderr=subprocess.PIPE,
        text=True,
        # a suite started in the background of a shell hands on that interrupts are ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".bag.*/bag/*.mcap")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode in (130, -signal.SIGINT) and "interrupted" in said
    assert list(tmp_path.iterdir()) == []
