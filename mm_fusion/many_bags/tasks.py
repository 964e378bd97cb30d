"""One recording as a task that any process on any machine can do: the same bytes come back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mm_fusion.config import VehicleConfig
from mm_fusion.errors import FusionError
from mm_fusion.evaluation.detections_file import write_detections
from mm_fusion.offline import OfflineRun, input_hashes, results_file, run_bag

TELL_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class BagTask:
    """What a worker needs to detect in one recording.

    name: unique among the tasks, and of the files that are written. options: what `make_detector` takes
    beside model and vehicle. known: input hashes of the results that are there already, empty without any.
    """

    name: str
    path: Path
    vehicle: VehicleConfig
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BagOutcome:
    """How a task ended: with the text of a detections.json, skipped, or with the cause of its failure.

    detections: number by class; drops: {sensor: {reason: count}}; seconds: of the last attempt.
    """

    name: str
    text: str | None = None
    skipped: bool = False
    error: str | None = None
    frames: int = 0
    detections: Mapping[str, int] = field(default_factory=dict)
    drops: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    recorded_s: float = 0.0
    seconds: float = 0.0
    attempts: int = 1


def attempt(task: BagTask, progress: Callable[[float], None]) -> BagOutcome:
    """Detect in one recording; never raises: what goes wrong is the outcome.

    progress: takes the share of the recording that is done, at most five times a second.
    """
    start_s = time.perf_counter()
    try:
        outcome = _detected(task, _seldom(progress))
    except FusionError as error:
        outcome = BagOutcome(task.name, error=str(error))
    except Exception as error:
        outcome = BagOutcome(task.name, error=f"{type(error).__name__}: {error}")
    return replace(outcome, seconds=time.perf_counter() - start_s)


def _detected(task: BagTask, progress: Callable[[float], None]) -> BagOutcome:
    inputs = input_hashes(task.path, task.vehicle, task.model) if task.path.exists() else {}
    if inputs and inputs == task.known:
        return BagOutcome(task.name, skipped=True)
    run = run_bag(task.path, task.vehicle, task.model, progress, **task.options)
    if run.interrupted:
        # a part of a recording must never pass for the whole
        return BagOutcome(task.name, error="interrupted")
    return BagOutcome(
        task.name,
        _text(run, task.vehicle, inputs),
        frames=len(run.results),
        detections=run.detections_by_class(),
        drops=run.drops,
        problems=tuple(run.problems),
        recorded_s=run.recorded_s,
    )


def _text(run: OfflineRun, vehicle: VehicleConfig, inputs: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(prefix="mm_fusion_") as folder:
        path = Path(folder, "detections.json")
        write_detections(path, results_file(run, vehicle, inputs))
        return path.read_text(encoding="utf-8")


def _seldom(progress: Callable[[float], None]) -> Callable[[float], None]:
    last_s = 0.0

    def tell(share: float) -> None:
        nonlocal last_s
        now_s = time.perf_counter()
        if now_s - last_s >= TELL_EVERY_S:
            last_s = now_s
            progress(share)

    return tell
