"""What the collector keeps of one sensor: its timing, its queue, and whether it is alive."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Literal

from mm_fusion.alignment.stamps import StampStatistics
from mm_fusion.config import AlignmentConfig, SensorConfig

KEEP_NS = 2_000_000_000
"""A queue reaches back this far beyond what the newest message could need: a reference may lag by as much."""


@dataclass(frozen=True, slots=True)
class SensorTiming:
    """What the collector is told of one sensor, ns; None: measured.

    latency_ns: p90 of receipt minus time. jitter_ns: bound on how much shorter than the period an interval
    is. stamp_offset_ns: what is already added to its stamps.
    """

    max_age_ns: int
    sweeps: int = 0
    period_ns: int | None = None
    latency_ns: int | None = None
    jitter_ns: int | None = None
    stamp_offset_ns: int = 0

    @classmethod
    def of(cls, config: SensorConfig) -> SensorTiming:
        """The timing that a vehicle file gives; earlier sweeps only for LiDAR and radar."""
        return cls(
            max_age_ns=round(config.max_age_ms * 1e6),
            sweeps=config.sweeps if config.kind in ("lidar", "radar") else 0,
            period_ns=_ns(config.period_ms),
            latency_ns=_ns(config.latency_ms),
            jitter_ns=_ns(config.jitter_ms),
            stamp_offset_ns=round(config.stamp_offset_ms * 1e6),
        )


def _ns(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds * 1e6)


@dataclass(frozen=True, slots=True)
class Stamped:
    """One measurement as it came: middle of its scan or exposure, when it was received, and what it is."""

    time_ns: int
    receipt_ns: int
    payload: Any


@dataclass(frozen=True, slots=True)
class SensorState:
    """One sensor for diagnostics, as of the collector's newest time; numbers are None until known.

    liveness: `never` until any message came. period_ms and rate_hz of the stamps, jitter_ms the largest
    deviation from the period, latency as receipt minus time: all measured, whatever was given.
    suggested_stamp_offset_ms: the `stamp_offset_ms` that cures a constant offset above 1 s against the other
    sensors, else None.
    """

    liveness: Literal["alive", "silent", "never"]
    period_ms: float | None = None
    rate_hz: float | None = None
    latency_p50_ms: float | None = None
    latency_p90_ms: float | None = None
    jitter_ms: float | None = None
    last_time_ns: int | None = None
    last_receipt_ns: int | None = None
    suggested_stamp_offset_ms: float | None = None


class SensorQueue:
    """The measurements of one sensor in order of time, with its statistics and liveness.

    accepted_ns: newest time taken in. sent_ns: newest of what was taken in or came too late, which is what
    alive, awaited and overdue go by. silent_ns: when it falls silent if nothing more comes, in receipt time.
    heard_receipt_ns, unheard_ns: the same of all that statistics took in, which includes the messages of a
    clock that is constantly ahead. All are None while nothing came.
    """

    __slots__ = (
        "name",
        "timing",
        "stats",
        "times",
        "items",
        "keep_ns",
        "rate_period_ns",
        "silent_periods",
        "taken_ns",
        "accepted_ns",
        "sent_ns",
        "silent_ns",
        "heard_receipt_ns",
        "unheard_ns",
        "ever_seen",
        "odd_run",
        "went_back",
    )

    def __init__(self, name: str, timing: SensorTiming, alignment: AlignmentConfig) -> None:
        self.name = name
        self.timing = timing
        self.keep_ns = (timing.sweeps + 1) * timing.max_age_ns + round(alignment.budget_ms * 1e6) + KEEP_NS
        self.rate_period_ns = round(1e9 / alignment.rate_hz)
        self.silent_periods = alignment.silent_periods
        self.stats = StampStatistics(timing.period_ns, timing.latency_ns, timing.jitter_ns)
        self.ever_seen = False
        self.times: list[int] = []
        self.items: list[Stamped] = []
        self.taken_ns: int | None = None
        self.restart()

    def restart(self) -> int:
        """Start anew: queue, stamps and latency; returns how many queued measurements no frame had taken."""
        unused = self.unused()
        self.stats.restart()
        self.times.clear()
        self.items.clear()
        self.taken_ns = None
        self.accepted_ns: int | None = None
        self.sent_ns: int | None = None
        self.silent_ns: int | None = None
        self.heard_receipt_ns: int | None = None
        self.unheard_ns: int | None = None
        self.odd_run = 0
        self.went_back = False
        return unused

    def unused(self) -> int:
        """Number of queued measurements newer than what a frame took last."""
        return len(self.times) - (0 if self.taken_ns is None else bisect_left(self.times, self.taken_ns + 1))

    def period_ns(self) -> int:
        """The sensor's period, given or measured; that of the frame rate while it is not known."""
        return self.stats.period_ns or self.rate_period_ns

    def alive(self, now_ns: int) -> bool:
        """Whether a message that was used or came too late was received within `silent_periods`."""
        return self.silent_ns is not None and now_ns < self.silent_ns

    def heard(self, now_ns: int) -> bool:
        """Whether a plausible message was received within `silent_periods`, usable or not."""
        return self.unheard_ns is not None and now_ns < self.unheard_ns

    def overdue_at_ns(self) -> int | None:
        """Two periods and the p90 latency after its last stamp, in receipt time; None: it has never sent."""
        if self.sent_ns is None:
            return None
        return self.sent_ns + 2 * self.period_ns() + (self.stats.latency_p90_ns or 0)

    def awaited(self, stamp_ns: int, deadline_ns: int) -> bool:
        """Whether, unless silent, something nearer to `stamp_ns` is to come and expected by `deadline_ns`.

        Expected is its next message that is within `max_age`: one period after its last unless it lags by
        more.
        """
        last, stats = self.sent_ns, self.stats
        if last is None or last >= stamp_ns:
            return False
        given, jitter = stats.period_ns, stats.jitter_ns
        if given is not None and jitter is not None and last >= stamp_ns - max(0, given - jitter) // 2:
            return False
        period = given or self.rate_period_ns
        missing = stamp_ns - self.timing.max_age_ns - last
        periods = -(-missing // period) if missing > period else 1
        return last + periods * period + (stats.latency_p90_ns or 0) <= deadline_ns

    def holds(self, time_ns: int) -> bool:
        """Whether a measurement of exactly this time is queued."""
        if self.accepted_ns is None or time_ns > self.accepted_ns:
            return False
        index = bisect_left(self.times, time_ns)
        return index < len(self.times) and self.times[index] == time_ns

    def observe(self, time_ns: int, receipt_ns: int) -> None:
        """Take a plausible message into the statistics."""
        self.stats.observe(time_ns, receipt_ns)
        self.heard_receipt_ns = receipt_ns
        self.unheard_ns = receipt_ns + int(self.silent_periods * self.period_ns())
        self.ever_seen = True

    def note_sent(self, time_ns: int, receipt_ns: int) -> None:
        """Take in that a message of this time came, used or too late: it wakes a silent sensor."""
        self.sent_ns = time_ns if self.sent_ns is None else max(self.sent_ns, time_ns)
        self.silent_ns = receipt_ns + int(self.silent_periods * self.period_ns())

    def insert(self, item: Stamped) -> None:
        """Sort a measurement in; what is too old for any frame to come is let go."""
        self.note_sent(item.time_ns, item.receipt_ns)
        times = self.times
        if not times or item.time_ns > times[-1]:
            times.append(item.time_ns)
            self.items.append(item)
            self.accepted_ns = item.time_ns
        else:
            index = bisect_left(times, item.time_ns)
            times.insert(index, item.time_ns)
            self.items.insert(index, item)
        self.odd_run = 0
        self.went_back = False
        if times[0] < times[-1] - self.keep_ns:
            self._let_go(bisect_left(times, times[-1] - self.keep_ns))

    def _let_go(self, count: int) -> None:
        if count > 0:
            del self.times[:count]
            del self.items[:count]

    def drop_oldest(self, limit: int) -> int:
        """Hold at most `limit` measurements; returns how many of the oldest went."""
        excess = len(self.times) - limit
        self._let_go(excess)
        return max(0, excess)

    def nearest(self, stamp_ns: int) -> int | None:
        """Index of the measurement nearest to `stamp_ns` within `max_age`, the earlier of two, or None."""
        times = self.times
        after = bisect_left(times, stamp_ns)
        best = after
        if after == len(times) or (after > 0 and stamp_ns - times[after - 1] <= times[after] - stamp_ns):
            best = after - 1
        if best < 0 or abs(times[best] - stamp_ns) > self.timing.max_age_ns:
            return None
        return best

    def earlier(self, index: int, stamp_ns: int) -> tuple[Stamped, ...]:
        """Up to `sweeps` before `index`, newest first, within (sweeps + 1) times `max_age` of the frame."""
        sweeps = self.timing.sweeps
        if not sweeps:
            return ()
        oldest = bisect_left(self.times, stamp_ns - (sweeps + 1) * self.timing.max_age_ns)
        return tuple(reversed(self.items[max(0, oldest, index - sweeps) : index]))

    def release(self, stamp_ns: int, chosen_ns: int | None) -> None:
        """A frame at `stamp_ns` took the measurement at `chosen_ns`: let go what no later frame can want."""
        sweeps = self.timing.sweeps
        if chosen_ns is None:
            self._let_go(bisect_left(self.times, stamp_ns - self.timing.max_age_ns) - sweeps)
            return
        self.taken_ns = chosen_ns if self.taken_ns is None else max(self.taken_ns, chosen_ns)
        self._let_go(bisect_left(self.times, chosen_ns) - sweeps)
