"""The deadline collector: measurements in order of receipt come in, frames in order of reference time go out.

A pure state machine without clock or thread. All calls with one receipt time are one instant; a later call
first completes the instant before it, then lets happen what is due up to its own time, and only then inserts.
So the moment of `poll` changes a frame's delay, never its content.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mm_fusion.alignment.admission import Admission, Verdict
from mm_fusion.alignment.sensor_state import SensorQueue, SensorState, SensorTiming, Stamped
from mm_fusion.config import AlignmentConfig
from mm_fusion.errors import ConfigurationError, DropLog, DropReason

END_OF_TIME_NS = 2**63


@dataclass(frozen=True, slots=True)
class Release:
    """One frame as the collector lets it go.

    stamp_ns: reference time. chosen: by sensor the measurement nearest to it, absent where there is none.
    earlier: by sensor up to `sweeps` older ones, newest first. reason: `complete` where nothing was left to
    wait for, `deadline` where the budget ended.
    """

    stamp_ns: int
    chosen: Mapping[str, Stamped]
    earlier: Mapping[str, tuple[Stamped, ...]]
    opened_receipt_ns: int
    reason: Literal["complete", "deadline"]


@dataclass(slots=True)
class _Opening:
    stamp_ns: int
    deadline_ns: int
    opener: SensorQueue
    message: Stamped


class Collector:
    """Frames out of the measurements of several sensors, each on its own time; see `Release`.

    timings: every sensor by name. drops: counts what was not used, by sensor and reason. `resets` counts
    whole resets (a recording that loops), after which a host clears what it keeps of the past: releases
    returned together with a new count are all from before.
    """

    def __init__(
        self, timings: Mapping[str, SensorTiming], alignment: AlignmentConfig, drops: DropLog
    ) -> None:
        self._budget_ns = round(alignment.budget_ms * 1e6)
        self._rate_period_ns = round(1e9 / alignment.rate_hz)
        self._offset_ns = round(alignment.reference_offset_ms * 1e6)
        self._reset_ns = round(alignment.reset_s * 1e9)
        self._limit = alignment.queue
        self._drops = drops
        self._queues = {name: SensorQueue(name, timing, alignment) for name, timing in timings.items()}
        self._all = tuple(self._queues.values())
        self._references = tuple(self._reference(name) for name in alignment.reference)
        self._admission = Admission(self._all, self._references, alignment, drops)
        self.resets = 0
        self._now_ns: int | None = None
        self._receipt_ns: int | None = None
        self._instant_open = False
        self._instant: deque[tuple[SensorQueue, Stamped]] = deque(maxlen=self._limit * len(self._references))
        self._openings: deque[_Opening] = deque()
        self._due_ns: int | None = None
        self._cut_short = False
        self._last_opening_ns: int | None = None
        self._last_released_ns: int | None = None

    def _reference(self, name: str) -> SensorQueue:
        if name not in self._queues:
            raise ConfigurationError(
                f"alignment.reference names {name!r}; sensors are {', '.join(self._queues) or 'none'}"
            )
        return self._queues[name]

    # What a host calls.

    def add(self, sensor: str, time_ns: int, receipt_ns: int, payload: Any) -> list[Release]:
        """Frames released by what was due up to `receipt_ns`; then takes in one measurement of `sensor`.

        time_ns: middle of the scan or exposure. receipt_ns: not before that of the call before, else
        everything starts anew. What cannot be used is counted in the drops.
        """
        queue = self._queues[sensor]
        released = self.advance(receipt_ns)
        now_ns = self._now_ns or 0
        latest_ns = self._admission.latest_plausible_ns(receipt_ns, now_ns)
        self._disown_a_future_opening(latest_ns, released)
        verdict = self._admission.judge(queue, time_ns, receipt_ns, now_ns, latest_ns, self._last_released_ns)
        if verdict is Verdict.DROP:
            return released
        if verdict is Verdict.RESET_ALL:
            self._let_go_all(released)
            self._start_anew(receipt_ns)
            queue.observe(time_ns, receipt_ns)
        self._insert(queue, Stamped(time_ns, receipt_ns, payload))
        return released

    def advance(self, receipt_ns: int) -> list[Release]:
        """Frames released by what was due up to `receipt_ns`, which becomes the open instant.

        For what a host receives beside measurements (transforms, camera models, ego motion): call this, use
        the frames, then take the item in. A receipt time that goes back resets everything.
        """
        if self._receipt_ns is not None and receipt_ns < self._receipt_ns:
            released = self.flush()
            self._start_anew(receipt_ns)
        else:
            released = self._proceed(receipt_ns)
        self._receipt_ns = receipt_ns
        self._instant_open = True
        return released

    def poll(self, now_ns: int) -> list[Release]:
        """Frames released by what was due up to `now_ns`; the open instant's own time completes nothing."""
        return self._proceed(now_ns)

    def flush(self) -> list[Release]:
        """All frames still open, as a poll at the end of time would release them: a recording has ended."""
        now_ns = self._now_ns
        released = self._proceed(END_OF_TIME_NS)
        self._now_ns = now_ns
        return released

    def next_due_ns(self) -> int | None:
        """When to `poll` next: 1 ns after the open instant, else the next deadline, silence or overdue."""
        now_ns = self._now_ns
        if now_ns is None:
            return None
        if self._instant_open:
            return now_ns + 1
        moments = [queue.silent_ns for queue in self._all]
        moments += [queue.overdue_at_ns() for queue in self._references]
        moments.append(self._due_ns)
        return min((moment for moment in moments if moment is not None and moment > now_ns), default=None)

    def states(self) -> dict[str, SensorState]:
        """Every sensor by name for diagnostics, as of the newest time this collector was told."""
        now_ns = self._now_ns or 0
        return {name: self._admission.state(queue, now_ns) for name, queue in self._queues.items()}

    # The course of time.

    def _proceed(self, to_ns: int) -> list[Release]:
        released: list[Release] = []
        if self._now_ns is not None and to_ns <= self._now_ns:
            return released
        if self._instant_open:
            self._complete_instant(self._now_ns or 0)
        self._release_due(to_ns, released)
        self._now_ns = to_ns
        return released

    def _complete_instant(self, now_ns: int) -> None:
        self._instant_open = False
        if self._instant:
            self._open_frames(now_ns)
            self._instant.clear()
        if self._openings:
            self._find_due(now_ns)

    def _open_frames(self, now_ns: int) -> None:
        """Open frames by the instant's most preferred reference if all before it are overdue."""
        for reference in self._references:
            messages = [item for queue, item in self._instant if queue is reference]
            for item in sorted(messages, key=_time_ns):
                self._open(reference, item)
            if messages or not self._admission.overdue(reference, now_ns, self._last_opening_ns):
                return

    def _open(self, reference: SensorQueue, item: Stamped) -> None:
        last_ns, rate_period = self._last_opening_ns, self._rate_period_ns
        if last_ns is not None:
            since_ns = item.time_ns - last_ns
            if since_ns <= 0 or since_ns < rate_period - min(reference.period_ns(), rate_period) // 2:
                return
        self._last_opening_ns = item.time_ns
        deadline_ns = item.receipt_ns + self._budget_ns
        self._openings.append(_Opening(item.time_ns + self._offset_ns, deadline_ns, reference, item))

    def _release_due(self, to_ns: int, released: list[Release]) -> None:
        while self._due_ns is not None and self._due_ns <= to_ns:
            at_ns = self._due_ns
            released.append(self._take(self._openings.popleft()))
            self._find_due(at_ns)

    def _find_due(self, now_ns: int) -> None:
        """Set when the first open frame goes out if nothing more comes: all settled or silent, or late."""
        if not self._openings:
            self._due_ns = None
            return
        head = self._openings[0]
        due_ns = now_ns
        for queue in self._all:
            if queue is not head.opener and queue.awaited(head.stamp_ns, head.deadline_ns):
                due_ns = max(due_ns, queue.silent_ns or 0)
        self._cut_short = due_ns > max(now_ns, head.deadline_ns)
        self._due_ns = max(now_ns, head.deadline_ns) if self._cut_short else due_ns

    def _take(self, opening: _Opening) -> Release:
        chosen: dict[str, Stamped] = {}
        earlier: dict[str, tuple[Stamped, ...]] = {}
        for queue in self._all:
            item = opening.message if queue is opening.opener else self._nearest(queue, opening.stamp_ns)
            if item is None:
                queue.release(opening.stamp_ns, None)
                continue
            chosen[queue.name] = item
            older = queue.earlier(bisect_left(queue.times, item.time_ns), opening.stamp_ns)
            if older:
                earlier[queue.name] = older
            queue.release(opening.stamp_ns, item.time_ns)
        self._last_released_ns = opening.stamp_ns
        reason: Literal["complete", "deadline"] = "deadline" if self._cut_short else "complete"
        return Release(opening.stamp_ns, chosen, earlier, opening.message.receipt_ns, reason)

    @staticmethod
    def _nearest(queue: SensorQueue, stamp_ns: int) -> Stamped | None:
        index = queue.nearest(stamp_ns)
        return None if index is None else queue.items[index]

    # What is taken in, and new starts.

    def _insert(self, queue: SensorQueue, item: Stamped) -> None:
        queue.insert(item)
        excess = queue.drop_oldest(self._limit)
        if excess:
            text = f"{queue.name}: over {self._limit} wait; is a reference alive? else raise alignment.queue"
            self._drops.add(queue.name, DropReason.QUEUE_FULL, text, excess)
        if queue in self._references:
            self._instant.append((queue, item))

    def _disown_a_future_opening(self, latest_ns: int | None, released: list[Release]) -> None:
        """Forget the last opening where its clock proved far ahead: it must not hold up later frames."""
        last_ns = self._last_opening_ns
        if last_ns is not None and latest_ns is not None and last_ns > latest_ns + self._reset_ns:
            self._let_go_all(released)
            self._last_opening_ns = self._last_released_ns = None

    def _let_go_all(self, released: list[Release]) -> None:
        """Release all open frames with what is there, in order: nothing still to come belongs to them."""
        self._release_due(END_OF_TIME_NS, released)

    def _start_anew(self, receipt_ns: int) -> None:
        """Forget every sensor and frame; what no frame had taken is counted as dropped."""
        self.resets += 1
        for queue in self._all:
            unused = queue.restart()
            if unused:
                text = f"{queue.name}: time went back; everything starts anew"
                self._drops.add(queue.name, DropReason.RESET, text, unused)
        self._instant.clear()
        self._openings.clear()
        self._due_ns = self._last_opening_ns = self._last_released_ns = None
        self._now_ns = receipt_ns


def _time_ns(item: Stamped) -> int:
    return item.time_ns
