"""Alignment of 12 sensors beside a Python synchroniser: `python -m test.benchmarks.bench_alignment [RUNS]`.

Times are per message, the collector's with the poll of a live host after each. A Python synchroniser is
message_filters', which counts in rclpy's Time; one on bare integers stands beside it. With one topic silent
the synchroniser emits nothing; the collector goes on.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from mm_fusion.alignment.collector import Collector
from mm_fusion.alignment.sensor_state import SensorTiming
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import DropLog
from test.benchmarks.harness import Ratio, print_table, side_by_side
from test.benchmarks.plain import PlainApproximateTime, PlainRosApproximateTime

MS = 1_000_000
SENSORS = ("lidar", *(f"camera{i}" for i in range(6)), *(f"radar{i}" for i in range(5)))
Call = tuple[str, int, int]


def drive(seconds: float = 20.0, silent: str = "") -> list[Call]:
    """(sensor, time, receipt) of 12 sensors of 10 Hz, each with its phase, jitter and latency, by receipt."""
    draw = random.Random(7)
    calls = []
    for sensor in SENSORS:
        phase, latency = draw.randint(0, 20) * MS, draw.randint(5, 40) * MS
        for cycle in range(int(seconds * 10)):
            time = cycle * 100 * MS + phase + draw.randint(-2 * MS, 2 * MS)
            calls.append((sensor, time, time + latency + draw.randint(0, 5 * MS)))
    kept = [call for call in calls if call[0] != silent or call[1] < 1000 * MS]
    return sorted(kept, key=lambda call: call[2])


def collect(calls: list[Call]) -> int:
    """Number of frames of the collector, polled after each message as a live host does."""
    timings = {sensor: SensorTiming(150 * MS) for sensor in SENSORS}
    collector = Collector(timings, AlignmentConfig(reference=["lidar"]), DropLog())
    frames = 0
    for sensor, time, receipt in calls:
        frames += len(collector.add(sensor, time, receipt, None))
        frames += len(collector.poll(receipt + 1))
    return frames + len(collector.flush())


def synchronise(calls: list[Call], kind: type[PlainApproximateTime]) -> int:
    """Number of sets of a plain synchroniser."""
    plain = kind(SENSORS, queue_size=10, slop_ns=50 * MS)
    for sensor, time, _ in calls:
        plain.add(sensor, time, None)
    return len(plain.sets)


def cases(runs: int, seconds: float = 20.0) -> Iterator[Ratio]:
    """All sensors alive, then one silent after the first second; beside rclpy's times and beside integers."""
    for silent in ("", "radar4"):
        calls = drive(seconds, silent)
        for kind, label, aim in (
            (PlainRosApproximateTime, "Time", "<= 1, still emitting"),
            (PlainApproximateTime, "int", ""),
        ):
            if kind is PlainRosApproximateTime and find_spec("rclpy") is None:
                continue
            out = f"{collect(calls)} | {synchronise(calls, kind)} out"
            name = f"12 sensors{', 1 silent' if silent else ''} ({label}): {out}"
            ours, plain = partial(collect, calls), partial(synchronise, calls, kind)
            ratio = side_by_side(ours, plain, runs, name, aim)
            yield replace(ratio, ours_ms=ratio.ours_ms / len(calls), plain_ms=ratio.plain_ms / len(calls))


if __name__ == "__main__":
    print_table(cases(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
