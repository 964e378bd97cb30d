from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.config import SensorConfig
from mm_fusion.simulation.clocks import make_clock, tick_at, ticks


def lidar(**settings: object) -> SensorConfig:
    return SensorConfig.model_validate({"kind": "lidar", "topic": "/l", **settings})


def test_no_time_gives_no_measurement() -> None:
    assert list(ticks("l", make_clock("l", lidar(), 1), 0.0, 1)) == []


def test_rate_jitter_and_latency_are_those_of_the_vehicle_file() -> None:
    sensor = lidar(period_ms=50.0, jitter_ms=2.0, latency_ms=40.0, duration_ms=50.0)
    found = list(ticks("l", make_clock("l", sensor, 3), 60.0, 3))
    times = np.array([tick.time_ns for tick in found])
    latency = np.array([tick.receipt_ns - tick.time_ns for tick in found]) / 1e6
    assert len(found) == pytest.approx(60 / 0.05, abs=2)
    off = (times - times[0] - np.arange(len(times)) * 50_000_000) / 1e6
    assert np.ptp(off) <= 4.0 and np.ptp(off) > 3.0
    assert np.quantile(latency, 0.9) == pytest.approx(40, abs=1.5)
    assert latency.min() > 25, "a scan is not sent before its end"


def test_own_clock_differs_from_true_time_by_its_offset() -> None:
    clock = make_clock("l", lidar(), 4)
    assert {tick.stamp_ns - tick.time_ns for tick in ticks("l", clock, 2.0, 4)} == {clock.offset_ns}


def test_sensors_of_one_kind_have_phases_of_their_own() -> None:
    clocks = [make_clock(name, lidar(), 5) for name in ("a", "b", "c")]
    assert len({clock.phase_ns for clock in clocks}) == 3


def test_a_measurement_is_the_same_whenever_it_is_asked_for() -> None:
    clock = make_clock("l", lidar(), 6)
    assert tick_at("l", clock, 17, 6) == list(ticks("l", clock, 5.0, 6))[17]
