from __future__ import annotations

import numpy as np

from mm_fusion.inputs.lidar_raster import LidarRaster
from mm_fusion.network_config import load_learned
from test.benchmarks.bench_inputs import cases, coarse, frame_of
from test.benchmarks.plain import plain_raster


def test_every_case_runs():
    rows = list(cases(1, points=(200,)))
    assert len(rows) == 6 and all(row.ours_ms > 0 for row in rows)


def test_both_sides_count_the_same_points():
    config, given = coarse(load_learned("tiny")), frame_of(2000)
    ours = LidarRaster(config).build(frame_of(2000, radars=0))
    still = LidarRaster(config).build(
        type(given)(**{**{n: getattr(given, n) for n in given.__slots__}, "ego": None})
    )
    plain = plain_raster(given.measurements["lidar"], config)
    assert np.array_equal(still[:5] > 0, plain[:5] > 0) and (ours[0] > 0).any()
    assert np.allclose(still[5:10], plain[5:10], atol=1e-5)
