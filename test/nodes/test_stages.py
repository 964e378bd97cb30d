from __future__ import annotations

from mm_fusion.nodes.stages import WINDOW, Stages


def test_no_stage_no_figures() -> None:
    assert Stages().quantiles() == {}


def test_quantiles_of_known_durations() -> None:
    stages = Stages()
    for milliseconds in range(101):
        stages.add("detect", float(milliseconds))
    assert stages.quantiles() == {"detect": {"p50": 50.0, "p95": 95.0, "p99": 99.0, "count": 101.0}}


def test_only_the_newest_count() -> None:
    stages = Stages()
    for _ in range(WINDOW):
        stages.add("detect", 1000.0)
    for _ in range(WINDOW):
        stages.add("detect", 1.0)
    assert stages.quantiles()["detect"]["p99"] == 1.0


def test_measured_block_counts_once() -> None:
    stages = Stages()
    with stages.measure("add"):
        pass
    assert stages.quantiles()["add"]["count"] == 1.0
