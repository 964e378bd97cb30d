"""Frames put together: the network's inputs and their targets as one dictionary of tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.datasets import Sample
from mm_fusion.training.targets import Targets, make_targets

UNBATCHED = ("images", "camera_present", "available")
"""Inputs without a leading axis of length one."""


def collate(samples: Sequence[tuple[Mapping[str, Any], Targets]]) -> dict[str, dict[str, Tensor]]:
    """`inputs` and `targets`, each (B, ...) by name, of frames with the targets of `make_targets`."""
    inputs = [input_tensors(each) for each, _ in samples]
    targets = [{name: torch.from_numpy(array) for name, array in each.items()} for _, each in samples]
    return {
        "inputs": {name: torch.cat([each[name] for each in inputs]) for name in inputs[0]},
        "targets": {name: torch.stack([each[name] for each in targets]) for name in targets[0]},
    }


def input_tensors(inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """One frame's inputs with a leading axis of length one everywhere."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(array[None] if name in UNBATCHED else array))
        for name, array in inputs.items()
    }


class Collation:
    """Batches of `Sample`s for one model; can be sent to a loader's processes."""

    def __init__(self, config: LearnedConfig) -> None:
        self._config = config

    def __call__(self, samples: Sequence[Sample]) -> dict[str, dict[str, Tensor]]:
        """`inputs` and `targets`, with the depth bins that LiDAR tells among the latter."""
        return collate([(sample.inputs, self._targets(sample)) for sample in samples])

    def _targets(self, sample: Sample) -> Targets:
        targets = make_targets(sample.truth.objects, sample.labelled, self._config)
        return {**targets, "depth_bins": sample.depth_bins.astype(np.int64)}
