"""What `mm-fusion export` refuses, in one line, before it writes anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mm_fusion.cli.main import main


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["export", *words]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    return said


def test_an_unknown_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "tiny", "--out", str(tmp_path / "out"), "--precision", "int4"]
    assert "int4" in refused(words, capsys) and not (tmp_path / "out").exists()


def test_what_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"half a file")
    words = ["--model", str(tmp_path / "last.ckpt"), "--out", str(tmp_path / "out")]
    assert "last.ckpt" in refused(words, capsys) and not (tmp_path / "out").exists()


def test_a_run_without_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(tmp_path) in refused(["--model", str(tmp_path), "--out", str(tmp_path / "out")], capsys)


def test_the_detector_without_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "geometric" in refused(["--model", "geometric", "--out", str(tmp_path / "out")], capsys)


def run_folder(folder: Path) -> Path:
    """A run with a checkpoint as `train` leaves it."""
    import torch

    from mm_fusion.network.model import FusionModel
    from test.network.scene import small_config

    model = FusionModel(small_config())
    weights = {f"model.{name}": each for name, each in model.state_dict().items()}
    kept = {"config": model.config.model_dump(mode="json"), "state_dict": weights}
    folder.mkdir()
    torch.save(kept, folder / "last.ckpt")
    return folder


def test_a_calibration_folder_without_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    words = ["--model", str(run_folder(tmp_path / "run")), "--out", str(tmp_path / "out")]
    assert "empty" in refused(
        [*words, "--precision", "int8", "--calibration", str(tmp_path / "empty")], capsys
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    words = ["--model", str(run_folder(tmp_path / "run")), "--out", str(tmp_path / "closed" / "out")]
    assert "closed" in refused(words, capsys)


def test_a_run_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["export", "--model", str(run_folder(tmp_path / "run")), "--out", str(out), "--frames", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "written" in said and "found again" in said
    files = {path.name for path in out.iterdir()}
    assert {"manifest.json", "parity.json", "samples.npz", "model.yaml", "fusion.onnx"} <= files
