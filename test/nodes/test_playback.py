from __future__ import annotations

from mm_fusion.nodes.playback import Schedule, clock_ticks


def test_no_ticks_between_equal_times_or_without_a_step() -> None:
    assert list(clock_ticks(5, 5, 10)) == []
    assert list(clock_ticks(0, 100, 0)) == []


def test_ticks_lie_strictly_between() -> None:
    assert list(clock_ticks(0, 30, 10)) == [10, 20]


def test_rate_shortens_the_wait() -> None:
    assert Schedule(begin_ns=1_000_000_000, rate=2.0).due_s(3_000_000_000) == 1.0


def test_a_pause_left_out_moves_all_that_follows() -> None:
    schedule = Schedule(begin_ns=0, rate=1.0).without(5_000_000_000)
    assert schedule.due_s(6_000_000_000) == 1.0
