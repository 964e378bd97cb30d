"""What `mm-fusion train` and `export` refuse, in one line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mm_fusion.cli.main import main
from mm_fusion.cli.train import add_arguments, config_of, settings_of
from mm_fusion.errors import ConfigurationError
from mm_fusion.training.settings import TrainingConfig


def test_wrong_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "tiny", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*words, "--steps", "0"]) == 2
    assert "steps" in capsys.readouterr().err
    assert main([*words, "--steps", "1", "--sensors", "sonar"]) == 2
    assert "sensors" in capsys.readouterr().err


def test_recipes_ship_and_flags_come_before_them() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--config", "tiny", "--data", "a", "b", "--out", "run"]
    settings = settings_of(
        parser.parse_args([*words, "--settings", "astyx", "--rate", "0.5", "--freeze", "lidar"])
    )
    assert (settings.rate, settings.frozen, settings.shares) == (0.5, ("lidar",), (0.5, 0.5))
    assert settings.augment.paste.share == 0.7 and not settings.shuffle_labels
    settings = settings_of(
        parser.parse_args([*words, "--settings", "tiny", "--shuffle-labels", "--steps", "5"])
    )
    assert settings.shuffle_labels and settings.steps == 5
    plain = settings_of(parser.parse_args([*words, "--steps", "7", "--shares", "1,3"]))
    assert plain == TrainingConfig(steps=7, shares=(1, 3))


def test_settings_that_are_none_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "tiny", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("stepps: 3\n")
    for more, named in (
        ([], "--steps"),
        (["--settings", "grand"], "tiny.yaml"),
        (["--settings", str(wrong)], "stepps"),
        (["--steps", "1", "--fold", "2"], "fold"),
        (["--steps", "1", "--shares", "1,x"], "shares"),
    ):
        assert main([*words, *more]) == 2
        assert named in capsys.readouterr().err


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


def test_sizes_are_those_of_what_a_run_begins_with_unless_named() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--data", "a", "--out", "run", "--steps", "1"]
    assert config_of(parser.parse_args([*words, "--start", "astyx"])).name == "astyx"
    assert config_of(parser.parse_args([*words, "--start", "astyx", "--config", "tiny"])).name == "tiny"
    with pytest.raises(ConfigurationError, match="expected --config"):
        config_of(parser.parse_args(words))
