"""What is freed stays with the process."""

from __future__ import annotations

import resource
import sys

import numpy as np
import pytest

from mm_fusion.training.memory import keep_freed_memory


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_large_arrays_cost_no_page_faults_again() -> None:
    if not keep_freed_memory():
        pytest.skip("the C library has no mallopt")
    np.ones(40_000_000, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(40_000_000, np.uint8)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 5_000
