from __future__ import annotations

import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.messages.header import SensorHeader
from mm_fusion.messages.point_times import AT_STAMP, time_rule

HEADER = SensorHeader(1_700_000_000_250_000_000, 1_700_000_000_250_000_000, "lidar")
U4, F4, F8 = 6, 7, 8


def offsets(low, high, datatype, sensor, header=HEADER):
    rule = time_rule(low, high, datatype, header, sensor)
    return [round((t - rule.origin) * rule.unit_ns + rule.shift_ns) for t in (low, high)]


def test_no_times(sensor):
    assert time_rule(float("inf"), float("-inf"), F4, HEADER, sensor()) == AT_STAMP


@pytest.mark.parametrize(
    ("low", "high", "datatype"),
    [
        (0.0, 0.1, F4),  # velodyne: seconds
        (0.0, 1e5, F4),  # microseconds
        (0.0, 1e8, U4),  # ouster, livox offset_time: nanoseconds
        (0.0, 1e5, U4),
        (0.0, 1e8, F8),
    ],
)
def test_relative_units_are_guessed_from_the_span(sensor, low, high, datatype):
    assert offsets(low, high, datatype, sensor()) == [0, 100_000_000]


def test_relative_before_the_stamp(sensor):
    assert offsets(-0.1, 0.0, F4, sensor()) == [-100_000_000, 0]


def test_relative_from_the_start_counts_from_the_middle(sensor):
    starts = sensor(stamp_at="start", duration_ms=100.0)
    assert offsets(0.0, 0.1, F4, starts) == [-50_000_000, 50_000_000]


@pytest.mark.parametrize("unit", [1e9, 1.0])
def test_absolute_on_the_header_clock(sensor, unit):
    low, high = (HEADER.header_ns / unit, (HEADER.header_ns + 100_000_000) / unit)
    got = offsets(low, high, F8, sensor())
    assert got == pytest.approx([0, 100_000_000], abs=1000)


@pytest.mark.parametrize(("at", "first"), [("start", -50), ("middle", -50), ("end", -50)])
def test_a_clock_of_its_own_is_laid_by_stamp_at(sensor, at, first):
    got = offsets(345_000.0, 345_000.1, F8, sensor(stamp_at=at, duration_ms=100.0))
    assert got == pytest.approx([first * 10**6, (first + 100) * 10**6], abs=10)


def test_receipt_stamps_do_not_trust_the_header(sensor):
    by_receipt = sensor(stamp_source="receipt", stamp_at="end", duration_ms=100.0)
    assert offsets(0.0, 0.1, F4, by_receipt) == pytest.approx([-50_000_000, 50_000_000], abs=10)


def test_known_duration_decides(sensor):
    assert offsets(0.0, 2e5, U4, sensor(duration_ms=0.2)) == [-0, 200_000]


def test_given_unit_goes_before_the_guess(sensor):
    assert offsets(0.0, 1e5, U4, sensor(fields={"time": "t:ns"})) == [0, 100_000]


def test_wrong_unit_is_said(sensor):
    with pytest.raises(MeasurementError, match="units s, ms, us, ns.*'min'.*vehicle file"):
        time_rule(0.0, 1.0, F4, HEADER, sensor(fields={"time": "t:min"}))
