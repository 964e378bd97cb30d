from __future__ import annotations

import numpy as np

from mm_fusion.geometry.cameras import project_many
from mm_fusion.geometry.motion import deskew
from mm_fusion.measurements import EgoMotion
from test.benchmarks.bench_geometry import cameras, cases, cloud, tree
from test.benchmarks.plain import plain_deskew, plain_lookup, plain_project


def test_every_case_runs():
    rows = list(cases(1, points=200))
    assert len(rows) == 5 and all(row.ours_ms > 0 and row.plain_ms > 0 for row in rows)


def test_both_sides_see_the_same_points():
    xyz = cloud(2000)
    models, camera_from_base = cameras()
    pixels, visible = project_many(xyz, models, camera_from_base)
    for in_front in (True, False):
        for camera, (plain, index) in enumerate(plain_project(xyz, models, camera_from_base, in_front)):
            ours = np.flatnonzero(visible[camera])
            assert set(ours) <= set(index)  # what folds back is missing in ours
            assert np.allclose(pixels[camera, ours], plain[np.isin(index, ours)], atol=1e-2)
            assert len(ours) > 0.8 * len(index)


def test_both_sides_move_the_points_alike():
    xyz, times_ns = cloud(500), np.linspace(-5e7, 5e7, 500).astype(np.int32)
    ego = EgoMotion(0, np.array([15.0, 0.2, 0]), np.array([0.01, 0.02, 0.3]))
    plain = plain_deskew(xyz, times_ns, ego.linear_velocity, ego.angular_velocity)
    assert np.allclose(deskew(xyz, times_ns, ego), plain, atol=0.02)


def test_both_sides_find_the_same_transform():
    buffer, chain = tree()
    for stamp_ns in (1, 123_456_789, 9_999_999_999):
        assert np.allclose(
            buffer.lookup("odom", "camera", stamp_ns), plain_lookup(chain, stamp_ns), atol=1e-9
        )
