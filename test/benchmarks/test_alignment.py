from __future__ import annotations

from test.benchmarks.bench_alignment import SENSORS, cases, collect, drive, synchronise
from test.benchmarks.plain import PlainApproximateTime


def test_every_case_runs():
    assert all(row.ours_ms > 0 and row.plain_ms > 0 for row in cases(1, seconds=2.0))


def test_with_one_topic_silent_ours_goes_on_and_the_synchroniser_does_not():
    alive, silent = drive(5.0), drive(5.0, SENSORS[-1])
    assert collect(alive) == collect(silent) == 50
    assert synchronise(alive, PlainApproximateTime) >= 45
    assert synchronise(silent, PlainApproximateTime) <= 10
