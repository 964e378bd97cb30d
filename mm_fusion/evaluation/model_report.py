"""A model judged on labelled frames: every subset of its sensors, every condition, one report.

Each subset and condition is a file of its own in the report's folder, so that an interrupted run goes on
where it was; the report is made of these files alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mm_fusion.detections import SENSOR_GROUPS
from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.conditions import KINDS, NAMED, Condition, full_subset, possible_subsets
from mm_fusion.evaluation.jobs import Job, Model, Source, Workplace, known_result
from mm_fusion.evaluation.json_file import read_json, write_json
from mm_fusion.evaluation.labelled_data import LabelledData

Progress = Callable[[int, int, str], None]
"""Takes frames done since the last call, frames of the whole, and what is under way."""


@dataclass(frozen=True)
class Request:
    """What a report is asked to hold.

    against: the model to compare with, and the baseline of mCE, or None; baseline_only: it runs for mCE
    alone, clean and under the simulator's faults. calibrate: frames to fit curves of scores on, or None.
    """

    model: Model
    source: Source
    subsets: Sequence[str]
    conditions: Sequence[Condition] = ()
    against: Model | None = None
    calibrate: Source | None = None
    draws: int = 1000
    workers: int = 1
    baseline_only: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The jobs of a request. subset, condition: what of the request they answer, by model `ours`, `against`.

    left_out: conditions that this vehicle cannot have, with the reason.
    """

    subsets: dict[tuple[str, str], Job]
    conditions: dict[tuple[str, str], Job]
    calibrate: dict[str, Job]
    left_out: dict[str, str]
    full: str

    def jobs(self) -> list[Job]:
        """Each job once, subsets first."""
        every = [*self.subsets.values(), *self.calibrate.values(), *self.conditions.values()]
        return list({job.key() + job.file: job for job in every}.values())


def plan_of(request: Request, data: Sequence[LabelledData], fitted: Sequence[LabelledData]) -> Plan:
    """The jobs that answer a request on opened data; `fitted`: those to calibrate on."""
    kinds = set.intersection(*(one.kinds() for one in data)) & set(KINDS)
    full = full_subset(kinds)
    subsets = possible_subsets(request.subsets, kinds)
    if not subsets:
        there = ", ".join(sorted(kinds)) or "no sensors"
        raise ConfigurationError(
            f"--subsets {','.join(request.subsets)}: the data have {there}; choose among the letters {full}"
        )
    subsets = [full, *(subset for subset in subsets if subset != full)]
    digest = " ".join(one.digest for one in data)
    blank = Job(request.model, request.source, digest, full, draws=request.draws)
    models = {"ours": request.model} | ({"against": request.against} if request.against else {})
    plan = Plan({}, {}, {}, {}, full)
    for side, model in models.items():
        bare = side == "against" and request.baseline_only
        for subset in [full] if bare else subsets:
            plan.subsets[side, subset] = replace(blank, model=model, subset=subset)
        for condition in request.conditions:
            reason = _impossible(condition, kinds)
            if reason:
                plan.left_out[condition.label] = reason
            elif not (bare and condition.name in NAMED):
                job = replace(blank, model=model)
                plan.conditions[side, condition.label] = _condition_job(job, condition)
    if request.calibrate is not None:
        digest = " ".join(one.digest for one in fitted)
        for subset in subsets:
            plan.calibrate[subset] = Job(
                request.model, request.calibrate, digest, subset, purpose="calibrate", draws=0
            )
    return plan


def _impossible(condition: Condition, kinds: set[str]) -> str:
    if condition.kind in KINDS and condition.kind not in kinds:
        return f"the vehicle has no {condition.kind}"
    if condition.fault == "lost" and len(kinds) == 1:
        return "nothing would be left"
    return ""


def _condition_job(job: Job, condition: Condition) -> Job:
    """A lost kind of sensors is a subset: not done twice."""
    if condition.fault != "lost":
        return replace(job, condition=condition)
    left = [group for group in SENSOR_GROUPS if group != condition.kind]
    letters = "".join(group[0].upper() for group in left if group[0].upper() in job.subset)
    return replace(job, subset=letters)


def run_plan(
    folder: Path,
    plan: Plan,
    workers: int = 1,
    progress: Progress | None = None,
    place: Workplace | None = None,
) -> dict[str, dict[str, Any]]:
    """The result of each job by its file; what an earlier run left whole is not done again.

    place: opened data to go on with in this process.
    """
    jobs = plan.jobs()
    place = place or Workplace()
    results: dict[str, dict[str, Any]] = {}
    sizes = {job.file: sum(len(data) for data in place.data(job.source)) for job in jobs}
    total = sum(sizes.values())
    missing = []
    for job in jobs:
        found = known_result(folder, job)
        if found is None:
            missing.append(job)
        else:
            results[job.file] = found
            _tell(progress, sizes[job.file], total, job)
    if workers > 1 and len(missing) > 1:
        _run_apart(folder, missing, workers, lambda job: _tell(progress, sizes[job.file], total, job))
    else:
        for job in missing:
            write_json(folder / job.file, place.run(job, _frame_by_frame(progress, total, job)))
    # read back, so that a fresh report and one of kept files are of the same bytes
    return {job.file: results.get(job.file) or read_json(folder / job.file) for job in jobs}


def _frame_by_frame(progress: Progress | None, total: int, job: Job) -> Callable[[int], None]:
    return lambda count: _tell(progress, count, total, job)


def _tell(progress: Progress | None, count: int, total: int, job: Job) -> None:
    if progress is not None:
        what = job.subset if job.condition is None else job.condition.label
        progress(count, total, f"{job.purpose} {what}")


class _Here:
    """What a worker process keeps."""

    place: Workplace


def _begin() -> None:
    from mm_fusion.simulation.workers import quiet_end

    quiet_end()
    _Here.place = Workplace()


def _run_here(job: Job) -> dict[str, Any]:
    return _Here.place.run(job)


def _run_apart(folder: Path, jobs: Sequence[Job], workers: int, done: Callable[[Job], None]) -> None:
    """The jobs in several processes; each result is written as it comes."""
    from mm_fusion.simulation.workers import process_pool

    with process_pool(min(workers, len(jobs)), _begin) as pool:
        running = {pool.submit(_run_here, job): job for job in jobs}
        for future in as_completed(running):
            job = running[future]
            write_json(folder / job.file, future.result())
            done(job)
