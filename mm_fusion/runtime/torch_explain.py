"""What the exported graphs keep to themselves: the operator's weights everywhere, any sensor taken away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.measurements import Float32
from mm_fusion.network.model import FusionModel
from mm_fusion.runtime.protocol import Arrays

_WITHOUT_BATCH = ("images", "camera_present", "available")


class EncodedFrame:
    """One frame after its encoders, ready to be fused with any of its sensors."""

    def __init__(self, model: FusionModel, inputs: NetworkInputs) -> None:
        self._network = model.fusion
        with torch.inference_mode():
            self._given = model.encode(_batch(inputs))

    def outputs(self, keep: Sequence[bool] = (True, True, True)) -> Arrays:
        """The fusion graph's outputs with the sensors that `keep` (camera, LiDAR, radar) leaves."""
        mask = torch.tensor([float(each) for each in keep]).view(1, -1, 1, 1)
        with torch.inference_mode():
            found = self._network({**self._given, "coverage": self._given["coverage"] * mask})
        return {name: each.numpy() for name, each in found.items()}

    def weight_map(self) -> Float32:
        """(3, X, Y) the operator's weights in every cell."""
        with torch.inference_mode():
            features = self._network.sensor_features(self._given)
            weights = self._network.maps(features, self._given["coverage"])["weights"]
        return np.asarray(weights[0].numpy(), np.float32)


def _batch(inputs: NetworkInputs) -> dict[str, Tensor]:
    arrays = {name: torch.from_numpy(array) for name, array in inputs.items()}  # type: ignore[arg-type]
    return {name: each[None] if name in _WITHOUT_BATCH else each for name, each in arrays.items()}
