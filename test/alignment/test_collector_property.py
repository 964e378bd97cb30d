"""The collector's promises over all orders of arrival: hypothesis searches for one that breaks them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.alignment.collector import Collector, Release
from mm_fusion.alignment.sensor_state import SensorTiming
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import DropLog

MS = 1_000_000
DELAY_NS = 90 * MS
SECONDS = 1.5


@dataclass(frozen=True)
class Source:
    """One sensor of a drawn vehicle, and the times of what it measures."""

    name: str
    timing: SensorTiming
    times: tuple[int, ...]


def content(releases: list[Release]) -> list[tuple]:
    """What frames hold, comparable: reference time, chosen and earlier times by sensor."""
    return [
        (
            r.stamp_ns,
            tuple(sorted((name, item.time_ns, item.payload) for name, item in r.chosen.items())),
            tuple(sorted((name, tuple(item.time_ns for item in items)) for name, items in r.earlier.items())),
        )
        for r in releases
    ]


@st.composite
def sources(draw: st.DrawFn) -> tuple[Source, ...]:
    """Two to five sensors of 8 to 25 Hz whose intervals deviate from the period by a bounded jitter.

    Where all times lie on one coarse grid, equal stamps and equal distances are frequent.
    """
    found = []
    grid = draw(st.sampled_from([1, 5, 10]))
    times_of = random.Random(draw(st.integers(0, 2**32)))
    for index in range(draw(st.integers(2, 5))):
        period = draw(st.integers(40 // grid, 120 // grid)) * grid
        jitter = draw(st.integers(0, 30 // grid)) * grid
        times = [times_of.randint(0, 100 // grid) * grid]
        while times[-1] < SECONDS * 1000:
            times.append(times[-1] + period + times_of.randint(-jitter // grid, jitter // grid) * grid)
        timing = SensorTiming(
            max_age_ns=draw(st.integers(20, 200)) * MS,
            sweeps=draw(st.integers(0, 3)),
            period_ns=period * MS,
            latency_ns=DELAY_NS,
            jitter_ns=jitter * MS,
        )
        found.append(Source(f"s{index}", timing, tuple(time * MS for time in times)))
    return tuple(found)


@st.composite
def arrivals(draw: st.DrawFn, drawn: tuple[Source, ...]) -> list[tuple[int, str, int]]:
    """(receipt, sensor, time) of one interleaving: each sensor in its own order, delays of 0 to `DELAY_NS`.

    The first message of every sensor comes in the first instant, so that every sensor has sent.
    """
    start = max(source.times[0] for source in drawn) + DELAY_NS
    delays = random.Random(draw(st.integers(0, 2**32)))
    events = []
    for source in drawn:
        receipt = start
        events.append((receipt, source.name, source.times[0]))
        grid = draw(st.sampled_from([1, 10 * MS, 40 * MS]))
        quickest, slowest = sorted((draw(st.integers(0, DELAY_NS)), draw(st.integers(0, DELAY_NS))))
        for time in source.times[1:]:
            arrival = time + delays.randint(quickest, slowest)
            receipt = max(receipt, start, min(arrival + (-arrival) % grid, time + DELAY_NS))
            events.append((receipt, source.name, time))
    order = draw(st.permutations(sorted({source.name for source in drawn})))
    return sorted(events, key=lambda event: (event[0], order.index(event[1]), event[2]))


def alignment_of(
    drawn: tuple[Source, ...], references: int, offset_ms: float, rate_hz: float
) -> AlignmentConfig:
    """A budget that outlasts every expected arrival, and sensors that do not fall silent."""
    return AlignmentConfig(
        reference=[source.name for source in drawn[:references]],
        reference_offset_ms=offset_ms,
        rate_hz=rate_hz,
        budget_ms=500,
        silent_periods=100,
        future_ms=200,
    )


def run(
    drawn: tuple[Source, ...], alignment: AlignmentConfig, events: list[tuple[int, str, int]]
) -> tuple[list[Release], DropLog]:
    """All frames of one interleaving, and what was dropped."""
    drops = DropLog()
    collector = Collector({source.name: source.timing for source in drawn}, alignment, drops)
    releases: list[Release] = []
    for receipt, name, time in events:
        releases += collector.add(name, time, receipt, (name, time))
    return releases + collector.flush(), drops


def expected(drawn: tuple[Source, ...], alignment: AlignmentConfig) -> list[tuple]:
    """The frames by definition: from all that each sensor ever measured, without any order of arrival."""
    reference = drawn[0]
    rate_period = round(1e9 / alignment.rate_hz)
    apart = rate_period - min(reference.timing.period_ns or 0, rate_period) // 2
    frames, last = [], None
    for opening in reference.times:
        if last is not None and opening - last < apart:
            continue
        last = opening
        stamp = opening + round(alignment.reference_offset_ms * 1e6)
        chosen, earlier = [], []
        for source in drawn:
            near = opening if source is reference else min(source.times, key=lambda t: (abs(t - stamp), t))
            if source is not reference and abs(near - stamp) > source.timing.max_age_ns:
                continue
            chosen.append((source.name, near, (source.name, near)))
            reach = stamp - (source.timing.sweeps + 1) * source.timing.max_age_ns
            older = [t for t in source.times if reach <= t < near][-source.timing.sweeps :]
            if source.timing.sweeps and older:
                earlier.append((source.name, tuple(reversed(older))))
        frames.append((stamp, tuple(sorted(chosen)), tuple(sorted(earlier))))
    return frames


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_all_interleavings_give_the_frames_of_the_definition(data: st.DataObject) -> None:
    drawn = data.draw(sources())
    alignment = alignment_of(
        drawn,
        references=data.draw(st.integers(1, 2)),
        offset_ms=data.draw(st.sampled_from([0.0, 0.0, 20.0, -30.0])),
        rate_hz=data.draw(st.sampled_from([10.0, 20.0, 7.0])),
    )
    releases, drops = run(drawn, alignment, data.draw(arrivals(drawn)))
    assert content(releases) == expected(drawn, alignment)
    assert drops.total() == 0


@st.composite
def calls(draw: st.DrawFn, jumps: bool = True) -> list[tuple[str, int, int]]:
    """(sensor, time, receipt) with repeats, gaps and bursts; and with jumps of stamps and receipt times."""
    receipt, log = 10_000 * MS, []
    offsets = {"a": 0, "b": 0, "c": 0}
    for _ in range(draw(st.integers(1, 80))):
        name = draw(st.sampled_from("abc"))
        rare = [0, 1, 7 * MS, 100 * MS, 400 * MS, 3000 * MS, *([-500 * MS] if jumps else [])]
        receipt += draw(st.sampled_from([0, 5 * MS, 33 * MS] if draw(st.integers(0, 9)) else rare))
        if jumps and draw(st.integers(0, 14)) == 0:
            offsets[name] = draw(st.sampled_from([0, 37_000 * MS, -37_000 * MS, -300 * MS, 80 * MS]))
        time = receipt + offsets[name] - draw(st.sampled_from([0, 20 * MS, 60 * MS, 140 * MS]))
        log.append((name, time, receipt))
    return log


def odd_collector(drops: DropLog) -> Collector:
    timings = {name: SensorTiming(150 * MS, sweeps=index) for index, name in enumerate("abc")}
    return Collector(timings, AlignmentConfig(reference=["a", "b"], queue=8), drops)


@settings(max_examples=100, deadline=None)
@given(calls(), st.data())
def test_the_moments_of_polls_change_no_frame(log: list[tuple[str, int, int]], data: st.DataObject) -> None:
    drops, drops_polled = DropLog(), DropLog()
    plain, polled = odd_collector(drops), odd_collector(drops_polled)
    frames: list[Release] = []
    frames_polled: list[Release] = []
    for index, (name, time, receipt) in enumerate(log):
        frames += plain.add(name, time, receipt, index)
        frames_polled += polled.add(name, time, receipt, index)
        following = log[index + 1][2] if index + 1 < len(log) else receipt + 5000 * MS
        if following > receipt:
            for now in sorted(data.draw(st.lists(st.integers(receipt, following), max_size=3))):
                frames_polled += polled.poll(now)
    frames += plain.flush()
    frames_polled += polled.flush()
    assert content(frames_polled) == content(frames)
    assert [r.reason for r in frames_polled] == [r.reason for r in frames]
    assert drops_polled.counts() == drops.counts()
    assert polled.resets == plain.resets


@settings(max_examples=100, deadline=None)
@given(calls())
def test_a_host_that_polls_when_due_gives_the_frames_of_a_bag(log: list[tuple[str, int, int]]) -> None:
    drops, drops_live = DropLog(), DropLog()
    offline, live = odd_collector(drops), odd_collector(drops_live)
    frames: list[Release] = []
    frames_live: list[Release] = []
    for index, (name, time, receipt) in enumerate(log):
        frames += offline.add(name, time, receipt, index)
        due = live.next_due_ns()
        while due is not None and due <= receipt:
            frames_live += live.poll(due)
            due = live.next_due_ns()
        frames_live += live.add(name, time, receipt, index)
    assert content(frames_live + live.flush()) == content(frames + offline.flush())
    assert drops_live.counts() == drops.counts()


@settings(max_examples=100, deadline=None)
@given(calls(jumps=False))
def test_frames_go_out_in_order_of_reference_time(log: list[tuple[str, int, int]]) -> None:
    collector = odd_collector(DropLog())
    releases: list[Release] = []
    for index, (name, time, receipt) in enumerate(log):
        releases += collector.add(name, time, receipt, index)
    stamps = [release.stamp_ns for release in releases + collector.flush()]
    assert stamps == sorted(set(stamps))


@settings(max_examples=100, deadline=None)
@given(calls())
def test_memory_is_bounded_whatever_comes(log: list[tuple[str, int, int]]) -> None:
    collector = odd_collector(DropLog())
    for index, (name, time, receipt) in enumerate(log):
        assert all(release.chosen for release in collector.add(name, time, receipt, index))
        assert all(len(queue.times) == len(queue.items) <= 8 for queue in collector._all)
