"""What `mm-fusion train` and `export` refuse, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.cli.main import main


def test_wrong_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "tiny", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*words, "--steps", "0"]) == 2
    assert "steps" in capsys.readouterr().err
    assert main([*words, "--steps", "1", "--sensors", "sonar"]) == 2
    assert "sensors" in capsys.readouterr().err


def test_an_unknown_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "huge", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*words, "--steps", "1"]) == 2
    assert "huge" in capsys.readouterr().err


def test_data_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "tiny", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    assert main([*words, "--steps", "1"]) == 2
    assert "none" in capsys.readouterr().err


def test_a_missing_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--model", str(tmp_path / "no.ckpt"), "--out", str(tmp_path / "out")]) == 2
    assert "no.ckpt" in capsys.readouterr().err
