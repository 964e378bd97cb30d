"""Worlds that the tests of sensors share, and sensors to look at them with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mm_fusion.config import SensorConfig
from mm_fusion.measurements import CameraModel

if TYPE_CHECKING:
    from mm_fusion.simulation.world import World


@lru_cache(maxsize=8)
def _world(weather: str, scenario: str) -> World:
    from mm_fusion.simulation.world import make_world

    return make_world(scenario, 5, weather=weather)


@pytest.fixture(scope="session")
def world_of() -> Callable[..., World]:
    """A street by weather, and by scenario where it matters; the same one each time."""
    pytest.importorskip("open3d", reason="worlds are seen by Open3D's ray casting")
    return lambda weather="clear", scenario="straight": _world(weather, scenario)


@pytest.fixture(scope="session")
def sensor_of() -> Callable[..., SensorConfig]:
    """A sensor of a kind with a topic and what the test needs."""
    return lambda kind, **settings: SensorConfig.model_validate(
        {"kind": kind, "topic": f"/{kind}", **settings}
    )


@pytest.fixture(scope="session")
def lens_of() -> Callable[..., CameraModel]:
    """A camera of 65 degrees or so with each kind of distortion that the package knows."""
    return _camera_model


def _camera_model(kind: str = "plumb_bob", width_px: int = 352, height_px: int = 198) -> CameraModel:
    distortion = {
        "none": [],
        "plumb_bob": [-0.28, 0.09, 0.0005, -0.0004, -0.012],
        "rational_polynomial": [0.4, 0.12, 0.0002, -0.0001, 0.01, 0.7, 0.2, 0.02],
        "equidistant": [0.02, -0.004, 0.001, -0.0003],
    }[kind]
    matrix = np.array([[0.78 * width_px, 0, width_px / 2], [0, 0.78 * width_px, height_px / 2], [0, 0, 1.0]])
    name = "plumb_bob" if kind == "none" else kind
    return CameraModel(matrix, np.array(distortion, float), name, width_px, height_px)  # type: ignore[arg-type]
