from __future__ import annotations

import pytest

from mm_fusion.config import parse_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.model_config import GeometricConfig, load_geometric

CAR = {"length": [4.2, 0.4], "width": [1.8, 0.1], "height": [1.5, 0.2]}


def test_the_shipped_file_is_whole():
    config = load_geometric()
    assert {"car", "truck", "pedestrian"} <= set(config.classes)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({}, "classes is missing"),
        ({"classes": {}}, "classes"),
        ({"classes": {"tank": CAR}}, "not a class: tank"),
        ({"classes": {"car": CAR}, "lidar": {"gap_m": 1}}, "unknown key lidar.gap_m"),
        ({"classes": {"car": {**CAR, "length": [0, 1]}}}, "classes.car.length"),
        ({"classes": {"car": CAR}, "fusion": {"min_score": 2}}, "fusion.min_score"),
    ],
)
def test_what_is_wrong_is_named(tree, text):
    with pytest.raises(ConfigurationError, match=text):
        parse_config(tree, GeometricConfig, "mine.yaml")


def test_a_missing_file_says_what_there_is():
    with pytest.raises(ConfigurationError, match="geometric"):
        load_geometric("nowhere")
