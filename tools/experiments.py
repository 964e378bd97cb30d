"""`make experiments`: the jobs of a plan, one after another, gone on with where they stopped.

A job is done when its command ended well and the file that says so is there; another command, settings file
or need makes it anew. Own code because task runners (doit and the like) cannot stop a command that goes on
with itself later and call that neither done nor failed.
Exit code: 0 all done, 1 something failed, 2 bad plan, 3 work is left, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from experiment_plan import ROOT, Job, PlanFile, jobs_of

from mm_fusion.config import load_config
from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.evaluation.json_file import read_json, write_json

PLAN = ROOT / "config" / "experiments.yaml"
PATIENCE_S = {signal.SIGINT: 60.0, signal.SIGTERM: 10.0}
"""How long a command may take to end when it is asked to."""


class Queue:
    """The jobs of a plan in a folder: `NAME/` with what each makes, `queue/NAME.json` and `.log` beside."""

    def __init__(self, jobs: dict[str, Job], out: Path, minutes: float | None = None) -> None:
        self.jobs, self.out = jobs, out
        self._end = None if minutes is None else time.monotonic() + minutes * 60
        self._causes: dict[str, str] = {}

    def state(self, job: Job) -> str:
        """`done`, `failed`, `stopped` (goes on with itself) or `to do`."""
        note = self._note(job)
        if note.get("key") != job.key:
            return "to do"
        lost = note["state"] == "done" and not (self.out / job.name / job.done).exists()
        return "to do" if lost else str(note["state"])

    def work(self, jobs: Sequence[Job]) -> None:
        """Do these until the time is up; one that fails stops only those that need it."""
        for job in jobs:
            if self.state(job) == "done":
                continue
            missing = [need for need in job.needs if self.state(self.jobs[need]) != "done"]
            if missing or job.absent:
                self._causes[job.name] = (
                    f"no --data {job.absent[0]}=DIR" if job.absent else f"waits for {missing[0]}"
                )
            elif self._left() != 0:
                self._do(job)

    def table(self, jobs: Sequence[Job]) -> str:
        """A line for each job: name, state, minutes spent, and why it is not done."""
        rows = []
        for job in jobs:
            note, state = self._note(job), self.state(job)
            minutes = f"{note['seconds'] / 60:8.1f} min" if state != "to do" else " " * 12
            why = note["cause"] if state == "failed" else self._causes.get(job.name, "")
            rows.append(f"{job.name:30} {state:8}{minutes}  {why}".rstrip())
        return "\n".join(rows)

    def chosen(self, names: Sequence[str]) -> list[Job]:
        """The jobs that fit one of the names (`*` stands for anything) and all that they need."""
        found = {name for name in self.jobs if any(fnmatch(name, each) for each in names)}
        if not found:
            raise ConfigurationError(f"--only {' '.join(names)}: no job has such a name; see --list")
        for job in reversed(self.jobs.values()):
            found |= set(job.needs) if job.name in found else set()
        return [job for job in self.jobs.values() if job.name in found]

    def _left(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _path(self, job: Job, ending: str) -> Path:
        return self.out / "queue" / f"{job.name}.{ending}"

    def _note(self, job: Job) -> dict[str, Any]:
        path = self._path(job, "json")
        return dict(read_json(path)) if path.is_file() else {}

    def _do(self, job: Job) -> None:
        note = self._note(job)
        if note.get("key") != job.key:
            self._set_aside(job, str(note.get("key")))
            note = {"key": job.key, "command": shlex.join(job.words), "seconds": 0.0}
        print(f"{time.strftime('%H:%M:%S')} {job.name}", flush=True)
        note["state"] = "stopped"
        write_json(self._path(job, "json"), note)
        begun = time.monotonic()
        try:
            note |= self._outcome(job)
        finally:
            note["seconds"] += time.monotonic() - begun
            write_json(self._path(job, "json"), note)
        print(f"{time.strftime('%H:%M:%S')} {job.name}: {note['state']} {note.get('cause', '')}", flush=True)

    def _set_aside(self, job: Job, key: str) -> None:
        """Another command must not go on with what an earlier one left."""
        if (self.out / job.name).exists() and key != "None":
            (self.out / "before").mkdir(exist_ok=True)
            (self.out / job.name).rename(self.out / "before" / f"{job.name}_{key}_{time.time_ns()}")

    def _outcome(self, job: Job) -> dict[str, str]:
        code = self._run(job)
        if code is None:
            return {"state": "stopped", "cause": ""}
        if code == 0 and (self.out / job.name / job.done).exists():
            return {"state": "done", "cause": ""}
        text = self._path(job, "log").read_text(encoding="utf-8", errors="replace")
        said = [line for line in text.splitlines() if line.strip() and not line.startswith("--- ")] or [
            "no word"
        ]
        cause = f"{job.name}/{job.done} is not there" if code == 0 else f"{said[-1][:300]} (exit code {code})"
        return {"state": "failed", "cause": cause}

    def _run(self, job: Job) -> int | None:
        """The exit code of the command; None where the time was up before its end."""
        with open(self._path(job, "log"), "a", encoding="utf-8") as log:
            print(f"--- {time.strftime('%F %T')} {shlex.join(job.words)}", file=log, flush=True)
            # in a session of its own Ctrl-C reaches this process alone, which then asks the command to end
            process = subprocess.Popen(
                [sys.executable, *job.words], stdout=log, stderr=log, cwd=ROOT, start_new_session=True
            )
            try:
                return process.wait(self._left())
            except subprocess.TimeoutExpired:
                return None
            finally:
                stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a command to end as Ctrl-C does, then firmly; what it began ends with it."""
    for number, patience in PATIENCE_S.items():
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Work a plan off; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--plan", type=Path, default=PLAN, help=f"default {PLAN.relative_to(ROOT)}")
    parser.add_argument(
        "--data", nargs="*", default=[], metavar="NAME=DIR", help="folders that the plan names"
    )
    parser.add_argument("--out", type=Path, default=Path("out/experiments"), help="default out/experiments")
    parser.add_argument("--budget", help="one of the plan's budgets; default: its first")
    parser.add_argument("--minutes", type=float, help="stop after so long; the same command goes on")
    parser.add_argument("--only", nargs="*", default=["*"], metavar="JOB", help="these and what they need")
    parser.add_argument("--list", action="store_true", help="print states, do nothing")
    try:
        return work(parser.parse_args(argv))
    except FusionError as error:
        print(f"experiments: {error}", file=sys.stderr)
        return 2


def work(args: argparse.Namespace) -> int:
    """Do what is asked for and print the table; raises `FusionError`."""
    plan, out = load_config(args.plan, PlanFile), args.out.resolve()
    data = dict(_folder(each) for each in args.data)
    queue = Queue(jobs_of(plan, args.budget or next(iter(plan.budgets)), data, out), out, args.minutes)
    jobs, code = queue.chosen(args.only or ["*"]), 0
    if not args.list:
        (out / "queue").mkdir(parents=True, exist_ok=True)
        with open(out / "queue" / "lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                queue.work(jobs)
            except BlockingIOError:
                raise ConfigurationError(f"{out}: another queue works in it; name another --out") from None
            except KeyboardInterrupt:
                code = 130
    print(queue.table(jobs))
    states = {queue.state(job) for job in jobs}
    return code or (0 if args.list or states == {"done"} else 1 if "failed" in states else 3)


def _folder(text: str) -> tuple[str, str]:
    name, _, folder = text.partition("=")
    if not folder or not Path(folder).exists():
        raise ConfigurationError(f"--data {text}: expected NAME=DIR with a folder that is there")
    return name, str(Path(folder).resolve())


if __name__ == "__main__":
    for number in PATIENCE_S:  # in the background too, where a shell has commands ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
