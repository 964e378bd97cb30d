from __future__ import annotations

from mm_fusion.offline import OfflineRun
from test.benchmarks.bench_run import figures


def test_the_first_run_does_not_count_and_the_median_one_does() -> None:
    runs = [OfflineRun(recorded_s=2.0, elapsed_s=seconds) for seconds in (50.0, 1.0, 0.5, 4.0)]
    found = figures(runs)
    assert (found["times_real_time"], found["all"], found["frames_per_s"]) == (2.0, [2.0, 4.0, 0.5], 0.0)
    assert figures(runs[:1])["times_real_time"] == 0.04
