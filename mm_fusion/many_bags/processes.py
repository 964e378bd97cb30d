"""Tasks in processes of this machine, each in one of its own: one that crashes takes no other along."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from mm_fusion.many_bags.conductor import Share
from mm_fusion.many_bags.tasks import BagOutcome, BagTask, attempt

PATIENCE_S = 0.2


class ProcessEngine:
    """At most `workers` recordings at a time."""

    def __init__(self, workers: int) -> None:
        # several processes share the cores already
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._workers = workers
        self._context = multiprocessing.get_context("spawn")
        self._waiting: deque[BagTask] = deque()
        self._running: dict[Connection, tuple[BagTask, SpawnProcess]] = {}

    def submit(self, task: BagTask) -> None:
        """Take a task in; it runs when there is room."""
        self._waiting.append(task)
        self._fill()

    def wait(self) -> list[Share | BagOutcome]:
        """What happened, after a fraction of a second at the latest."""
        ready = wait(list(self._running), PATIENCE_S)
        events = [self._event(end) for end in ready if isinstance(end, Connection)]
        self._fill()
        return events

    def close(self) -> None:
        """End what still runs."""
        self._waiting.clear()
        for _, process in self._running.values():
            process.terminate()
        for end, (_, process) in self._running.items():
            process.join()
            end.close()
        self._running.clear()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            task = self._waiting.popleft()
            ours, theirs = self._context.Pipe(duplex=False)
            process = self._context.Process(target=_work, args=(theirs, task), daemon=True)
            process.start()
            # the only writing end left is the child's: its death is the end of the pipe
            theirs.close()
            self._running[ours] = task, process

    def _event(self, end: Connection) -> Share | BagOutcome:
        task, process = self._running[end]
        try:
            message: Share | BagOutcome = end.recv()
        except (EOFError, OSError):
            process.join()
            message = BagOutcome(task.name, error=f"its process {_ending(process.exitcode)}")
        if isinstance(message, BagOutcome):
            process.join()
            end.close()
            del self._running[end]
        return message


def _work(end: Connection, task: BagTask) -> None:
    # Ctrl-C reaches all processes of a terminal; the parent alone answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end.send(attempt(task, lambda share: end.send(Share(task.name, share))))


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name} (SIGKILL: often too little memory)"
    return f"ended with exit code {code}"
