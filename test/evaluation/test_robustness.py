"""Retention and corruption error against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from mm_fusion.evaluation.robustness import (
    corruption_error,
    relative_retention,
    retention,
    robustness_tree,
)

OURS = {"fog": {1: 40.0, 2: 20.0, 3: 0.0}, "noise": {2: 50.0}}
BASE = {"fog": {1: 20.0, 2: 20.0, 3: 0.0}, "dirt": {1: 5.0}}


def test_nothing_has_no_mean() -> None:
    tree = robustness_tree({}, 50.0, None)
    assert tree["ra"] == {} and math.isnan(float(str(tree["mra"])))


def test_retention_is_the_mean_share_over_severities() -> None:
    assert retention(OURS, 50.0) == pytest.approx({"fog": (0.8 + 0.4 + 0) / 3, "noise": 1.0})
    assert math.isnan(retention(OURS, 0.0)["fog"])


def test_errors_are_summed_before_they_are_divided() -> None:
    """RoboBEV: (60 + 80 + 100) / (80 + 80 + 100); only what both have counts."""
    assert corruption_error(OURS, BASE) == pytest.approx({"fog": 240 / 260})
    assert relative_retention(OURS, BASE) == pytest.approx({"fog": 60 / 40 - 1})


def test_means_are_over_faults() -> None:
    tree = robustness_tree(OURS, 50.0, OURS)
    assert tree["mra"] == pytest.approx((0.4 + 1) / 2)
    assert tree["mce"] == pytest.approx(1) and tree["mrra"] == pytest.approx(0)
