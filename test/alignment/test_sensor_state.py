from __future__ import annotations

import pytest

from mm_fusion.alignment.sensor_state import SensorQueue, SensorTiming, Stamped
from mm_fusion.config import AlignmentConfig, SensorConfig

MS = 1_000_000


def queue_of(*times_ms: int, **timing: int) -> SensorQueue:
    queue = SensorQueue("lidar", SensorTiming(150 * MS, **timing), AlignmentConfig(reference=["lidar"]))
    for time in times_ms:
        queue.observe(time * MS, (time + 20) * MS)
        queue.insert(Stamped(time * MS, (time + 20) * MS, time))
    return queue


def test_timing_comes_from_the_vehicle_file() -> None:
    config = SensorConfig(
        kind="lidar",
        topic="/l",
        max_age_ms=90,
        sweeps=3,
        period_ms=100,
        latency_ms=20,
        jitter_ms=2,
        stamp_offset_ms=5,
    )
    assert SensorTiming.of(config) == SensorTiming(90 * MS, 3, 100 * MS, 20 * MS, 2 * MS, 5 * MS)
    camera = SensorTiming.of(SensorConfig(kind="camera", topic="/c", sweeps=3))
    assert (camera.sweeps, camera.period_ns, camera.latency_ns, camera.jitter_ns) == (0, None, None, None)


def test_an_empty_queue_is_neither_alive_nor_awaited() -> None:
    queue = queue_of()
    assert queue.nearest(0) is None
    assert not queue.alive(0) and not queue.heard(0) and not queue.holds(0)
    assert queue.overdue_at_ns() is None
    assert not queue.awaited(0, 10**18)
    assert queue.unused() == 0


@pytest.mark.parametrize(
    ("stamp_ms", "expected"),
    [(100, 100), (149, 100), (150, 100), (151, 200), (-51, None), (351, None), (350, 200)],
)
def test_nearest_takes_the_earlier_of_two_and_nothing_older_than_max_age(
    stamp_ms: int, expected: int | None
) -> None:
    queue = queue_of(100, 200)
    index = queue.nearest(stamp_ms * MS)
    assert (None if index is None else queue.items[index].payload) == expected


def test_messages_out_of_order_are_sorted_in() -> None:
    queue = queue_of(100, 300, 200)
    assert queue.times == [100 * MS, 200 * MS, 300 * MS]
    assert [item.payload for item in queue.items] == [100, 200, 300]
    assert queue.holds(200 * MS) and not queue.holds(250 * MS)


def test_a_release_keeps_what_later_frames_can_want() -> None:
    queue = queue_of(0, 100, 200, 300, sweeps=1)
    queue.release(200 * MS, 200 * MS)
    assert queue.times == [100 * MS, 200 * MS, 300 * MS]
    assert queue.unused() == 1
    queue.release(900 * MS, None)
    assert queue.times == [300 * MS]


def test_old_measurements_go_by_time_and_by_number() -> None:
    queue = queue_of(0, 100, 5000)
    assert queue.times == [5000 * MS]
    queue = queue_of(0, 100, 200)
    assert queue.drop_oldest(2) == 1
    assert queue.drop_oldest(2) == 0
    assert queue.times == [100 * MS, 200 * MS]


@pytest.mark.parametrize(
    ("last_ms", "stamp_ms", "deadline_ms", "awaited"),
    [
        (1000, 1000, 2000, False),  # at the reference time: settled
        (960, 1000, 2000, False),  # at most (100 - 20) / 2 before it
        (959, 1000, 2000, True),
        (900, 1000, 1029, False),  # expected at 1030
        (900, 1000, 1030, True),
        (200, 1000, 930, True),  # lags: the first it could use, at 900, is expected at 930
        (200, 1000, 929, False),
    ],
)
def test_what_is_awaited(last_ms: int, stamp_ms: int, deadline_ms: int, awaited: bool) -> None:
    queue = queue_of(last_ms, period_ns=100 * MS, latency_ns=30 * MS, jitter_ns=20 * MS)
    assert queue.awaited(stamp_ms * MS, deadline_ms * MS) is awaited


def test_silence_and_overdue_go_by_period_and_latency() -> None:
    queue = queue_of(0, 100, 200)
    assert queue.silent_ns == 220 * MS + 3 * 100 * MS
    assert queue.alive(519 * MS) and not queue.alive(520 * MS)
    assert queue.overdue_at_ns() == 200 * MS + 2 * 100 * MS + 20 * MS


def test_a_restart_forgets_and_tells_what_was_unused() -> None:
    queue = queue_of(0, 100, 200)
    queue.release(100 * MS, 100 * MS)
    assert queue.restart() == 1
    assert queue.times == [] and queue.sent_ns is None and queue.stats.latency_ns is None
