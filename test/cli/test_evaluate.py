"""`mm-fusion evaluate`: bad input is one line and exit code 2, before the work where that is possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.cli.main import main


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
