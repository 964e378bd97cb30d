"""Raw messages in order of receipt, between the DDS callbacks and the pipeline's thread."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from mm_fusion.errors import DropReason


@dataclass(frozen=True, slots=True)
class Received:
    """One serialised message. receipt_ns: of the node's clock; 0 while simulated time has not begun.

    arrived_perf_ns: of `time.perf_counter_ns`, for measuring alone.
    """

    topic: str
    kind: str
    data: bytes
    receipt_ns: int
    arrived_perf_ns: int


class Inbox:
    """A queue whose clock is read under its lock: what comes out later was received later.

    clock_ns: the node's time. newest_only: topics of which one message waits at most and the newest wins
    (`superseded`); of every other topic `limit` wait, which only a stalled pipeline reaches (`queue_full`).
    on_drop: called with topic and reason.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int],
        newest_only: frozenset[str] = frozenset(),
        on_drop: Callable[[str, DropReason], None] = lambda topic, reason: None,
        limit: int = 500,
    ) -> None:
        self._clock_ns = clock_ns
        self._newest_only = newest_only
        self._on_drop = on_drop
        self._limit = limit
        self._changed = threading.Condition()
        self._entries: deque[Received] = deque()
        self._waiting: Counter[str] = Counter()

    def put(self, topic: str, kind: str, data: bytes) -> None:
        """Append a message, received now."""
        with self._changed:
            self._make_room(topic)
            self._entries.append(Received(topic, kind, data, self._clock_ns(), time.perf_counter_ns()))
            self._waiting[topic] += 1
            self._changed.notify()

    def take(self, timeout_s: float) -> Received | None:
        """The oldest message, None when none came in time; what came before time began waits for it."""
        with self._changed:
            if not self._entries or not self._begin_time():
                self._changed.wait(timeout_s)
            if not self._entries or not self._begin_time():
                return None
            received = self._entries.popleft()
            self._waiting[received.topic] -= 1
            return received

    def idle_ns(self) -> int | None:
        """Now, where nothing waits: no later message is received before it; None otherwise."""
        with self._changed:
            return None if self._entries else self._clock_ns()

    def wake(self) -> None:
        """Let a waiting `take` return."""
        with self._changed:
            self._changed.notify_all()

    def _make_room(self, topic: str) -> None:
        newest_only = topic in self._newest_only
        if self._waiting[topic] < (1 if newest_only else self._limit):
            return
        oldest = next(entry for entry in self._entries if entry.topic == topic)
        self._entries.remove(oldest)
        self._waiting[topic] -= 1
        self._on_drop(topic, DropReason.SUPERSEDED if newest_only else DropReason.QUEUE_FULL)

    def _begin_time(self) -> bool:
        """Give what was received at time 0 the first time there is; False while there is none."""
        if self._entries[0].receipt_ns:
            return True
        known = [entry.receipt_ns for entry in self._entries if entry.receipt_ns]
        begin_ns = known[0] if known else self._clock_ns()
        if not begin_ns:
            return False
        self._entries = deque(
            entry if entry.receipt_ns else replace(entry, receipt_ns=begin_ns) for entry in self._entries
        )
        return True
