"""A plan of experiments as jobs: what each runs, needs and leaves, and a key of all that it depends on."""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from pydantic import Field

from mm_fusion.config import Section
from mm_fusion.errors import ConfigurationError

ROOT = Path(__file__).resolve().parent.parent
Value = int | float | str


class JobPattern(Section):
    """One job, or one for each combination of `each`; `{names}` are filled into its name and texts.

    Names: those of `each`, of the budget and of folders of data; `{out}`, and the job's own folder `{here}`.
    """

    run: str
    done: str = Field(description="file in `{here}` without which the job is not done")
    needs: tuple[str, ...] = ()
    each: dict[str, tuple[Value, ...]] = {}


class PlanFile(Section):
    """What a plan file holds. program: words before each command, for this interpreter."""

    program: tuple[str, ...] = ("-m", "mm_fusion.cli.main")
    data: dict[str, str] = Field({}, description="folders of data that a user gives, by name; what they hold")
    budgets: dict[str, dict[str, Value]] = Field({"small": {}}, description="values by name; first: default")
    jobs: dict[str, JobPattern]


@dataclass(frozen=True)
class Job:
    """One command. key: names all that it depends on; absent: names of data that were not given."""

    name: str
    words: tuple[str, ...]
    done: str
    needs: tuple[str, ...]
    key: str
    absent: tuple[str, ...]


def jobs_of(plan: PlanFile, budget: str, data: dict[str, str], out: Path) -> dict[str, Job]:
    """Every job by name, in the plan's order but after what it needs; raises `ConfigurationError`."""
    for what, name, known in [
        ("budget", budget, plan.budgets),
        *(("data", name, plan.data) for name in data),
    ]:
        if name not in known:
            raise ConfigurationError(f"{what} {name!r}: the plan knows {', '.join(known) or 'none'}")
    drawn = {}
    for name, pattern in plan.jobs.items():
        for draw in itertools.product(*pattern.each.values()):
            each = dict(zip(pattern.each, draw))
            needs = tuple(filled(need, each) for need in pattern.needs)
            drawn[filled(name, each)] = (pattern, plan.budgets[budget] | each, needs)
    jobs: dict[str, Job] = {}
    for name in in_order({name: needs for name, (_, _, needs) in drawn.items()}):
        jobs[name] = _job(name, *drawn[name], plan, data, out, jobs)
    return jobs


def _job(
    name: str,
    pattern: JobPattern,
    values: dict[str, Value],
    needs: tuple[str, ...],
    plan: PlanFile,
    data: dict[str, str],
    out: Path,
    jobs: dict[str, Job],
) -> Job:
    used = {place for _, place, _, _ in Formatter().parse(pattern.run) if place}
    blank = {place: f"<{place}>" for place in (*plan.data, "out", "here")}
    pieces = shlex.split(pattern.run)
    # the same command on the same data is the same wherever those lie
    text = [filled(piece, blank | values) for piece in pieces]
    key = json.dumps([plan.program, text, [_content(word) for word in text], [jobs[n].key for n in needs]])
    places = blank | data | {"out": str(out), "here": str(out / name)}
    return Job(
        name,
        (*plan.program, *(filled(piece, places | values) for piece in pieces)),
        filled(pattern.done, values),
        needs,
        hashlib.sha256(key.encode()).hexdigest()[:12],
        tuple(sorted(used & set(plan.data) - set(data))),
    )


def in_order(needs: dict[str, tuple[str, ...]]) -> list[str]:
    """The names, each after what it needs and else as they come; raises `ConfigurationError`."""
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ConfigurationError(f"jobs need each other in a circle: {' -> '.join((*path, name))}")
        if name not in needs:
            raise ConfigurationError(f"job {path[-1]}: needs {name}, which is no job of the plan")
        if name not in order:
            for need in needs[name]:
                visit(need, (*path, name))
            order.append(name)

    for name in needs:
        visit(name, ())
    return order


def filled(text: str, values: dict[str, Any]) -> str:
    """`text` with its `{names}` filled in; raises `ConfigurationError` for a name that is none."""
    try:
        return text.format_map(values)
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigurationError(f"{text!r}: {error} is no name that the plan gives") from None


def _content(word: str) -> str:
    """What a settings file says, empty for any other word."""
    path = ROOT / word
    return path.read_text(encoding="utf-8") if word.endswith(".yaml") and path.is_file() else ""
