from __future__ import annotations

import numpy as np

from mm_fusion.detectors.geometric.class_claims import Claims
from mm_fusion.detectors.geometric.surroundings import hidden_ends, intrusions, support


def line(x0, y0, x1, y1, count=40):
    return np.stack([np.linspace(x0, x1, count), np.linspace(y0, y1, count)], axis=1)


def claims(yaws, y):
    count = len(yaws)
    return Claims(
        np.column_stack([np.full(count, 10.0), y]),
        np.ones((count, 3)),
        np.array(yaws),
        np.zeros(count, np.int16),
        np.zeros(count),
        np.zeros(count),
        np.zeros((count, 2)),
    )


def test_a_nearer_thing_hides_the_end_beside_it():
    face = line(20, -1, 20, 1)
    starts = np.array([0, len(face)])
    assert hidden_ends(face, starts, face, np.zeros(2)).tolist() == [[False, False]]
    left = np.concatenate([face, line(10, 0.55, 10, 2)])
    assert hidden_ends(face, starts, left, np.zeros(2)).tolist() == [[False, True]]
    right = np.concatenate([face, line(10, -2, 10, -0.55)])
    assert hidden_ends(face, starts, right, np.zeros(2)).tolist() == [[True, False]]


def test_ends_are_found_across_the_back():
    """A cluster straight behind the sensor has azimuths on both sides of pi."""
    face = line(-20, -1, -20, 1)
    obstacles = np.concatenate([face, line(-10, 0.55, -10, 2)])
    assert hidden_ends(face, np.array([0, len(face)]), obstacles, np.zeros(2)).tolist() == [[True, False]]


def test_only_other_clusters_points_well_inside_intrude():
    box = np.array([[10, 0, 0.5, 4, 2, 1, 0.0]])
    xy = np.array([[10.0, 0.0], [10.5, 0.0], [11.95, 0.0], [20.0, 0.0]])
    assert intrusions(box, np.array([0]), xy, np.array([0, 1, 1, 1]), 0.2).tolist() == [1.0]
    assert intrusions(box, np.array([5]), xy, np.array([0, 1, 1, 1]), 0.0).tolist() == [3.0]


def test_a_row_of_cars_speaks_for_one_direction():
    """Two trusted neighbours stand along y; the middle one is undecided."""
    y = [-3.0, 0.0, 3.0]
    first, second = claims([0.0, 0.0, 0.0], y), claims([np.pi / 2] * 3, y)
    trust = np.array([1.0, 0.0, 1.0])
    as_second = support(first, second, np.array([True, False, True]), trust, 8.0)
    as_first = support(first, second, np.array([False, True, False]), trust, 8.0)
    assert as_second[1] > 0.5 and as_first[1] < -0.5


def test_nobody_near_says_nothing():
    first, second = claims([0.0], [0.0]), claims([np.pi / 2], [0.0])
    assert support(first, second, np.array([True]), np.ones(1), 8.0).tolist() == [0.0]
