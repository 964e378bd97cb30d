"""Detections compared as sets."""

from __future__ import annotations

import math

import numpy as np

from mm_fusion.detections import CLASSES, make_detections
from mm_fusion.evaluation.scenes import Scene
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.runtime.protocol import Arrays
from mm_fusion.training.export_frames import ExportFrames
from mm_fusion.training.export_parity import compare_outputs, map_change, parity_table
from test.network.scene import random_batch, small_config


class FixedGraph:
    """A graph that says the same whatever it is given."""

    input_names = ()
    model_hash = ""

    def __init__(self, outputs: Arrays) -> None:
        self._outputs = outputs

    def run(self, inputs: Arrays) -> Arrays:
        return self._outputs


def graphs_that_find(*places: float) -> dict[str, FixedGraph]:
    """Graphs whose fusion finds cars at x = places, y = 0."""
    config, count = small_config(), len(places)
    camera, grid = config.camera, config.grid.shape
    rows = {"rows": camera.rows_channels, "full_rows": camera.full_rows_channels, "depth": camera.depth_bins}
    seen = {name: np.zeros((1, camera.rows_per_camera, width), np.float32) for name, width in rows.items()}
    features = {"features": np.zeros((1, config.trunk.channels, *grid), np.float32)}
    single = {
        **{name: array[0] for name, array in outputs_of(*((0, 0, 0.9, x) for x in places)).items()},
        "class_index": np.full(count, config.classes.index("car")),
        "cell": np.arange(count),
        "velocity": np.zeros((count, 2), np.float32),
        "variance": np.ones((count, 9), np.float32),
        "moving": np.zeros(count, np.float32),
        "contribution": np.ones((count, 3), np.float32),
        "weights": np.full((count, 3), 1 / 3, np.float32),
    }
    fusion = {name: array[None] for name, array in single.items()}
    found = {"camera": seen, "lidar": features, "radar": features, "fusion": fusion}
    return {name: FixedGraph(outputs) for name, outputs in found.items()}


def test_what_is_missed_shows_in_the_score() -> None:
    batch = {name: array.numpy() for name, array in random_batch(small_config()).items()}
    single = {name: batch[name][0] for name in ("images", "camera_present", "available")}
    inputs = NetworkInputs(**{**batch, **single})  # type: ignore[typeddict-item]
    car = CLASSES.index("car")
    truth = make_detections(
        2,
        center=np.array([(3, 0, 1), (9, 0, 1)], np.float32),
        size=np.array([(4, 2, 1.5)] * 2, np.float32),
        score=np.ones(2, np.float32),
        class_id=np.full(2, car, np.int16),
    )
    scored = ExportFrames("test", [inputs], True, [Scene(1, "base_link", truth)], [0])
    same = map_change(graphs_that_find(3, 9), graphs_that_find(3, 9), small_config(), scored)
    worse = map_change(graphs_that_find(3, 9), graphs_that_find(3), small_config(), scored)
    assert same["change"] == 0 and same["torch"] == same["exported"] > 90
    assert worse["change"] < -30 and worse["frames"] == 1


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
