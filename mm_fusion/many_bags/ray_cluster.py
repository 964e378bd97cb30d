"""Tasks on a Ray cluster that the user already has; its machines see the recordings under the same paths.

Source: Ray Core, tasks and actors (Moritz et al., OSDI 2018).
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any

from mm_fusion.errors import ConfigurationError
from mm_fusion.many_bags.conductor import Share
from mm_fusion.many_bags.tasks import BagOutcome, BagTask, attempt

PATIENCE_S = 0.2
REACH_S = 5.0
"""How long a cluster may take to answer."""


class RayEngine:
    """At most `workers` recordings at a time, None: as many as the cluster takes.

    address: of the cluster; None: that in RAY_ADDRESS, else the one that runs on this machine. threads: cores
    that each task asks for. Raises `ConfigurationError` without Ray or cluster.
    """

    def __init__(self, address: str | None = None, workers: int | None = None, threads: int = 1) -> None:
        self._ray = _import_ray()
        self._joined = _join(self._ray, address)
        self._workers = workers or 1 << 30
        # our own conductor tries again, once
        self._start = self._ray.remote(num_cpus=threads, max_retries=0)(_work)
        self._board = self._ray.remote(num_cpus=0)(_Board).remote()
        self._waiting: deque[BagTask] = deque()
        self._running: dict[Any, BagTask] = {}

    def submit(self, task: BagTask) -> None:
        """Take a task in; it runs when there is room."""
        self._waiting.append(task)
        self._fill()

    def wait(self) -> list[Share | BagOutcome]:
        """What happened, after a fraction of a second at the latest."""
        ended, _ = self._ray.wait(list(self._running), timeout=PATIENCE_S)
        events: list[Share | BagOutcome] = [*self._shares(), *(self._outcome(each) for each in ended)]
        self._fill()
        return events

    def close(self) -> None:
        """End what still runs, and leave the cluster."""
        self._waiting.clear()
        for running in self._running:
            self._ray.cancel(running, force=True)
        self._running.clear()
        self._ray.kill(self._board)
        if self._joined:
            self._ray.shutdown()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            task = self._waiting.popleft()
            self._running[self._start.remote(task, self._board)] = task

    def _shares(self) -> list[Share]:
        running = {task.name for task in self._running.values()}
        try:
            told: dict[str, float] = self._ray.get(self._board.told.remote())
        except self._ray.exceptions.RayError:
            return []  # the bar stands still, the work goes on
        return [Share(name, share) for name, share in told.items() if name in running]

    def _outcome(self, ended: Any) -> BagOutcome:
        task = self._running.pop(ended)
        try:
            outcome: BagOutcome = self._ray.get(ended)
        except self._ray.exceptions.RayError as error:
            words = str(error).strip().splitlines() or [""]
            return BagOutcome(task.name, error=f"{type(error).__name__}: {words[0]}")
        return outcome


class _Board:
    """Where workers write how far they are; an actor of the cluster."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}

    def tell(self, name: str, share: float) -> None:
        self._shares[name] = share

    def told(self) -> dict[str, float]:
        told, self._shares = self._shares, {}
        return told


def _work(task: BagTask, board: Any) -> BagOutcome:
    return attempt(task, lambda share: board.tell.remote(task.name, share))


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"--engine ray: expected the package ray, got {error}; install the extra `ray`, or leave the "
            "option out"
        ) from error
    return ray


def _reach(address: str) -> None:
    """Raise `OSError` where nobody answers: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), REACH_S).close()


def _join(ray: Any, address: str | None) -> bool:
    """Whether the cluster was joined here; one that this process is in already is used as it is."""
    if ray.is_initialized():
        return False
    wanted = address or os.environ.get("RAY_ADDRESS") or "auto"
    try:
        _reach(wanted)
        ray.init(address=wanted, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigurationError(
            f"--engine ray: expected a Ray cluster at {wanted}, got {words[0]}; start one with `ray start "
            "--head`, or name one by --address or RAY_ADDRESS"
        ) from error
    return True
