"""`mm-fusion view`: what cannot be drawn is said before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.cli.main import main


@pytest.mark.parametrize("option", ["--every", "--limit"])
@pytest.mark.parametrize("number", ["0", "-3"])
def test_a_number_of_frames_below_one_is_refused(
    option: str, number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(tmp_path), "--out", str(tmp_path / "out"), f"{option}={number}"]) == 2
    assert capsys.readouterr().err.startswith(f"mm-fusion view: {option}: expected 1 or more")
