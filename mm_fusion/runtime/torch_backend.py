"""PyTorch itself: the reference of every other backend, and what runs where there is no ONNX Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.model import FUSION_INPUTS, FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Arrays

Graph = Callable[[dict[str, Tensor]], dict[str, Tensor]]


class TorchBackend:
    """One graph of a model in memory."""

    def __init__(self, model: FusionModel, name: str, model_hash: str) -> None:
        self._graph, self._names = _graph_of(model, name)
        self._hash = model_hash

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return self._names

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to."""
        return self._hash

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name."""
        with torch.inference_mode():
            found = self._graph({name: torch.from_numpy(inputs[name]) for name in self._names})
        return {name: each.numpy() for name, each in found.items()}


def load_torch(folder: Path, config: LearnedConfig) -> dict[str, TorchBackend]:
    """The four graphs of an exported folder by name, from its half-precision weights."""
    from safetensors.torch import load_file

    path = folder / "weights.safetensors"
    try:
        weights = load_file(path)
        model = FusionModel(config).eval()
        missing, unknown = model.load_state_dict({n: w.float() for n, w in weights.items()}, strict=False)
    except Exception as error:
        raise ConfigurationError(f"{path}: expected weights of mm-fusion export, got {error}") from error
    missing = [name for name in missing if not name.startswith("auxiliary.")]
    if missing or unknown:
        raise ConfigurationError(f"{path}: weights of another config; differs at {[*missing, *unknown][0]}")
    digest = f"{config.hash()}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return {name: TorchBackend(model, name, digest) for name in ("camera", "lidar", "radar", "fusion")}


def _graph_of(model: FusionModel, name: str) -> tuple[Graph, tuple[str, ...]]:
    if name == "camera":
        outputs = ("rows", "full_rows", "depth")
        return lambda given: dict(zip(outputs, model.camera(given["image"]))), ("image",)
    if name in ("lidar", "radar"):
        encoder = model.lidar if name == "lidar" else model.radar
        return lambda given: {"features": encoder(given["raster"])}, ("raster",)
    return model.fusion, FUSION_INPUTS
