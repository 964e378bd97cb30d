from __future__ import annotations

import numpy as np
import pytest

from test.benchmarks.bench_growth import (
    config_of,
    draw,
    excess_of,
    exponent_of,
    frame_of,
    is_worse_than_linear,
    picture,
    vehicle_of,
)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_found(power):
    values = [1, 2, 4, 8]
    assert exponent_of(values, [10 + v**power for v in values]) == pytest.approx(power, abs=0.051)


def test_nothing_that_grows_is_flat():
    assert exponent_of([1, 2, 3], [10.0, 10.2, 10.1]) == 0.0


def test_worse_than_linear_is_told_from_noise():
    values = [0, 6, 12]
    for times, worse in (([10, 40, 130], True), ([140.1, 143.8, 159.0], False), ([10, 20, 30], False)):
        row = {"exponent": exponent_of(values, times), "excess": excess_of(values, times)}
        assert is_worse_than_linear(row) == worse


def test_a_frame_has_what_is_asked_for():
    frame = frame_of(3, 500, 2, 25.6, picture())
    vehicle = vehicle_of(frame)
    assert sorted(s.kind for s in vehicle.sensors.values()) == ["camera"] * 3 + ["lidar"] + ["radar"] * 2
    assert len(frame.measurements["lidar"].xyz) == 500 and config_of(25.6).grid.shape == (64, 64)
    assert np.abs(frame.measurements["lidar"].xyz[:, :2]).max() <= 25.6


def test_it_is_drawn(tmp_path):
    draw({"cameras": {"values": [1, 2], "ms": [3.0, 4.0], "exponent": 1.0}}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
