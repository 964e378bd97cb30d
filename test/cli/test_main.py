"""The command as a user types it: quick help, one line for what is wrong, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mm_fusion.cli.main import VERBS, main


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mm_fusion.cli.main", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_verb() -> None:
    done = command("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from mm_fusion.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "print([m for m in ('numpy', 'scipy', 'cv2', 'numba', 'open3d', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + heavy], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_without_its_libraries(verb: str) -> None:
    done = command(verb, "--help")
    assert done.returncode == 0 and "usage: mm-fusion " + verb in done.stdout


def test_no_verb_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "VERB" in capsys.readouterr().out


def test_an_unknown_verb_is_refused() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fuse"])
    assert stopped.value.code == 2


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "none"), "--vehicle", "astyx", "--out", str(tmp_path / "d.json")]) == 2
    words = capsys.readouterr().err
    last = words.splitlines()[-1]
    assert last.startswith("mm-fusion run: ") and "none" in last and "Traceback" not in words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "mm-fusion run: the following arguments are required"),
        (["train", "--config", "tiny", "--steps", "abc"], "mm-fusion train: argument --steps: invalid int"),
        (["trian"], "mm-fusion: argument VERB: invalid choice: 'trian'"),
    ],
)
def test_wrong_arguments_are_one_line_that_names_them(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and len(lines) == 1
    assert lines[0].startswith(said) and "--help" in lines[0]
