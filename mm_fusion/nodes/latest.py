"""Hand-over with depth one: the newest wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from mm_fusion.errors import FusionError

T = TypeVar("T")


class Latest(Generic[T]):
    """One place between two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: list[T] = []

    def put(self, item: T) -> T | None:
        """Place `item`; what waited there and is now lost, None if nothing."""
        with self._changed:
            replaced = self._item.pop() if self._item else None
            self._item.append(item)
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float) -> T | None:
        """What waits there, None when nothing came in time."""
        with self._changed:
            if not self._item:
                self._changed.wait(timeout_s)
            return self._item.pop() if self._item else None


class LatestPool:
    """A few threads that work on the newest item of each key; of one key never two at a time."""

    def __init__(self, workers: int, on_error: Callable[[Exception], None]) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
        self._on_error = on_error
        self._lock = threading.Lock()
        self._waiting: dict[str, Callable[[], None]] = {}
        self._busy: set[str] = set()

    def submit(self, key: str, work: Callable[[], None]) -> bool:
        """Do `work` soon, in place of what still waits for `key`; True where that was something."""
        with self._lock:
            replaced = key in self._waiting
            self._waiting[key] = work
            if key not in self._busy:
                self._busy.add(key)
                self._pool.submit(self._work, key)
            return replaced

    def close(self) -> None:
        """Finish what runs, forget what waits."""
        with self._lock:
            self._waiting.clear()
        self._pool.shutdown(wait=True)

    def _work(self, key: str) -> None:
        while True:
            with self._lock:
                work = self._waiting.pop(key, None)
                if work is None:
                    self._busy.discard(key)
                    return
            try:
                work()
            except FusionError:
                pass  # counted when a frame uses what could not be prepared
            except Exception as error:
                self._on_error(error)
