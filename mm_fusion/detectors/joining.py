"""The same network asked with all sensors, or with each alone, and what its answers are joined by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np

from mm_fusion.detections import SENSOR_GROUPS, Detections
from mm_fusion.detectors.association import match
from mm_fusion.detectors.late_fusion import Coverage, SensorObjects, fuse, widened
from mm_fusion.measurements import Float32, Float64
from mm_fusion.model_config import LateFusionConfig
from mm_fusion.network_config import GridConfig, LearnedConfig
from mm_fusion.runtime.protocol import Arrays

Find = Callable[[Arrays], Detections]
"""Runs the fusion graph on its inputs and decodes what it says."""
SEES = 0.5
"""Chance that a sensor alone finds an object in a cell that it covers fully: silence is weak evidence."""
FLOOR = 0.02
"""Support of an object that no sensor alone finds: it is not published below this."""
CONFIRMS = 0.3
"""Share of the sensors' own support in the logarithm of a hybrid's score."""


def joined(find: Find, given: Arrays, config: LearnedConfig) -> Detections:
    """The objects of a frame by `config.joining`; `given`: inputs of the fusion graph."""
    cover = given["coverage"]
    present = [number for number in range(len(SENSOR_GROUPS)) if cover[0, number].any()]
    if len(present) < 2 or config.joining in ("feature", "early"):
        return find(given)
    own = {SENSOR_GROUPS[n]: find({**given, "coverage": alone(cover, n)}) for n in present}
    settings = LateFusionConfig(min_score=FLOOR)
    if config.joining == "late":
        chances = {name: _chance(cover[0, SENSOR_GROUPS.index(name)], config.grid) for name in own}
        parts = [SensorObjects(cast(Any, name), name, each) for name, each in own.items()]
        return fuse(parts, chances, settings)[0]
    return confirmed(find(given), list(own.values()), settings)


def alone(cover: Float32, sensor: int) -> Float32:
    """Coverage (1, 3, X, Y) with one sensor left."""
    left = np.zeros_like(cover)
    left[:, sensor] = cover[:, sensor]
    return left


def confirmed(fused: Detections, own: list[Detections], config: LateFusionConfig) -> Detections:
    """`fused` rescored by what each sensor alone finds, strongest first: score^0.7 support^0.3.

    support: the chance that any of them is right, 1 - prod (1 - score) over the matched ones, at least 0.02.
    """
    doubt = np.ones(len(fused))
    for each in own:
        left, right = match(widened(fused, config), widened(each, config), config)
        doubt[left] *= 1 - np.clip(each.score[right], 0.0, 1.0)
    support = np.maximum(1 - doubt, FLOOR)
    score = (fused.score ** (1 - CONFIRMS) * support**CONFIRMS).astype(np.float32)
    rescored = replace(fused, score=score)
    return rescored.select(np.argsort(-score, kind="stable"))


def _chance(cover: Float32, grid: GridConfig) -> Coverage:
    """The chance that a sensor of this coverage (X, Y) sees an object; none outside the grid."""

    def seen(objects: Detections) -> Float64:
        nx, ny = grid.shape
        x = np.floor((objects.center[:, 0] - grid.x_min) / grid.cell).astype(np.int64)
        y = np.floor((objects.center[:, 1] - grid.y_min) / grid.cell).astype(np.int64)
        inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
        held = cover[np.clip(x, 0, nx - 1), np.clip(y, 0, ny - 1)]
        return np.where(inside, SEES * held, 0.0).astype(np.float64)

    return seen
