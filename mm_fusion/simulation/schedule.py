"""What happens in a drive, in order of receipt: a stream that never holds more than is under way."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mm_fusion.simulation import odometry
from mm_fusion.simulation.clocks import SensorClock, Tick, ticks
from mm_fusion.simulation.faults import Delivery, Fault, deliver

TRUTH_DELAY_NS = 400_000_000
"""Truth follows its moment by so much, when what was measured of it has been received."""


@dataclass(frozen=True, slots=True)
class OdometryDue:
    """Odometry number `index` is received."""

    index: int


@dataclass(frozen=True, slots=True)
class TruthDue:
    """The truth of the reference sensor's `tick` is told."""

    tick: Tick


Due = Delivery | OdometryDue | TruthDue


def schedule(
    clocks: Mapping[str, SensorClock],
    faults: Mapping[str, tuple[tuple[int, Fault], ...]],
    reference: str,
    drive: odometry.Odometry,
    seconds: float,
    seed: int,
) -> Iterator[tuple[int, Due]]:
    """(receipt from the drive's start in ns, what is due), in order; equal ones as they were measured."""
    waiting: list[tuple[int, int, Due]] = []
    for number, (time_ns, receipt_ns, due) in enumerate(
        _measured(clocks, faults, reference, drive, seconds, seed)
    ):
        while waiting and waiting[0][0] <= time_ns:
            yield _next(waiting)
        heapq.heappush(waiting, (receipt_ns, number, due))
    while waiting:
        yield _next(waiting)


def _next(waiting: list[tuple[int, int, Due]]) -> tuple[int, Due]:
    receipt_ns, _, due = heapq.heappop(waiting)
    return receipt_ns, due


def _measured(
    clocks: Mapping[str, SensorClock],
    faults: Mapping[str, tuple[tuple[int, Fault], ...]],
    reference: str,
    drive: odometry.Odometry,
    seconds: float,
    seed: int,
) -> Iterator[tuple[int, int, Due]]:
    """(time, receipt, what) in order of time; nothing is received before its time."""
    streams = [
        (_deliveries(name, clock, faults.get(name, ()), name == reference, seconds, seed))
        for name, clock in clocks.items()
    ]
    return heapq.merge(*streams, _odometry(drive, seconds), key=lambda entry: entry[0])


def _deliveries(
    name: str,
    clock: SensorClock,
    faults: tuple[tuple[int, Fault], ...],
    with_truth: bool,
    seconds: float,
    seed: int,
) -> Iterator[tuple[int, int, Due]]:
    for tick in ticks(name, clock, seconds, seed):
        delivery = deliver(tick, clock, faults, seed)
        yield tick.time_ns, delivery.receipt_ns, delivery
        if with_truth:
            yield tick.time_ns, tick.time_ns + TRUTH_DELAY_NS, TruthDue(tick)


def _odometry(drive: odometry.Odometry, seconds: float) -> Iterator[tuple[int, int, Due]]:
    """Until a little after the last measurement, which needs the motion after it too."""
    for index in range(round(seconds * 1e9) // odometry.PERIOD_NS + 10):
        yield index * odometry.PERIOD_NS, drive.receipt_ns(index), OdometryDue(index)
