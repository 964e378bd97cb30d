"""Frames put together."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import empty_detections
from mm_fusion.training.batches import UNBATCHED, collate
from mm_fusion.training.targets import make_targets
from test.network.scene import random_batch, small_config


def test_every_array_gets_the_frames_as_its_first_axis() -> None:
    config = small_config()
    frames = [
        {name: each.numpy() for name, each in random_batch(config, seed=seed).items()} for seed in (0, 1)
    ]
    frames = [{name: a[0] if name in UNBATCHED else a for name, a in frame.items()} for frame in frames]
    targets = make_targets(empty_detections(), np.ones(config.grid.shape, bool), config)
    joined = collate([(frame, targets) for frame in frames])
    expected = random_batch(config, 2)
    assert {n: a.shape for n, a in joined["inputs"].items()} == {n: a.shape for n, a in expected.items()}
    np.testing.assert_array_equal(joined["inputs"]["lidar"][1], frames[1]["lidar"][0])
    assert joined["targets"]["heatmap"].shape == (2, 10, *config.grid.shape)
