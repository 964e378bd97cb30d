"""What `mm-fusion benchmark` refuses, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.cli.main import main


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["benchmark", *words]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    return said


def test_a_model_without_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert "geometric" in refused(["--model", "geometric"], capsys)


def test_an_unknown_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no-such-model" in refused(["--model", "no-such-model"], capsys)


def test_no_threads_and_no_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--threads", "0"], ["--frames", "0"]):
        assert "at least 1" in refused(["--model", str(tmp_path), *words], capsys)


def test_an_output_that_is_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "folder" in refused(["--model", str(tmp_path), "--out", str(tmp_path)], capsys)
