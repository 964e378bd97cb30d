"""Detections compared as sets."""

from __future__ import annotations

import math

import numpy as np

from mm_fusion.training.export_parity import compare_outputs, parity_table


def outputs_of(*rows: tuple[int, int, float, float]) -> dict[str, np.ndarray]:
    """Raw outputs of candidates given as class, cell, score, x."""
    box = np.array([(x, 0, 1, 4, 2, 1.5, 0, 1) for _, _, _, x in rows], np.float32).reshape(-1, 8)
    return {
        "class_index": np.array([row[0] for row in rows], np.int64)[None],
        "cell": np.array([row[1] for row in rows], np.int64)[None],
        "score": np.array([row[2] for row in rows], np.float32)[None],
        "box": box[None],
    }


def test_nothing_says_nothing() -> None:
    found = compare_outputs([(outputs_of(), outputs_of())])
    assert found["detections"] == 0 and math.isnan(found["matched_percent"])
    assert "found again" in parity_table(
        {"precision": "fp32", "backend": "x", "reference": "y", "data": "z"} | found
    )


def test_an_order_means_nothing() -> None:
    one, other = outputs_of((0, 5, 0.9, 1), (1, 7, 0.5, 2)), outputs_of((1, 7, 0.45, 2.5), (0, 5, 0.9, 1))
    found = compare_outputs([(one, other)])
    assert found["matched_percent"] == found["near_percent"] == 100.0
    assert math.isclose(found["score_error"]["max"], 0.05, abs_tol=1e-6)
    assert (
        math.isclose(found["center_error_m"]["max"], 0.5, abs_tol=1e-6) and found["yaw_error_deg"]["max"] == 0
    )


def test_a_neighbouring_cell_is_near_and_another_class_is_not() -> None:
    one = outputs_of((0, 5, 0.9, 1), (0, 9, 0.9, 20))
    other = outputs_of((0, 6, 0.9, 1.5), (1, 9, 0.9, 20))
    found = compare_outputs([(one, other)])
    assert found["matched_percent"] == 0.0 and found["near_percent"] == 50.0


def test_weak_candidates_come_and_go() -> None:
    assert compare_outputs([(outputs_of((0, 5, 0.05, 1)), outputs_of())])["detections"] == 0
