"""Precision by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.training.validation import precision


def frame(*rows):
    score, classes, x = zip(*rows) if rows else ((), (), ())
    return (
        np.array(score, float),
        np.array(classes, int),
        np.column_stack([np.array(x, float), np.zeros(len(rows))]),
    )


def test_without_objects_there_is_no_precision_and_without_candidates_it_is_zero():
    assert np.isnan(precision([frame()], [frame()], 0))
    assert precision([frame()], [frame((1, 0, 5))], 0) == 0


def test_each_object_is_found_once_within_two_metres_by_its_class():
    truth = [frame((1, 0, 5), (1, 1, 20)), frame((1, 0, 9))]
    assert precision([frame((0.9, 0, 6.9)), frame((0.8, 0, 9))], truth, 0) == 100
    assert precision([frame((0.9, 0, 7.1)), frame((0.8, 0, 9))], truth, 0) == pytest.approx(25)
    assert precision([frame((0.9, 0, 5), (0.85, 0, 5.1)), frame((0.8, 0, 9))], truth, 0) == pytest.approx(
        100 * (0.5 + 0.5 * 2 / 3)
    )
    assert precision([frame((0.9, 1, 5)), frame()], truth, 0) == 0
    assert precision([frame((0.9, 1, 20)), frame()], truth, 1) == 100
