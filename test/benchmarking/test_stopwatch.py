from __future__ import annotations

import math

from mm_fusion.benchmarking.stopwatch import Stopwatch, inference_ms, quantiles


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


def test_inference_is_told_from_the_rest():
    assert inference_ms({"decode": 5.0, "camera_encoder": 1.0, "fusion": 2.0, "raster_encoders": 3.0}) == 6.0


def test_quantiles():
    assert quantiles([1.0, 2.0, 3.0]) == {"p50_ms": 2.0, "p95_ms": 2.9, "p99_ms": 2.98}
