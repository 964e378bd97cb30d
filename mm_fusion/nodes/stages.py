"""How long each stage takes: the newest durations by name, and their quantiles."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

WINDOW = 1000
"""Durations kept per stage: 100 s at 10 Hz."""
QUANTILES = (50, 95, 99)


class Stages:
    """Durations by stage, in ms; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._durations: dict[str, deque[float]] = {}

    def add(self, stage: str, milliseconds: float) -> None:
        """Take in one duration."""
        with self._lock:
            self._durations.setdefault(stage, deque(maxlen=WINDOW)).append(milliseconds)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Take in the duration of the block."""
        start = time.perf_counter_ns()
        yield
        self.add(stage, (time.perf_counter_ns() - start) / 1e6)

    def quantiles(self) -> dict[str, dict[str, float]]:
        """{stage: {p50, p95, p99, count}} of the newest `WINDOW` durations, in order of first use."""
        with self._lock:
            kept = {stage: list(values) for stage, values in self._durations.items()}
        return {stage: _quantiles(values) for stage, values in kept.items()}


def _quantiles(values: list[float]) -> dict[str, float]:
    found = np.percentile(values, QUANTILES)
    return {f"p{q}": round(float(v), 3) for q, v in zip(QUANTILES, found)} | {"count": float(len(values))}
