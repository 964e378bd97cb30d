from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.detectors.geometric.clustering import cluster, even_gaps, grouped, thin


def test_no_points():
    assert len(thin(np.zeros((0, 3), np.float32), 0.1)) == 0
    assert len(cluster(np.zeros((0, 3)))) == 0
    order, starts = grouped(np.zeros(0, np.int64))
    assert len(order) == 0 and starts.tolist() == [0]


def test_thinning_keeps_the_first_point_of_each_cube():
    xyz = np.array([[0.5, 0, 0], [0.01, 0, 0], [0.02, 0, 0], [-0.01, 0, 0]], np.float32)
    assert thin(xyz, 0.1).tolist() == [0, 1, 3]


def test_chains_hold_together_and_gaps_part():
    features = np.array([[5.0, 0], [0.0, 0], [0.9, 0], [1.8, 0], [5.5, 0]])
    assert cluster(features).tolist() == [0, 1, 1, 1, 0]


def test_identical_points_are_one_cluster():
    assert cluster(np.zeros((50, 3))).tolist() == [0] * 50


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_equal_input_gives_equal_labels_numbered_by_first_point(seed, count):
    features = np.random.default_rng(seed).uniform(0, 8, (count, 2))
    labels = cluster(features)
    np.testing.assert_array_equal(labels, cluster(features))
    _, first = np.unique(labels, return_index=True)
    assert (np.diff(first) > 0).all() and labels.min() == 0


def test_the_allowed_gap_grows_with_range():
    """Along a ray the warp turns gap + slope * range into 1 step."""
    for distance in (1.0, 20.0, 60.0):
        pair = np.array([[distance, 0.0], [distance + 0.5 + 0.02 * distance, 0.0]])
        near, far = even_gaps(pair, np.zeros(2), 0.5, 0.02)[:, 0]
        assert abs(far - near - 1) < 0.02


def test_a_constant_gap_is_a_plain_scale():
    xy = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(even_gaps(xy, np.zeros(2), 0.5, 0.0), xy / 0.5)


def test_groups_leave_noise_out():
    order, starts = grouped(np.array([1, -1, 0, 1]))
    assert order.tolist() == [2, 0, 3] and starts.tolist() == [0, 1, 3]
