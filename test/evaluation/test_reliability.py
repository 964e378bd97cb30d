"""Calibration error counted by hand; fitted curves that keep the order and lower the error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.evaluation.reliability import (
    expected_calibration_error,
    fit_mode,
    isotonic_curve,
    platt_curve,
    reliability_bins,
)


def drawn(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and hits that are right with the square of the score."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 1, n)
    return score, rng.random(n) < score**2


def test_without_detections_there_is_no_error() -> None:
    assert math.isnan(expected_calibration_error(np.empty(0), np.empty(0, bool)))
    assert reliability_bins(np.empty(0), np.empty(0, bool)) == []
    assert fit_mode({}) == {}


def test_the_error_is_the_gap_of_score_and_share() -> None:
    score = np.full(30, 0.9)
    assert expected_calibration_error(score, np.arange(30) % 2 == 0, bins=1) == pytest.approx(0.4)
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0
    assert expected_calibration_error(np.array([1.0, 0.0]), np.array([False, True])) == 1


def test_bins_hold_the_same_number_and_begin_with_the_weakest() -> None:
    score = np.linspace(1, 0, 30)
    bins = reliability_bins(score, score > 0.5)
    assert [row["count"] for row in bins] == [2] * 15
    assert bins[0]["score"] < bins[-1]["score"] and bins[-1]["hit_share"] == 1


def test_isotonic_pools_what_falls() -> None:
    """Hits 0 1 0 1 1 pool to 0, 1/2, 1."""
    curve = isotonic_curve(np.array([0.1, 0.2, 0.4, 0.6, 0.8]), np.array([0, 1, 0, 1, 1]))
    assert curve(np.array([0.1, 0.3, 0.7, 0.9])) == pytest.approx([0, 0.5, 1, 1], abs=1e-4)


@pytest.mark.parametrize("fit", [platt_curve, isotonic_curve])
def test_a_fitted_curve_lowers_the_error_on_data_it_has_not_seen(fit) -> None:
    curve = fit(*drawn(4000))
    score, hit = drawn(4000, seed=2)
    before, after = (expected_calibration_error(s, hit) for s in (score, curve(score)))
    assert before > 0.12 and after < 0.04


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_curves_rise_strictly_and_stay_probabilities(rows) -> None:
    score, hit = np.array([s for s, _ in rows]), np.array([h for _, h in rows])
    for fit in (platt_curve, isotonic_curve):
        curve = fit(score, hit)
        assert (np.diff(curve.score) > 0).all() and (np.diff(curve.probability) > 0).all()
        assert curve.probability.min() >= 0 and curve.probability.max() <= 1


def test_rare_classes_share_the_curve_of_their_mode() -> None:
    few = (np.array([0.5, 0.6]), np.array([True, False]))
    found = fit_mode({"car": drawn(2000), "bus": few})
    assert set(found) == {"car", "all"}
    entry, _ = found["car"]
    assert entry["method"] == "isotonic" and entry["detections"] == 2000
    assert fit_mode({"car": drawn(200)})["car"][0]["method"] == "platt"
