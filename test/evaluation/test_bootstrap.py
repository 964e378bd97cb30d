"""Draws of runs, intervals, and paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mm_fusion.evaluation.bootstrap import drawn_weights, intervals, paired_differences


@dataclass
class Average:
    """The mean of one number per run."""

    numbers: np.ndarray

    def value(self, run_weights: np.ndarray) -> float:
        return float(run_weights @ self.numbers / run_weights.sum())


def test_nothing_to_draw_from() -> None:
    assert intervals({}, 0) == {}
    assert intervals({("a",): Average(np.array([1.0, 2.0]))}, 2) == {("a",): None}


def test_draws_are_repeatable_and_as_many_as_there_are_runs() -> None:
    weights = drawn_weights(5, 200)
    np.testing.assert_array_equal(weights, drawn_weights(5, 200))
    assert (weights.sum(axis=1) == 5).all() and len({tuple(row) for row in weights.tolist()}) > 50


def test_the_interval_is_about_that_of_a_mean() -> None:
    numbers = np.random.default_rng(1).normal(0, 1, 400)
    low, high = intervals({("mean",): Average(numbers)}, 400)[("mean",)] or (0.0, 0.0)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert low < numbers.mean() < high


def test_a_constant_difference_is_certain_though_both_vary_much() -> None:
    numbers = np.random.default_rng(2).normal(0, 50, 20)
    ours, theirs = {("ap",): Average(numbers + 3), ("own",): Average(numbers)}, {("ap",): Average(numbers)}
    table = paired_differences(ours, theirs, 20)
    assert list(table) == [("ap",)]
    assert table[("ap",)]["difference"] == pytest.approx(3)
    assert table[("ap",)]["interval"] == pytest.approx((3, 3))
    assert table[("ap",)]["share_above_zero"] == 1.0


def test_too_few_runs_give_the_difference_alone() -> None:
    table = paired_differences({("ap",): Average(np.array([1.0]))}, {("ap",): Average(np.array([3.0]))}, 1)
    assert table[("ap",)] == {"difference": -2.0, "interval": None, "share_above_zero": None}
