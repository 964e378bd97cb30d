"""Residuals, stated variances and velocity errors of hand-made matches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mm_fusion.detections import empty_detections
from mm_fusion.evaluation.matched import matched, variance_tree, velocity_errors
from test.evaluation.hand_made import objects, pair


def test_without_matches_everything_is_unknown() -> None:
    tree = variance_tree(matched([pair(objects([[10, 0, 0]]), empty_detections())]))
    assert tree["position"]["matches"] == 0 and math.isnan(tree["position"]["nll"])
    assert len(velocity_errors(matched([])).key) == 0


def test_position_is_judged_by_its_ellipse() -> None:
    """One metre along x: 1 sigma^2 of 1 is inside 68 % (d^2 = 1 < 2.28), of 0.25 outside 68, inside 95."""
    truth = objects([[10, 0, 0]])
    for xx, inside in ((1.0, (100, 100)), (0.25, (0, 100)), (0.1, (0, 0))):
        found = objects([[11, 0, 0]], position_cov=np.array([[xx, 0, 1.0]]))
        entry = variance_tree(matched([pair(truth, found)]))["position"]
        assert (entry["coverage_68"], entry["coverage_95"]) == inside
        assert entry["nll"] == pytest.approx(0.5 / xx + 0.5 * math.log(xx) + math.log(2 * math.pi), rel=1e-5)


def test_correlation_counts() -> None:
    """A residual along the long axis of an ellipse at 45 degrees: d^2 = 1 for variance 2 along it."""
    found = objects([[11, 1, 0]], position_cov=np.array([[1.25, 0.75, 1.25]]))
    entry = variance_tree(matched([pair(objects([[10, 0, 0]]), found)]))["position"]
    assert entry["nll"] == pytest.approx(0.5 + 0.5 * math.log(2 * 0.5) + math.log(2 * math.pi), rel=1e-5)


def test_scalars_are_z_sizes_and_yaw() -> None:
    truth = objects([[10, 0, 0]], yaw=np.array([3.1]))
    found = objects([[10, 0, 1]], yaw=np.array([-3.1]), variance=np.array([[1.0, np.inf, 0.01, 0.01, 0.01]]))
    tree = variance_tree(matched([pair(truth, found)]))
    assert tree["z"]["nll"] == pytest.approx(0.5 + 0.5 * math.log(2 * math.pi))
    assert tree["z"]["coverage_68"] == 0 and tree["z"]["coverage_95"] == 100
    assert tree["length"]["stated"] == 0 and tree["width"]["coverage_68"] == 100
    assert tree["yaw"]["nll"] == pytest.approx(
        (2 * math.pi - 6.2) ** 2 / 0.02 + 0.5 * math.log(2 * math.pi * 0.01), rel=1e-3
    )


def test_a_normal_residual_is_covered_as_stated() -> None:
    rng = np.random.default_rng(3)
    centers = np.column_stack([10.0 * np.arange(1, 801), np.zeros(800), np.zeros(800)])
    noise = np.column_stack([rng.normal(0, 0.3, (800, 2)), np.zeros(800)])
    found = objects(centers + noise, position_cov=np.tile([0.09, 0, 0.09], (800, 1)))
    entry = variance_tree(matched([pair(objects(centers), found)]))["position"]
    assert entry["matches"] > 790
    assert entry["coverage_68"] == pytest.approx(68, abs=4) and entry["coverage_95"] == pytest.approx(
        95, abs=2.5
    )


def test_velocity_errors_are_parted_along_and_across_the_ray() -> None:
    truth = objects([[0, 20, 0], [30, 0, 0]], velocity=np.array([[3.0, 4.0], [0.2, 0.0]]))
    found = objects([[0, 20, 0], [30, 0, 0]], velocity=np.array([[1.0, 4.5], [9.0, 0.0]]))
    errors = velocity_errors(matched([pair(truth, found)]))
    assert errors.radial == pytest.approx([0.5]) and errors.tangential == pytest.approx([2.0])
    assert errors.key.tolist() == [0] and errors.known.tolist() == [True]


def test_an_unknown_velocity_counts_as_standing() -> None:
    truth = objects([[20, 0, 0]], velocity=np.array([[3.0, 4.0]]))
    errors = velocity_errors(matched([pair(truth, objects([[20, 0, 0]], velocity=np.full((1, 2), np.nan)))]))
    assert (errors.radial[0], errors.tangential[0]) == pytest.approx((3, 4)) and not errors.known[0]
