from __future__ import annotations

import pytest

from test.benchmarks.bench_simulation import cases, memory_growth, speed_of, vehicle_of

pytest.importorskip("open3d", reason="drives are made by Open3D's ray casting")


def test_a_layout_has_what_is_asked_for() -> None:
    vehicle = vehicle_of(2, (100, 50), "vlp16", 3)
    kinds = sorted(sensor.kind for sensor in vehicle.sensors.values())
    assert kinds == ["camera"] * 2 + ["lidar"] + ["radar"] * 3


def test_a_case_runs() -> None:
    speed = speed_of("tiny", vehicle_of(1, (32, 16), "", 1), 0.6, 1)
    assert speed.frames_per_s > 0 and speed.actors > 0


def test_cases_begin_with_the_layouts_of_the_aims() -> None:
    names = cases(0.5, 1)
    assert next(names).aim == ">= 5"


def test_memory_is_told() -> None:
    assert len(memory_growth(10, vehicle_of(0, (0, 0), "", 1))) >= 10
