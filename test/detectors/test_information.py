from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detectors.information import (
    covariance_of,
    information_of,
    intersect_scalars,
    intersect_vectors,
    join_scalars,
    join_vectors,
    nearest_half_turn,
    squared_distance,
)

NOTHING = np.array([[np.inf, 0.0, np.inf]])


def matrix(row):
    return np.array([[row[0], row[1]], [row[1], row[2]]])


def test_no_estimates():
    value, covariance = join_vectors(
        (np.zeros((0, 2)), np.zeros((0, 3))), (np.zeros((0, 2)), np.zeros((0, 3)))
    )
    assert value.shape == (0, 2) and covariance.shape == (0, 3)


def test_joined_vectors_by_hand():
    a, cov_a = np.array([1.0, 2.0]), np.array([4.0, 1.0, 2.0])
    b, cov_b = np.array([3.0, 1.0]), np.array([1.0, -0.5, 5.0])
    info = np.linalg.inv(matrix(cov_a)) + np.linalg.inv(matrix(cov_b))
    expected = np.linalg.solve(info, np.linalg.inv(matrix(cov_a)) @ a + np.linalg.inv(matrix(cov_b)) @ b)
    value, covariance = join_vectors((a[None], cov_a[None]), (b[None], cov_b[None]))
    np.testing.assert_allclose(value[0], expected)
    np.testing.assert_allclose(matrix(covariance[0]), np.linalg.inv(info))


def test_two_rays_give_the_whole_velocity():
    """Each knows one component only; together they know both."""
    along_x = (np.array([[10.0, 0.0]]), np.array([[0.01, 0.0, 900.0]]))
    along_y = (np.array([[0.0, 3.0]]), np.array([[900.0, 0.0, 0.01]]))
    value, covariance = join_vectors(along_x, along_y)
    np.testing.assert_allclose(value[0], [10.0, 3.0], atol=1e-3)
    assert covariance[0, 0] < 0.011 and covariance[0, 2] < 0.011


def test_unknown_adds_nothing():
    known = (np.array([[1.0, 2.0]]), np.array([[1.0, 0.2, 3.0]]))
    unknown = (np.array([[np.nan, np.nan]]), NOTHING)
    for pair in ((known, unknown), (unknown, known)):
        value, covariance = join_vectors(*pair)
        np.testing.assert_allclose(value, known[0])
        np.testing.assert_allclose(covariance, known[1])


def test_two_unknowns_stay_unknown():
    unknown = (np.array([[np.nan, np.nan]]), NOTHING)
    for function in (join_vectors, intersect_vectors):
        value, covariance = function(unknown, unknown)
        assert np.isnan(value).all()
        np.testing.assert_array_equal(covariance, NOTHING)


def test_inverse_and_back():
    covariance = np.array([[4.0, 1.0, 2.0], [0.5, -0.3, 0.9]])
    np.testing.assert_allclose(covariance_of(information_of(covariance)), covariance)
    np.testing.assert_array_equal(information_of(NOTHING), np.zeros((1, 3)))


def test_covariance_intersection_of_a_thing_with_itself_is_no_surer():
    same = (np.array([[1.0, 2.0]]), np.array([[4.0, 1.0, 2.0]]))
    value, covariance = intersect_vectors(same, same)
    np.testing.assert_allclose(value, same[0])
    np.testing.assert_allclose(covariance, same[1])
    assert (join_vectors(same, same)[1][:, [0, 2]] < covariance[:, [0, 2]]).all()


def test_covariance_intersection_by_hand():
    """Mirrored estimates weigh a half each: information (1/1 + 1/4) / 2 on both axes."""
    a = (np.array([[0.0, 0.0]]), np.array([[1.0, 0.0, 4.0]]))
    b = (np.array([[1.0, 1.0]]), np.array([[4.0, 0.0, 1.0]]))
    value, covariance = intersect_vectors(a, b)
    np.testing.assert_allclose(covariance[0], [1.6, 0.0, 1.6])
    np.testing.assert_allclose(value[0], [0.2, 0.8])


def test_scalars_by_inverse_variance():
    value, variance = join_scalars(
        (np.array([1.0, 1.0]), np.array([1.0, np.inf])), (np.array([4.0, 4.0]), np.array([2.0, 2.0]))
    )
    np.testing.assert_allclose(value, [2.0, 4.0])
    np.testing.assert_allclose(variance, [2 / 3, 2.0])
    value, variance = intersect_scalars(
        (np.array([1.0]), np.array([3.0])), (np.array([4.0]), np.array([2.0]))
    )
    assert value == [4.0] and variance == [2.0]


@pytest.mark.parametrize(
    ("yaw", "reference", "expected"),
    [(3.1, 0.0, 3.1 - np.pi), (0.1, 0.2, 0.1), (-1.5, 1.6, -1.5 + np.pi), (0.0, 9.0, 3 * np.pi)],
)
def test_yaw_counts_modulo_half_a_turn(yaw, reference, expected):
    assert nearest_half_turn(np.array([yaw]), np.array([reference]))[0] == pytest.approx(expected)


def test_distance_is_in_sigmas():
    apart, covariance = np.array([[[2.0, 0.0], [0.0, 2.0]]]), np.array([[[4.0, 0.0, 1.0], [4.0, 0.0, 1.0]]])
    np.testing.assert_allclose(squared_distance(apart, covariance), [[1.0, 4.0]])
