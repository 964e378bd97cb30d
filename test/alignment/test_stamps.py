from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.alignment.stamps import RunningQuantiles, StampStatistics, measurement_time_ns
from mm_fusion.config import SensorConfig
from mm_fusion.errors import DropReason, MeasurementError

MS = 1_000_000


@pytest.mark.parametrize(
    ("options", "expected_ms"),
    [
        ({}, 1000),
        ({"stamp_source": "receipt"}, 1040),
        ({"stamp_offset_ms": -37.5}, 962.5),
        ({"duration_ms": 100}, 1000),
        ({"duration_ms": 100, "stamp_at": "start"}, 1050),
        ({"duration_ms": 100, "stamp_at": "end"}, 950),
        ({"duration_ms": 10, "stamp_at": "start", "row_time_us": 20}, 1005 + 0.5 * 0.02 * 899),
        ({"stamp_source": "receipt", "stamp_offset_ms": -30, "stamp_at": "end", "duration_ms": 20}, 1000),
    ],
)
def test_the_middle_of_scan_or_exposure(options: dict, expected_ms: float) -> None:
    sensor = SensorConfig(kind="camera", topic="/camera", **options)
    assert measurement_time_ns(1000 * MS, 1040 * MS, sensor, height_px=900) == round(expected_ms * MS)


@pytest.mark.parametrize("header_ns", [-1, -(2**63), 2**31 * 10**9, 2**63])
def test_a_stamp_out_of_range_is_malformed_and_names_the_topic(header_ns: int) -> None:
    with pytest.raises(MeasurementError, match="/lidar") as error:
        measurement_time_ns(header_ns, 0, SensorConfig(kind="lidar", topic="/lidar"))
    assert error.value.reason is DropReason.MALFORMED


def test_a_bad_header_does_not_matter_where_receipt_counts() -> None:
    sensor = SensorConfig(kind="lidar", topic="/lidar", stamp_source="receipt")
    assert measurement_time_ns(-5, 7, sensor) == 7


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=60), st.integers(1, 9))
def test_running_quantiles_are_those_of_the_newest(values: list[int], size: int) -> None:
    quantiles = RunningQuantiles(size)
    for value in values:
        quantiles.add(value)
    newest = sorted(values[-size:])
    assert quantiles.median_and_p90() == (quantiles.at(0.5), quantiles.at(0.9))
    assert quantiles.at(0.5) == statistics.median_low(newest)
    assert (quantiles.at(0.0), quantiles.at(1.0)) == (newest[0], newest[-1])


def test_statistics_know_nothing_at_first() -> None:
    stats = StampStatistics()
    assert (stats.period_ns, stats.jitter_ns, stats.latency_ns, stats.newest_ns) == (None,) * 4
    assert (stats.measured_period_ns, stats.measured_jitter_ns, stats.measured_latency_ns) == (None,) * 3


def test_period_jitter_and_latency_of_a_known_sequence() -> None:
    stats = StampStatistics()
    times = [0, 100, 205, 300, 400, 490, 600, 700, 800, 900, 1000]
    for index, time in enumerate(times):
        stats.observe(time * MS, (time + 20 + index) * MS)
    assert stats.period_ns == 100 * MS
    assert stats.jitter_ns == 10 * MS
    assert (stats.latency_ns, stats.latency_p90_ns) == (25 * MS, 29 * MS)
    stats.restart()
    assert stats.period_ns is None and stats.newest_ns is None


def test_one_lost_message_does_not_change_the_period() -> None:
    stats = StampStatistics()
    for time in (0, 100, 200, 400, 500, 600):
        stats.observe(time * MS, time * MS)
    assert stats.period_ns == 100 * MS


def test_out_of_order_tells_of_latency_alone() -> None:
    stats = StampStatistics()
    for time, receipt in ((100, 110), (200, 210), (150, 220)):
        stats.observe(time * MS, receipt * MS)
    assert stats.newest_ns == 200 * MS
    assert stats.measured_period_ns == 100 * MS
    assert stats.measured_latency_ns == (10 * MS, 70 * MS)


def test_what_is_given_stands_and_what_is_measured_stays_readable() -> None:
    stats = StampStatistics(period_ns=50 * MS, latency_p90_ns=30 * MS, jitter_ns=5 * MS)
    for time in range(0, 2000, 100):
        stats.observe(time * MS, (time + 80) * MS)
    assert (stats.period_ns, stats.latency_p90_ns, stats.jitter_ns) == (50 * MS, 30 * MS, 5 * MS)
    assert stats.measured_period_ns == 100 * MS
    assert stats.measured_latency_ns == (80 * MS, 80 * MS)
