"""`mm-fusion evaluate`: bad input is one line and exit code 2, before the work where that is possible."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mm_fusion.cli.main import main
from mm_fusion.simulation.dataset import DatasetSettings, write_dataset
from test.simulation.stub_world import install, stub_vehicle

MODEL = ("--model", "geometric", "--data", "d", "--out", "r")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected --truth BAG"),
        (("--truth", "bag", "--draws", "0"), "--draws: expected 1 or more"),
        (("--truth", "bag", "--out", "."), "cannot be written: it is a folder"),
        (("--truth", "bag"), "bag: no such recording"),
    ],
)
def test_bad_input_is_one_line(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path / "none.json"), *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected DETECTIONS with --truth BAG, or --model M with --data DIR"),
        (("--model", "geometric"), "expected --data DIR"),
        (("--data", "d", "--out", "r"), "expected --model M"),
        (("--model", "geometric", "--data", "d"), "expected --out REPORT"),
        (("x.json", *MODEL), "expected either DETECTIONS with --truth, or --model with --data"),
        ((*MODEL, "--subsets", "CLX"), "unknown subset 'CLX'; choices are all, CLR"),
        ((*MODEL, "--conditions", "hail"), "unknown condition 'hail'; choices are all, table"),
        ((*MODEL, "--conditions", "fog:7"), "unknown severity '7'; choices are 1, 2, 3"),
        ((*MODEL, "--limit", "0"), "--limit: expected 1 or more, got 0"),
        ((*MODEL, "--folds", "0"), "--folds: expected 1 or more, got 0"),
        ((*MODEL, "--folds", "3", "--fold", "3"), "--fold: expected from 0 and below --folds 3, got 3"),
        ((*MODEL, "--fold", "1"), "--fold: expected from 0 and below --folds 1, got 1"),
        ((*MODEL, "--calibrate", "d"), "--calibrate d: is what is scored"),
        (("--model", "nothing", "--data", "d", "--out", "r"), "model 'nothing': no such model"),
        (MODEL, "d: no such recording"),
    ],
)
def test_a_model_cannot_be_judged_on_bad_words(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


def test_a_report_is_written_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch)
    write_dataset(tmp_path / "d", replace(DatasetSettings.of(stub_vehicle(), 20, 1), frames_per_shard=8))
    words = ["evaluate", "--model", "geometric", "--data", str(tmp_path / "d"), "--out", str(tmp_path / "r")]
    words += ["--conditions", "lidar_lost,noise:1", "--subsets", "CLR", "--draws", "20", "--quiet"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "Subsets of the sensors" in said.out and said.err == ""
    names = {path.name for path in (tmp_path / "r").iterdir() if path.is_file()}
    assert {"report.json", "report.html", "calibration.json", "subsets.png", "conditions.png"} <= names
    first = (tmp_path / "r" / "report.json").read_bytes()
    tree = json.loads(first)
    assert tree["data"][0]["split"] == "test" and set(tree["conditions"]) == {"lidar_lost", "noise:1"}
    assert main(words) == 0 and (tmp_path / "r" / "report.json").read_bytes() == first
    assert main([*words, "--split", "dusk"]) == 2
    assert "has no frames of split 'dusk'" in capsys.readouterr().err
    assert main([*words, "--folds", "3", "--fold", "1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "simulated data with splits of its own" in lines[0]
