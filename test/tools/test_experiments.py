"""The queue of experiments: order, what is done once and what anew, failures, and stopping in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import experiment_plan
import experiments
import pytest
import yaml

from mm_fusion.cli.main import build_parser
from mm_fusion.config import load_config, parse_config
from mm_fusion.errors import ConfigurationError

PROGRAM = """
import os, pathlib, sys, time
verb, here, *more = sys.argv[1:]
here = pathlib.Path(here)
here.mkdir(parents=True, exist_ok=True)
with open(here.parent / "calls", "a") as calls:
    calls.write(here.name + "\\n")
if verb == "fail" and not (here.parent / "mended").exists():
    sys.exit("the disk is made of cheese")
if verb == "count":
    reached = here / "reached"
    for number in range(int(reached.read_text()) if reached.exists() else 0, int(more[0])):
        partial = here / "partial"
        partial.write_text(str(number + 1))
        partial.replace(reached)
        time.sleep(0.05)
if verb != "forget":
    (here / "result").write_text(" ".join(more))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def job(run: str = "make {here}", needs: tuple[str, ...] = (), **more: object) -> dict[str, object]:
    return {"run": run, "done": "result", "needs": list(needs), **more}


def write_plan(place: Path, jobs: dict[str, dict[str, object]], **more: object) -> None:
    tree = {"program": [str(place / "program.py")], "jobs": jobs, **more}
    (place / "plan.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))


def run(place: Path, *words: str) -> int:
    return experiments.main(["--plan", str(place / "plan.yaml"), "--out", str(place / "out"), *words])


def calls(place: Path) -> list[str]:
    """Jobs that were run since this was asked last."""
    path = place / "out" / "calls"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def states(place: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert run(place, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    return {line[:30].strip(): line[31:39].strip() for line in lines}


def test_a_plan_without_jobs_is_refused(place: Path, capsys: pytest.CaptureFixture[str]):
    write_plan(place, {})
    assert run(place) == 2
    assert "no job has such a name" in capsys.readouterr().err


def test_needs_come_first_and_nothing_is_done_twice(place: Path):
    write_plan(place, {"last": job(needs=("middle",)), "middle": job(needs=("first",)), "first": job()})
    assert run(place) == 0 and calls(place) == ["first", "middle", "last"]
    assert run(place) == 0 and calls(place) == []
    (place / "out" / "middle" / "result").unlink()
    assert run(place) == 0 and calls(place) == ["middle"]


def test_another_command_runs_again_with_what_needs_it(place: Path):
    jobs = {"a": job(), "b": job(needs=("a",)), "c": job()}
    write_plan(place, jobs)
    assert run(place) == 0 and calls(place) == ["a", "b", "c"]
    write_plan(place, jobs | {"a": job("make {here} more")})
    assert run(place) == 0 and calls(place) == ["a", "b"]
    assert (place / "out" / "a" / "result").read_text() == "more"
    kept = sorted(path.name.split("_")[0] for path in (place / "out" / "before").iterdir())
    assert kept == ["a", "b"]  # never gone on with, never lost


def test_a_settings_file_is_part_of_the_command(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(experiment_plan, "ROOT", place)
    (place / "settings.yaml").write_text("steps: 1\n")
    write_plan(place, {"a": job("make {here} settings.yaml")})
    assert run(place) == 0 and calls(place) == ["a"]
    (place / "settings.yaml").write_text("steps: 2\n")
    assert run(place) == 0 and calls(place) == ["a"]


def test_a_failure_is_told_and_stops_only_what_needs_it(place: Path, capsys: pytest.CaptureFixture[str]):
    jobs = {
        "bad": job("fail {here}"),
        "after": job(needs=("bad",)),
        "other": job(),
        "empty": job("forget {here}"),
    }
    write_plan(place, jobs)
    assert run(place) == 1
    assert calls(place) == ["bad", "other", "empty"]
    said = capsys.readouterr().out
    assert "the disk is made of cheese (exit code 1)" in said
    assert "waits for bad" in said and "empty/result is not there" in said
    assert states(place, capsys) == {"bad": "failed", "after": "to do", "other": "done", "empty": "failed"}
    (place / "out" / "mended").touch()
    run(place, "--only", "after")
    assert calls(place) == ["bad", "after"]


def test_the_time_is_up_and_the_same_command_goes_on(place: Path, capsys: pytest.CaptureFixture[str]):
    write_plan(place, {"long": job("count {here} 100000"), "next": job()})
    assert run(place, "--minutes", "0.05") == 3
    assert calls(place) == ["long"] and states(place, capsys) == {"long": "stopped", "next": "to do"}
    assert 0 < int((place / "out" / "long" / "reached").read_text()) < 100000
    (place / "out" / "long" / "reached").write_text("99999")
    assert run(place) == 0 and states(place, capsys) == {"long": "done", "next": "done"}


def test_an_interrupt_ends_the_command_too_and_a_second_queue_is_refused(place: Path):
    write_plan(place, {"long": job("count {here} 100000")})
    words = [str(experiments.__file__), "--plan", str(place / "plan.yaml"), "--out", str(place / "out")]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    reached = place / "out" / "long" / "reached"
    until = time.monotonic() + 60
    while not reached.exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    assert run(place) == 2
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "stopped" in said.splitlines()[-1]
    count = reached.read_text()
    time.sleep(0.3)
    assert reached.read_text() == count
    assert json.loads((place / "out" / "queue" / "long.json").read_text())["state"] == "stopped"


def test_data_and_budgets_fill_the_commands(place: Path, capsys: pytest.CaptureFixture[str]):
    jobs = {"a_{n}": job("make {here} {street} {steps} {n}", each={"n": [1, 2]})}
    write_plan(
        place, jobs, data={"street": "a street"}, budgets={"small": {"steps": 1}, "full": {"steps": 9}}
    )
    assert run(place) == 3 and "no --data street=DIR" in capsys.readouterr().out
    for name in ("here", "there"):
        (place / name).mkdir()
    assert run(place, "--data", f"street={place / 'here'}") == 0 and calls(place) == ["a_1", "a_2"]
    assert (place / "out" / "a_2" / "result").read_text() == f"{place / 'here'} 1 2"
    assert run(place, "--data", f"street={place / 'there'}") == 0 and calls(place) == []  # moved, not changed
    assert (
        run(place, "--data", f"street={place / 'here'}", "--budget", "full") == 0 and len(calls(place)) == 2
    )


@pytest.mark.parametrize(
    ("jobs", "words", "said"),
    [
        ({"a": job(needs=("b",))}, (), "a: needs b, which is no job"),
        ({"a": job(needs=("b",)), "b": job(needs=("a",))}, (), "in a circle: a -> b -> a"),
        ({"a": job("make {nothing}")}, (), "'nothing' is no name that the plan gives"),
        ({"a": job()}, ("--budget", "huge"), "budget 'huge': the plan knows small"),
        ({"a": job()}, ("--data", "x"), "--data x: expected NAME=DIR"),
        ({"a": job()}, ("--only", "z*"), "no job has such a name"),
        ({"a": job(colour="red")}, (), "unknown key jobs.a.colour"),
    ],
)
def test_a_bad_plan_is_one_line(
    jobs: dict[str, dict[str, object]],
    words: tuple[str, ...],
    said: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
):
    write_plan(place, jobs)
    assert run(place, *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0]


@pytest.mark.parametrize("budget", ["small", "full"])
def test_every_command_of_the_shipped_plan_is_understood(budget: str, tmp_path: Path):
    import importlib

    plan = load_config(experiments.PLAN, experiment_plan.PlanFile)
    jobs = experiment_plan.jobs_of(
        plan, budget, {name: str(tmp_path) for name in plan.data}, tmp_path / "out"
    )
    assert len(jobs) > 50
    for each in jobs.values():
        verb, *words = each.words[2:]
        module = importlib.import_module(f"mm_fusion.cli.{verb}")
        args = build_parser(module, verb).parse_args([verb, *words])
        assert Path(args.out).name == each.name  # a job writes to its own folder
        needed = {
            Path(word).parts[len((tmp_path / "out").parts)] for word in words if str(tmp_path / "out") in word
        }
        assert needed - {each.name} == set(each.needs)
        if verb == "train":
            from mm_fusion.cli.train import settings_of

            assert settings_of(args).steps == args.steps
        if verb == "evaluate":
            from mm_fusion.evaluation.conditions import parse_conditions, parse_subsets

            assert parse_subsets(args.subsets) and parse_conditions(args.conditions) is not None


def test_names_in_a_circle_are_found_alone():
    assert experiment_plan.in_order({"b": ("a",), "a": ()}) == ["a", "b"]
    with pytest.raises(ConfigurationError, match="a -> a"):
        experiment_plan.in_order({"a": ("a",)})
    assert parse_config({"jobs": {}}, experiment_plan.PlanFile, "here").jobs == {}
