"""One colour per class, told apart from each other and from truth."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import CLASSES
from mm_fusion.viewing.palette import CLASS_COLOURS, GROUND, TRUTH


def test_every_class_has_its_own_colour() -> None:
    assert len(CLASS_COLOURS) == len(CLASSES) == len(set(CLASS_COLOURS))


def test_all_stand_out_from_the_ground_and_from_truth() -> None:
    colours = np.array(CLASS_COLOURS)
    assert (np.abs(colours - np.array(GROUND)).max(axis=1) > 100).all()
    assert (np.abs(colours - np.array(TRUTH)).max(axis=1) > 60).all()
