"""Durations of stages, frame by frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

QUANTILES = (50, 95, 99)


class Stopwatch:
    """Milliseconds per stage and frame; what a stage does several times in a frame adds up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: dict[str, float] = {}
        self.frames: list[dict[str, float]] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Take in the duration of the block, on any thread."""
        start_s = time.perf_counter()
        try:
            yield
        finally:
            taken_ms = (time.perf_counter() - start_s) * 1e3
            with self._lock:
                self._frame[stage] = self._frame.get(stage, 0.0) + taken_ms

    def end_frame(self) -> dict[str, float]:
        """The frame's stages, kept; the next frame begins."""
        with self._lock:
            done, self._frame = self._frame, {}
            self.frames.append(done)
        return done

    def skip_frame(self) -> None:
        """The frame does not count; the next one begins."""
        with self._lock:
            self._frame = {}

    def forget(self) -> None:
        """Begin anew, after a warm-up."""
        with self._lock:
            self._frame, self.frames = {}, []

    def stages(self) -> dict[str, dict[str, float]]:
        """Quantiles by stage, in order of first use."""
        names = list(dict.fromkeys(name for frame in self.frames for name in frame))
        return {name: quantiles([frame.get(name, 0.0) for frame in self.frames]) for name in names}


def quantiles(times_ms: list[float]) -> dict[str, float]:
    """p50_ms, p95_ms and p99_ms."""
    found = np.percentile(times_ms, QUANTILES) if times_ms else [float("nan")] * len(QUANTILES)
    return {f"p{q}_ms": round(float(value), 3) for q, value in zip(QUANTILES, found)}
