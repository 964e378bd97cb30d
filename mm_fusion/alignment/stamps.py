"""When a measurement was taken, and the running period, latency and jitter of a sensor's stamps."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import ceil

from mm_fusion.config import SensorConfig
from mm_fusion.errors import MeasurementError

HUGE_STAMP_NS = 2**31 * 1_000_000_000
"""First stamp that a ROS header cannot hold (its seconds are int32)."""
INTERVAL_WINDOW = 32
LATENCY_WINDOW = 64
JITTER_INTERVALS = 8
"""Intervals needed before the shortest of them is taken for a bound."""


def measurement_time_ns(header_ns: int, receipt_ns: int, sensor: SensorConfig, height_px: int = 0) -> int:
    """The middle of a measurement's scan or exposure, ns, from its stamp and the sensor's timing properties.

    height_px: rows of a rolling-shutter image, whose middle row counts; 0: as the vehicle file says.
    Raises `MeasurementError` (malformed) for a negative or huge header stamp where the header counts.
    """
    stamp_ns = header_ns if sensor.stamp_source == "header" else receipt_ns
    if not 0 <= stamp_ns < HUGE_STAMP_NS:
        raise MeasurementError(
            f"{sensor.topic}: expected a header stamp of 0 to 2^31 s, got {stamp_ns} ns; "
            "mend the driver's clock or set stamp_source: receipt"
        )
    return stamp_ns + round(sensor.stamp_offset_ms * 1e6) + _to_middle_ns(sensor, height_px)


def _to_middle_ns(sensor: SensorConfig, height_px: int) -> int:
    if sensor.stamp_at == "middle":
        return 0
    rows = height_px or (sensor.camera.height_px if sensor.camera else 0)
    half_ns = round((sensor.duration_ms * 1e6 + sensor.row_time_us * 1e3 * max(0, rows - 1)) / 2)
    return half_ns if sensor.stamp_at == "start" else -half_ns


class RunningQuantiles:
    """Quantiles of the newest `size` values, kept sorted; integers in, integers out."""

    __slots__ = ("_newest", "_sorted")

    def __init__(self, size: int) -> None:
        self._newest: deque[int] = deque(maxlen=size)
        self._sorted: list[int] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: int) -> None:
        """Take in `value`; the oldest goes where the window is full."""
        newest, ordered = self._newest, self._sorted
        if len(newest) == newest.maxlen:
            del ordered[bisect_left(ordered, newest[0])]
        newest.append(value)
        insort(ordered, value)

    def at(self, share: float) -> int:
        """The smallest value that `share` (0..1) of the window does not exceed; the window is not empty."""
        return self._sorted[max(0, ceil(share * len(self._sorted)) - 1)]

    def median_and_p90(self) -> tuple[int, int]:
        """As `at(0.5)` and `at(0.9)`, in one go for every message."""
        ordered = self._sorted
        count = len(ordered)
        return ordered[(count - 1) // 2], ordered[(9 * count + 9) // 10 - 1]


class StampStatistics:
    """Period, jitter and latency of one sensor over its newest messages, ns; None while unknown.

    period_ns: median interval of stamps. jitter_ns: how much shorter than `period_ns` the shortest interval
    was (a bound on what has been seen). latency_ns, latency_p90_ns: receipt minus time, negative for a clock
    ahead. Given values stand in place of measured ones; the measured ones stay readable as `measured_*`.
    """

    __slots__ = (
        "_intervals",
        "_latencies",
        "_given",
        "newest_ns",
        "period_ns",
        "jitter_ns",
        "latency_ns",
        "latency_p90_ns",
    )

    def __init__(
        self, period_ns: int | None = None, latency_p90_ns: int | None = None, jitter_ns: int | None = None
    ) -> None:
        self._given = (period_ns, latency_p90_ns, jitter_ns)
        self.restart()

    def restart(self) -> None:
        """Forget everything measured; given values stay."""
        self._intervals = RunningQuantiles(INTERVAL_WINDOW)
        self._latencies = RunningQuantiles(LATENCY_WINDOW)
        self.newest_ns: int | None = None
        self.latency_ns: int | None = None
        self.period_ns, self.latency_p90_ns, self.jitter_ns = self._given

    def observe(self, time_ns: int, receipt_ns: int) -> None:
        """Take in one message; a time at or before the newest tells of latency alone."""
        given_period, given_p90, given_jitter = self._given
        latencies = self._latencies
        latencies.add(receipt_ns - time_ns)
        self.latency_ns, latency_p90 = latencies.median_and_p90()
        self.latency_p90_ns = latency_p90 if given_p90 is None else given_p90
        newest = self.newest_ns
        if newest is not None and time_ns <= newest:
            return
        self.newest_ns = time_ns
        if newest is None:
            return
        intervals = self._intervals
        intervals.add(time_ns - newest)
        period = intervals.at(0.5) if given_period is None else given_period
        self.period_ns = period
        if given_jitter is None and len(intervals) >= JITTER_INTERVALS:
            self.jitter_ns = max(0, period - intervals.at(0.0))

    @property
    def measured_period_ns(self) -> int | None:
        """The median interval of stamps, whatever was given."""
        return self._intervals.at(0.5) if len(self._intervals) else None

    @property
    def measured_jitter_ns(self) -> int | None:
        """The larger deviation of the shortest and longest interval from the median, whatever was given."""
        if not len(self._intervals):
            return None
        middle = self._intervals.at(0.5)
        return max(middle - self._intervals.at(0.0), self._intervals.at(1.0) - middle)

    @property
    def measured_latency_ns(self) -> tuple[int, int] | None:
        """Median and p90 of receipt minus time, whatever was given."""
        return self._latencies.median_and_p90() if len(self._latencies) else None
