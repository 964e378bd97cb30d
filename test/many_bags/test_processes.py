"""Processes beside each other: the same results as here, and a crash that takes no other along."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from mm_fusion.cli.run import only_sensors
from mm_fusion.config import load_vehicle
from mm_fusion.many_bags.conductor import Share
from mm_fusion.many_bags.processes import ProcessEngine
from mm_fusion.many_bags.tasks import BagOutcome, BagTask, attempt

SAMPLE = Path(__file__).resolve().parents[2] / "rosbags" / "sample"
VEHICLE = only_sensors(load_vehicle("nuscenes_like"), ["radar"])


def ends(engine: ProcessEngine, count: int) -> list[BagOutcome]:
    found: list[BagOutcome] = []
    last_s = time.monotonic() + 60
    while len(found) < count and time.monotonic() < last_s:
        found += [each for each in engine.wait() if not isinstance(each, Share)]
    return found


@pytest.fixture
def engine() -> ProcessEngine:
    return ProcessEngine(1)


def test_nothing_to_do_waits_and_closes(engine: ProcessEngine) -> None:
    assert engine.wait() == []
    engine.close()


def test_the_same_text_as_in_this_process(engine: ProcessEngine) -> None:
    task = BagTask("a", SAMPLE, VEHICLE, "geometric")
    engine.submit(task)
    [ended] = ends(engine, 1)
    engine.close()
    assert ended.error is None
    assert ended.text == attempt(task, lambda _: None).text


def test_a_killed_process_is_a_cause_and_the_next_task_runs(engine: ProcessEngine) -> None:
    for name in ("a", "b"):
        engine.submit(BagTask(name, SAMPLE, VEHICLE, "geometric"))
    [(_, process)] = engine._running.values()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    first, second = ends(engine, 2)
    engine.close()
    assert first.name == "a" and "SIGKILL" in str(first.error)
    assert second.name == "b" and second.error is None


def test_closing_ends_what_runs(engine: ProcessEngine) -> None:
    engine.submit(BagTask("a", SAMPLE, VEHICLE, "geometric"))
    [(_, process)] = engine._running.values()
    engine.close()
    assert not process.is_alive()
