"""Measuring in several processes: a measurement depends on its own keys alone, so any process may make it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mm_fusion.config import VehicleConfig
from mm_fusion.simulation.faults import Delivery
from mm_fusion.simulation.rig import Measured, Rig, RigOptions
from mm_fusion.simulation.schedule import Due

AHEAD = 12
"""Measurements under way for each process."""


@dataclass(frozen=True)
class DriveSpec:
    """What a process needs to measure in a drive."""

    vehicle: VehicleConfig
    scenario: str
    seed: int
    weather: str
    duration_s: float
    options: RigOptions


class _Here:
    """The drive that this process measures in."""

    rig: Rig
    world: Any


def _begin(spec: DriveSpec) -> None:
    from mm_fusion.simulation.world import make_world

    quiet_end()
    _Here.rig = Rig(spec.vehicle, spec.seed, spec.options)
    _Here.world = make_world(spec.scenario, spec.seed, spec.weather, duration_s=spec.duration_s)


def quiet_end() -> None:
    """An interrupt ends a worker at once and without a word: its parent says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _measure(delivery: Delivery, stamp_ns: int) -> Measured:
    return _Here.rig.measure(_Here.world, delivery, stamp_ns)


@contextmanager
def process_pool(workers: int, begin: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Processes that call `begin` first; after an error or interrupt they are ended, not waited for."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, begin, arguments)
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        ours = set(multiprocessing.active_children()) - before
        pool.shutdown(wait=False, cancel_futures=True)
        for child in ours:
            child.terminate()
        raise


def measured_ahead(
    due_in_order: Iterator[tuple[int, Due]], spec: DriveSpec, start_ns: int, workers: int
) -> Iterator[tuple[int, Due, Measured | None]]:
    """What is due with what was measured for it, in order, `workers` processes some measurements ahead."""
    waiting: deque[tuple[int, Due, Future[Measured] | None]] = deque()
    with process_pool(workers, _begin, spec) as pool:
        for receipt_ns, due in due_in_order:
            future = None
            if isinstance(due, Delivery) and not due.dropped:
                future = pool.submit(_measure, due, start_ns + due.stamp_ns)
            waiting.append((receipt_ns, due, future))
            if sum(entry[2] is not None for entry in waiting) > AHEAD * workers:
                yield _finished(waiting)
        while waiting:
            yield _finished(waiting)


def _finished(
    waiting: deque[tuple[int, Due, Future[Measured] | None]],
) -> tuple[int, Due, Measured | None]:
    receipt_ns, due, future = waiting.popleft()
    return receipt_ns, due, None if future is None else future.result()
