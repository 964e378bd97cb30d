"""Rates, gaps, latency and offsets of known stamps."""

from __future__ import annotations

import pytest

from mm_fusion.bags.timing import offset_ms, timing_of

MS = 1_000_000


def test_nothing_and_one() -> None:
    assert timing_of([], []).count == 0
    one = timing_of([5 * MS], [8 * MS])
    assert (one.count, one.period_ms, one.rate_hz, one.latency_ms) == (1, None, None, 3.0)
    assert offset_ms([], [1]) is None and offset_ms([1], []) is None


def test_period_gaps_and_latency() -> None:
    stamps = [i * 100 * MS for i in range(20) if i not in (7, 8, 9)]
    timing = timing_of(stamps, [stamp + 40 * MS for stamp in stamps])
    assert timing.period_ms == 100 and timing.rate_hz == 10 and timing.gaps == 1
    assert timing.largest_gap_s == pytest.approx(0.4)
    assert timing.latency_ms == 40 and timing.latency_spread_ms == 0


def test_backward_and_equal_stamps_are_counted() -> None:
    timing = timing_of([0, 10, 5, 5, 20], [0, 10, 20, 30, 40])
    assert (timing.backwards, timing.duplicates) == (1, 1)


def test_offset_is_to_the_nearest() -> None:
    reference = [0, 100 * MS, 200 * MS]
    found = offset_ms([30 * MS, 130 * MS, 230 * MS], reference)
    assert found == pytest.approx((30.0, 0.0))
    found = offset_ms([90 * MS, 190 * MS], reference)
    assert found == pytest.approx((-10.0, 0.0))
