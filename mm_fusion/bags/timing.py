"""Rates, gaps, jitter and latency of a topic from its stamps, and offsets between two topics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.report import Timing

GAP_PERIODS = 3.0


def timing_of(stamps_ns: Sequence[int], receipts_ns: Sequence[int]) -> Timing:
    """Timing from stamps and receipts (the same where messages carry no stamp), in order of receipt."""
    stamps, receipts = np.asarray(stamps_ns, np.int64), np.asarray(receipts_ns, np.int64)
    if len(stamps) == 0:
        return Timing(0)
    latency_ms: NDArray[np.float64] = (receipts - stamps) / 1e6
    known = {
        "latency_ms": float(np.median(latency_ms)),
        "latency_spread_ms": _spread(latency_ms),
        "backwards": int((np.diff(stamps) < 0).sum()),
        "duplicates": int((np.diff(stamps) == 0).sum()),
    }
    intervals_ms: NDArray[np.float64] = np.diff(np.unique(stamps)).astype(np.float64) / 1e6
    if len(intervals_ms) == 0:
        return Timing(len(stamps), **known)  # type: ignore[arg-type]
    period_ms = float(np.median(intervals_ms))
    return Timing(
        len(stamps),
        period_ms=period_ms,
        brisk_ms=float(np.percentile(intervals_ms, 2)),
        jitter_ms=_spread(intervals_ms) / 2,
        gaps=int((intervals_ms > GAP_PERIODS * period_ms).sum()),
        largest_gap_s=float(intervals_ms.max() / 1e3),
        **known,  # type: ignore[arg-type]
    )


def offset_ms(stamps_ns: Sequence[int], reference_ns: Sequence[int]) -> tuple[float, float] | None:
    """(median, spread) in ms of stamps after the nearest stamp of a reference; None where either has none."""
    stamps, reference = np.asarray(stamps_ns, np.int64), np.unique(np.asarray(reference_ns, np.int64))
    if len(stamps) == 0 or len(reference) == 0:
        return None
    after = np.searchsorted(reference, stamps).clip(0, len(reference) - 1)
    before = (after - 1).clip(0)
    nearest = np.where(abs(stamps - reference[before]) <= abs(stamps - reference[after]), before, after)
    offsets = (stamps - reference[nearest]) / 1e6
    return float(np.median(offsets)), _spread(offsets)


def _spread(values: NDArray[np.float64]) -> float:
    low, high = np.percentile(values, [5, 95])
    return float(high - low)
