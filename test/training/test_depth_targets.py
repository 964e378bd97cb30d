from __future__ import annotations

import numpy as np

from mm_fusion.training.depth_targets import depth_targets
from test.inputs.scene import config, frame, image, sweep


def bin_of(distance: float) -> int:
    return int(np.searchsorted(config().camera.depth_edges, distance, side="right")) - 1


def test_without_camera_or_points_nothing_is_known():
    for given in ({}, {"camera": image()}, {"lidar": sweep([[11, 0, 1.5]])}):
        assert (depth_targets(frame(given), config()) == -1).all()


def test_the_nearest_point_of_a_pixel_counts():
    points = [[31.0, -0.1, 1.4], [11.0, -0.1, 1.4], [21.0, -0.1, 1.4]]
    bins = depth_targets(frame({"camera": image(), "lidar": sweep(points)}), config())
    assert np.argwhere(bins >= 0).tolist() == [[0, 4, 8]] and bins[0, 4, 8] == bin_of(np.hypot(10.0, 0.14))


def test_points_are_where_they_were_at_the_exposure():
    # at 10 m/s the camera of 0.1 s ago stood 1 m farther back
    given = {"camera": image(0.1), "lidar": sweep([[7.0, -0.1, 1.4]])}
    bins = depth_targets(frame(given, speed=10.0), config())
    assert bins.max() == bin_of(7.0) != bin_of(6.0)
