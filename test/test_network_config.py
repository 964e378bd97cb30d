from __future__ import annotations

import pytest

from mm_fusion.config import parse_config
from mm_fusion.detections import CLASSES
from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig, load_learned, with_values

GRID = {"x_min": 0.0, "x_max": 8.0, "y_min": -4.0, "y_max": 4.0, "cell": 1.0}
CAMERA = {"width_px": 64, "height_px": 32}
WHOLE = {"name": "t", "grid": GRID, "camera": CAMERA}


def test_the_shipped_file_is_whole():
    config = load_learned("tiny")
    assert config.classes == list(CLASSES[:-1]) and len(config.classes) == 10
    assert config.lidar_shape == (15, 256, 256) and config.radar_shape == (11, 128, 128)
    assert config.lift_shape == (1, 128, 128, 4, 1)
    assert config.camera.rows_shape == (24, 44)


def test_shapes_follow_the_file():
    config = parse_config({**WHOLE, "lidar": {"scale": 2, "slice_edges": [0, 1, 2]}}, LearnedConfig, "f")
    assert config.grid.shape == (8, 8) and config.lidar_shape == (9, 16, 16)
    assert config.lidar.channel_names[:4] == ("density_0", "density_1", "intensity_0", "intensity_1")
    edges = config.camera.depth_edges
    assert len(edges) == 33 and edges[0] == 2.0 and edges[-1] == pytest.approx(70.0)


def test_the_hash_names_the_sizes():
    one, other = (parse_config({**WHOLE, "top_k": k}, LearnedConfig, "f") for k in (10, 20))
    assert (
        one.hash() != other.hash() and one.hash() == parse_config(one.model_dump(), LearnedConfig, "f").hash()
    )


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({}, "name is missing"),
        ({**WHOLE, "grid": {**GRID, "x_max": 7.5}}, "multiple of 4 cells along x"),
        ({**WHOLE, "classes": ["tank"]}, "not a class: tank"),
        ({**WHOLE, "classes": ["car", "car"]}, "twice"),
        ({**WHOLE, "lidar": {"slice_edges": [1.0, 0.0]}}, "rising"),
        ({**WHOLE, "camera": {**CAMERA, "width_px": 65}}, "multiples of stride 8"),
        ({**WHOLE, "camera": {**CAMERA, "taps": 4}}, "multiple of taps 4"),
        ({**WHOLE, "fusion": "magic"}, "fusion"),
        ({**WHOLE, "top_k": 4000}, "top_k"),
        ({**WHOLE, "radar": {"strength": {}}}, "missing: power, rcs, snr"),
    ],
)
def test_what_is_wrong_is_named(tree, text):
    with pytest.raises(ConfigurationError, match=text):
        parse_config(tree, LearnedConfig, "mine.yaml")


def test_single_values_are_replaced() -> None:
    found = with_values(load_learned("tiny"), ["depth=false", "camera.taps=4", "camera.slots=4"])
    assert (found.depth, found.camera.taps, found.camera.slots) == (False, 4, 4)
    assert with_values(load_learned("tiny"), []) == load_learned("tiny")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("depth", "expected KEY=VALUE"),
        ("cameras.taps=4", "expected KEY=VALUE"),
        ("dept=false", "did you mean depth"),
        ("camera.taps=3", "camera.taps"),
        ("top_k=many", "top_k"),
        ("top_k=[", "as in YAML"),
    ],
)
def test_wrong_single_values_are_named(word: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        with_values(load_learned("tiny"), [word])
