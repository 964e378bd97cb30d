from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detectors.geometric.box_fit import fit_rectangles


def corner(yaw, length=4.0, width=1.8, step=0.1):
    """The L of a car's side and rear, turned by `yaw` about its corner."""
    side = np.stack([np.arange(0, length, step), np.zeros(round(length / step))], axis=1)
    rear = np.stack([np.zeros(round(width / step)), np.arange(0, width, step)], axis=1)
    c, s = np.cos(yaw), np.sin(yaw)
    return np.concatenate([side, rear]) @ np.array([[c, s], [-s, c]])


def test_no_clusters():
    assert len(fit_rectangles(np.zeros((0, 2)), np.zeros(1, np.int64), 2.0).yaw) == 0


@pytest.mark.parametrize("yaw_deg", [0, 10, 44, 70, 88, 130, -30])
def test_yaw_of_an_l_modulo_a_quarter_turn(yaw_deg):
    points = corner(np.radians(yaw_deg))
    fit = fit_rectangles(points, np.array([0, len(points)]), 1.0)
    error = (np.degrees(fit.yaw[0]) - yaw_deg + 45) % 90 - 45
    assert abs(error) <= 1.0
    np.testing.assert_allclose(sorted((fit.high - fit.low)[0]), [1.7, 3.9], atol=0.12)
    assert fit.evidence[0] > 0.2


def test_clusters_are_fitted_apart():
    a, b = corner(0.3), corner(1.0) + 50
    fit = fit_rectangles(np.concatenate([a, b]), np.array([0, len(a), len(a) + len(b)]), 1.0)
    np.testing.assert_allclose(fit.yaw, [0.3, 1.0], atol=0.03)


@pytest.mark.parametrize("points", [np.ones((1, 2)), np.ones((20, 2))])
def test_a_point_has_no_size_and_no_direction(points):
    fit = fit_rectangles(points, np.array([0, len(points)]), 2.0)
    np.testing.assert_array_equal(fit.low, fit.high)
    assert fit.evidence[0] == pytest.approx(0, abs=1e-12)


def test_few_points_stand_as_roads_go_and_many_as_they_lie():
    """Three points on a slant; then the L of a car on the same slant."""
    few, many = np.array([[0.0, 0.0], [0.5, 0.06], [1.0, 0.1]]), corner(0.3)
    yaws = [fit_rectangles(p, np.array([0, len(p)]), 1.0, 2.0).yaw[0] for p in (few, many)]
    assert yaws[0] == pytest.approx(0.0, abs=0.05)
    assert yaws[1] == pytest.approx(0.3, abs=0.04)
