"""Targets of frames with known objects, empty frames first."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.training.targets import MAX_OBJECTS, make_targets
from test.network.scene import small_config


def car(x: float, y: float, name: str = "car") -> dict[str, np.ndarray]:
    values = {
        "center": [[x, y, 0.8]],
        "size": [[4.5, 1.9, 1.6]],
        "yaw": [0.3],
        "class_id": [CLASSES.index(name)],
    }
    return {key: np.array(value) for key, value in values.items()}


def test_an_empty_frame_has_no_targets() -> None:
    config = small_config()
    targets = make_targets(empty_detections(), np.ones(config.grid.shape, bool), config)
    assert targets["heatmap"].max() == 0
    assert targets["valid"].shape == (MAX_OBJECTS,)
    assert targets["valid"].sum() == 0


def test_an_object_stands_in_its_cell() -> None:
    config = small_config()
    targets = make_targets(make_detections(1, **car(4.2, 0.3)), np.ones(config.grid.shape, bool), config)
    assert targets["cell"][0] == 5 * 16 + 8
    assert targets["heatmap"][0, 5, 8] == 1.0
    assert 0 < targets["heatmap"][0, 6, 8] < 1.0
    assert targets["heatmap"][1:].max() == 0
    np.testing.assert_allclose(
        targets["box"][0], [4.2, 0.3, 0.8, 4.5, 1.9, 1.6, np.sin(0.3), np.cos(0.3)], rtol=1e-6
    )
    assert targets["velocity_valid"][0] == 0  # an unknown velocity is not learned


def test_objects_outside_the_labelled_region_are_left_out() -> None:
    config = small_config()
    region = np.ones(config.grid.shape, bool)
    region[5, 8] = False
    assert make_targets(make_detections(1, **car(4.2, 0.3)), region, config)["valid"].sum() == 0
    assert make_targets(make_detections(1, **car(40.0, 0.3)), region, config)["valid"].sum() == 0


def test_classes_that_the_model_does_not_know_are_holes() -> None:
    config = small_config()
    truth = make_detections(1, **car(4.2, 0.3, "unknown"))
    targets = make_targets(truth, np.ones(config.grid.shape, bool), config)
    assert targets["valid"].sum() == 0
    assert targets["region"][5, 8] == 0
    assert targets["region"][15, 0] == 1
