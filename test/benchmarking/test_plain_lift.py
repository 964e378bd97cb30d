"""The plain lift table is that of the package."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.benchmarking.plain_lift import PlainLift
from mm_fusion.errors import ConfigurationError
from mm_fusion.inputs.camera_sampling import CameraSampling
from test.inputs import scene


@pytest.mark.parametrize("slots", [1, 2])
def test_tables_are_the_same(slots):
    config = scene.config(camera={**scene.TREE["camera"], "slots": slots})
    frame = scene.frame({"camera": scene.image(age_s=0.05)}, 10.0)
    ours, plain = CameraSampling(config).table(frame), PlainLift(config).table(frame)
    assert ours.lift_weight.any() and (ours.lift_index != plain.lift_index).mean() < 1e-3
    same = ours.lift_index == plain.lift_index
    assert np.array_equal(ours.lift_bin[same], plain.lift_bin[same])
    assert np.allclose(ours.lift_weight, plain.lift_weight)
    assert np.allclose(ours.camera_age, plain.camera_age) and np.allclose(ours.coverage, plain.coverage)


def test_without_a_camera_it_is_empty():
    table = PlainLift(scene.config()).table(scene.frame({}))
    assert not table.lift_weight.any() and not table.coverage.any() and not table.lift_index.any()


def test_four_taps_are_refused():
    config = scene.config(camera={**scene.TREE["camera"], "slots": 4, "taps": 4})
    with pytest.raises(ConfigurationError, match="one tap"):
        PlainLift(config)
