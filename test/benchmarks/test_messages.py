from __future__ import annotations

import numpy as np

from mm_fusion.config import SensorConfig
from mm_fusion.messages.pointcloud import decode_lidar
from test.benchmarks.bench_messages import cases, cloud
from test.benchmarks.plain import plain_decode_cloud


def test_every_case_runs():
    rows = list(cases(1, sizes=(100,)))
    assert len(rows) == 6 and all(row.ours_ms > 0 and row.plain_ms > 0 for row in rows)


def test_both_sides_give_the_same_points():
    message = cloud(500, unusable=0.1)
    sweep = decode_lidar(message, SensorConfig(kind="lidar", topic="/lidar"), 0).get()
    xyz, intensity, ring, time = plain_decode_cloud(message)
    assert np.array_equal(sweep.xyz, xyz) and np.allclose(sweep.intensity, intensity)
    assert np.array_equal(sweep.ring, ring) and np.array_equal(sweep.time_offset_ns, time)
