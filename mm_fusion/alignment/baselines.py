"""What is normal for a sensor, learned from its own past, and whether its payload still changes."""

from __future__ import annotations

import zlib

import numpy as np

from mm_fusion.measurements import Float64

RISE = 0.2
FALL = 0.01
FALL_WHILE_LOW = 0.0005
FROZEN_REPEATS = 3
"""A payload that came again this often is a driver that repeats itself: real sensors have noise."""


class Baseline:
    """The share (S,) of each part's usual amount that is there now, by a slow memory of its own past.

    Rises quickly and falls slowly, very slowly while a part is low: what blocks a sensor must not soon count
    as usual, a changed scene should in minutes. pace: how much longer a step is than one sensor cycle.
    """

    def __init__(
        self, parts: int, warm_up: int, least: float, low: float, smooth: float, pace: float = 1.0
    ) -> None:
        self._usual = np.zeros(parts)
        self._now = np.zeros(parts)
        self._warm_up, self._least, self._low = warm_up, least, low
        self._smooth, self._pace = smooth, pace
        self._seen = 0

    def share(self, amount: Float64) -> Float64:
        """Take in the newest amount (S,); returns now over usual, 1 while too little is known to judge."""
        self._seen += 1
        weight = max(self._smooth, 1 / self._seen)
        self._now += weight * (amount - self._now)
        ratio = self._now / np.maximum(self._usual, 1e-9)
        fall = np.where(ratio < self._low, FALL_WHILE_LOW, FALL) * self._pace
        rate = np.where(amount > self._usual, RISE, fall)
        if self._seen <= self._warm_up:
            rate = np.full(len(amount), 1 / self._seen)
        self._usual += np.minimum(rate, 1.0) * (amount - self._usual)
        known = (self._usual >= self._least) & (self._seen > self._warm_up)
        return np.where(known, ratio, 1.0)


def ramp(value: Float64, zero_at: float, one_at: float) -> Float64:
    """0 at and below `zero_at`, 1 at and above `one_at`, linear between."""
    return np.clip((value - zero_at) / (one_at - zero_at), 0.0, 1.0)


class FrozenWatch:
    """Counts how often the same payload came again while its stamp moved on."""

    def __init__(self) -> None:
        self._stamp_ns: int | None = None
        self._print: int | None = None
        self.repeats = 0

    def moved_on(self, stamp_ns: int) -> bool:
        """Whether this stamp was not seen last; a frame may take one measurement twice."""
        return stamp_ns != self._stamp_ns

    def observe(self, stamp_ns: int, fingerprint: int | None) -> bool:
        """Take in one measurement; true while frozen. fingerprint: None where it says nothing."""
        same = fingerprint is not None and fingerprint == self._print
        self.repeats = self.repeats + 1 if same else 0
        self._stamp_ns, self._print = stamp_ns, fingerprint
        return self.repeats >= FROZEN_REPEATS


def fingerprint_of(*arrays: np.ndarray, samples: int = 1024) -> int | None:
    """A checksum of evenly spread rows of arrays of one length, and that length; None for empty ones."""
    count = len(arrays[0])
    if count == 0:
        return None
    step = max(1, count // samples)
    check = zlib.crc32(str(count).encode())
    for array in arrays:
        check = zlib.crc32(np.ascontiguousarray(array[::step]).tobytes(), check)
    return check
