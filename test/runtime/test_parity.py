"""Outputs compared as a set: order means nothing, gross errors of every kind are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.runtime.parity import FLOAT32, REDUCED, candidate_differences, feature_differences
from mm_fusion.runtime.protocol import Arrays

COLUMNS = 16


def candidates(count: int, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    cells = random.choice(np.arange(COLUMNS) * COLUMNS * 3, count, replace=False)
    return {
        "score": np.sort(random.uniform(0.2, 0.9, (1, count)).astype(np.float32))[:, ::-1].copy(),
        "class_index": random.integers(0, 3, (1, count)),
        "cell": cells[None],
        "box": random.uniform(0.5, 5, (1, count, 8)).astype(np.float32),
        "velocity": random.normal(size=(1, count, 2)).astype(np.float32),
        "variance": random.uniform(0.1, 1, (1, count, 9)).astype(np.float32),
    }


def differ(one: Arrays, other: Arrays, tolerance=FLOAT32) -> list[str]:
    return candidate_differences(one, other, tolerance, COLUMNS)


def test_no_candidates_are_the_same() -> None:
    empty = {name: array[:, :0] for name, array in candidates(4).items()}
    assert differ(empty, empty) == []


def test_features_are_compared_by_size() -> None:
    array = np.random.default_rng(0).normal(size=(1, 8, 4, 4)).astype(np.float32)
    assert feature_differences({"f": array}, {"f": array * 1.0001}, FLOAT32) == []
    assert "f differ by" in feature_differences({"f": array}, {"f": array * 1.1}, REDUCED)[0]
    assert feature_differences({"f": array}, {"f": array * np.nan}, REDUCED)
    assert feature_differences({"f": np.zeros(3)}, {"f": np.zeros(3)}, FLOAT32) == []


@given(st.permutations(range(12)))
@settings(deadline=None, max_examples=20)
def test_order_means_nothing(order: list[int]) -> None:
    one = candidates(12)
    assert differ(one, {name: array[:, order] for name, array in one.items()}) == []


@pytest.mark.parametrize("name", ["score", "box", "velocity", "variance", "class_index", "cell"])
def test_a_wrong_quantity_is_found(name: str) -> None:
    one = candidates(12)
    other = {**one, name: one[name] + np.array(2, one[name].dtype)}
    assert differ(one, other, REDUCED)


def test_numbers_that_are_not_finite_are_found() -> None:
    one = candidates(12)
    assert differ(one, {**one, "box": one["box"] * np.nan}, REDUCED)


def test_missing_ones_are_found_from_either_side() -> None:
    one = candidates(12)
    fewer = {name: array[:, 6:] for name, array in one.items()}
    assert "without partner" in differ(one, fewer)[0] and "without partner" in differ(fewer, one)[0]


def test_a_peak_that_moved_to_the_next_cell_in_a_tie_is_the_same() -> None:
    one = candidates(12)
    moved = one["cell"].copy()
    moved[0, :1] += 1
    assert differ(one, {**one, "cell": moved}) == []
    assert "without partner" in differ(one, {**one, "cell": one["cell"] + 1}, REDUCED)[0]


def test_the_weak_half_may_vary() -> None:
    one = candidates(12)
    one["score"] *= np.float32(0.05)  # none says anything: only the upper half is looked at
    other = {name: array.copy() for name, array in one.items()}
    other["cell"][0, 7:] += 5 * COLUMNS
    assert differ(one, other) == []
    other["cell"][0, :5] += 5 * COLUMNS
    assert differ(one, other)


def test_small_errors_of_few_bits_are_the_same_only_there() -> None:
    one = candidates(12)
    other = {**one, "score": one["score"] * np.float32(0.98)}
    assert differ(one, other, REDUCED) == [] and differ(one, other, FLOAT32)
