"""A model in eager PyTorch, channels-last, as somebody would run it who has only trained it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mm_fusion.network.model import FUSION_INPUTS
from mm_fusion.training.model_of import model_in

Arrays = dict[str, np.ndarray]


class EagerEngine:
    """The graphs of an exported folder's weights; sets PyTorch's number of threads for the process."""

    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = model_in(folder)
        for module in self._model.modules():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def cameras(self, images: np.ndarray) -> Arrays:
        """rows, full_rows and depth (N, R, ...) of images (N, 3, h, w) uint8, as one batch."""
        with torch.inference_mode():
            found = self._model.camera(_tensor(images))
        return {name: each.numpy() for name, each in zip(("rows", "full_rows", "depth"), found)}

    def raster(self, name: str, raster: np.ndarray) -> np.ndarray:
        """Features (1, C, X, Y) of a raster."""
        encoder = self._model.lidar if name == "lidar" else self._model.radar
        with torch.inference_mode():
            found: np.ndarray = encoder(_tensor(raster)).numpy()
        return found

    def fusion(self, inputs: Arrays) -> Arrays:
        """Raw outputs by name."""
        with torch.inference_mode():
            found = self._model.fusion({name: _tensor(inputs[name]) for name in FUSION_INPUTS})
        return {name: each.numpy() for name, each in found.items()}


def _tensor(array: np.ndarray) -> Tensor:
    """The array in channels-last, where it has such axes."""
    tensor = torch.from_numpy(array)
    return tensor.contiguous(memory_format=torch.channels_last) if array.ndim == 4 else tensor
