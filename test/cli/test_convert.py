"""`mm-fusion convert` writes a recording, says what is in it, and leaves nothing when stopped."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from mm_fusion.bags.convert.recording import ConvertReport
from mm_fusion.cli import convert
from mm_fusion.errors import BagError, ConfigurationError


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    convert.add_arguments(parser)
    return parser.parse_args(list(words))


def test_kinds_are_the_converters() -> None:
    for kind in convert.KINDS:
        assert convert.converter(kind).__module__ == f"mm_fusion.bags.convert.{kind}"
    with pytest.raises(SystemExit):
        arguments("kitti", "source", "--out", "bag")


def test_report_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fake(source: Path, out: Path, storage: str, progress: Any, overwrite: bool) -> ConvertReport:
        progress(1, 1)
        assert (source, storage, overwrite) == (Path("in"), "sqlite3", True)
        return ConvertReport(out, 1, 1, {"/lidar/points": 1}, {"car": 3}, ("a note",))

    monkeypatch.setattr(convert, "converter", lambda kind: fake)
    assert convert.run(arguments("astyx", "in", "--out", "bag", "--storage", "sqlite3", "--overwrite")) == 0
    said = capsys.readouterr().out
    assert "1 frames in 1 runs" in said and "3 car" in said and "/lidar/points" in said and "a note" in said


def test_stopping_says_that_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> ConvertReport:
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "converter", lambda kind: stopped)
    assert convert.run(arguments("astyx", "in", "--out", "bag")) == 130
    assert "nothing was left at bag" in capsys.readouterr().out


def test_wrong_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no such folder"):
        convert.run(arguments("astyx", str(tmp_path / "absent"), "--out", str(tmp_path / "bag")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "numbers"), [("3", {3}), ("0-2,5", {0, 1, 2, 5}), ("7-7,7", {7})])
def test_ranges_of_frames(text: str, numbers: set[int]) -> None:
    assert arguments("astyx", "in", "--out", "bag", "--frames", text).frames == numbers


@pytest.mark.parametrize("text", ["", "a", "3-", "5-2", "1,,2", "0-999999999999"])
def test_what_is_no_range_of_frames_is_refused(text: str) -> None:
    with pytest.raises(SystemExit):
        arguments("astyx", "in", "--out", "bag", "--frames", text)


def test_only_astyx_has_numbered_frames() -> None:
    with pytest.raises(ConfigurationError, match="expected astyx"):
        convert.run(arguments("nuscenes_keyframe", "in", "--out", "bag", "--frames", "1"))
