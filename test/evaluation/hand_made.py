"""Frames of hand-made objects for tests of scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from mm_fusion.detections import CLASSES, Detections, make_detections
from mm_fusion.evaluation.matching import Pair

CAR = CLASSES.index("car")


def objects(center: Any, score: Any = None, class_id: int = CAR, **arrays: Any) -> Detections:
    """Objects of 4 x 2 x 1.5 m that stand, with velocity known."""
    n = len(center)
    defaults = {"size": np.tile([4.0, 2, 1.5], (n, 1)), "velocity": np.zeros((n, 2))}
    return make_detections(
        n,
        center=np.array(center, float).reshape(n, 3),
        score=np.ones(n) if score is None else np.array(score),
        class_id=np.full(n, class_id),
        **{**defaults, **arrays},
    )


def pair(
    truth: Detections, found: Detections, extra: dict[str, np.ndarray] | None = None, run: int = 0
) -> Pair:
    """A frame in which everything is inside the region."""
    sides = [np.ones(len(truth), bool), np.ones(len(found), bool), np.ones(len(truth)), np.ones(len(found))]
    return Pair(0, truth, extra or {}, found, *sides, run=run)
