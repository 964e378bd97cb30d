from __future__ import annotations

import math

from mm_fusion.benchmarking.stopwatch import Stopwatch, quantiles


def test_no_times_are_no_number():
    assert math.isnan(quantiles([])["p50_ms"]) and Stopwatch().stages() == {}


def test_what_a_stage_does_twice_in_a_frame_adds_up():
    watch = Stopwatch()
    for _ in range(2):
        with watch.measure("decode"), watch.measure("inner"):
            pass
    frame = watch.end_frame()
    assert list(frame) == ["inner", "decode"] and frame["decode"] >= frame["inner"] > 0
    watch.end_frame()
    assert len(watch.frames) == 2 and watch.stages()["decode"]["p99_ms"] <= round(frame["decode"], 3) + 1e-3
    watch.forget()
    assert watch.stages() == {}


def test_a_skipped_frame_does_not_count():
    watch = Stopwatch()
    with watch.measure("decode"):
        pass
    watch.skip_frame()
    assert watch.frames == [] and watch.end_frame() == {}


def test_quantiles():
    assert quantiles([1.0, 2.0, 3.0]) == {"p50_ms": 2.0, "p95_ms": 2.9, "p99_ms": 2.98}
