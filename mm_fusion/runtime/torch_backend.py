"""PyTorch itself: the reference of training, and what runs a checkpoint that is not exported yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mm_fusion.errors import BackendError, ConfigurationError
from mm_fusion.network.model import FUSION_INPUTS, FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.array_checks import finite_outputs
from mm_fusion.runtime.model_files import GRAPHS
from mm_fusion.runtime.protocol import Arrays

WEIGHTS = "weights.safetensors"
"""Name of the file of weights in a model's folder."""
Graph = Callable[[dict[str, Tensor]], dict[str, Tensor]]


class TorchBackend:
    """One graph of a model in memory, on the device that its weights lie on."""

    def __init__(self, model: FusionModel, name: str, model_hash: str) -> None:
        self._graph, self._names = _graph_of(model, name)
        self._device = next(model.parameters()).device
        self._name, self._hash = name, model_hash

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return self._names

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to."""
        return self._hash

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; raises `BackendError`."""
        given = {name: inputs[name] for name in self._names}
        try:
            with torch.inference_mode():
                found = self._graph({n: torch.from_numpy(a).to(self._device) for n, a in given.items()})
            outputs = {name: each.cpu().numpy() for name, each in found.items()}
        except Exception as error:
            raise BackendError(f"torch: {self._name}: {error}") from error
        return finite_outputs(outputs, given, f"torch: {self._name}")


def load_torch(folder: Path, config: LearnedConfig, threads: int | None = None) -> dict[str, TorchBackend]:
    """The four graphs of a folder by name, from its half-precision weights; on a CUDA device where one is.

    threads: of torch in this whole process, None leaves them. Raises `ConfigurationError`.
    """
    placed = _on_device(read_model(folder, config))
    if threads is not None:
        torch.set_num_threads(threads)
    content = (folder / WEIGHTS).read_bytes()
    digest = f"{config.hash()}-{hashlib.sha256(content).hexdigest()[:12]}"
    return {name: TorchBackend(placed, name, digest) for name in GRAPHS}


def read_model(folder: Path, config: LearnedConfig) -> FusionModel:
    """The model of a folder's half-precision weights, on the CPU, without those of auxiliary heads.

    Raises `ConfigurationError`.
    """
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    try:
        weights = {name: each.float() for name, each in load_file(path).items()}
        model = FusionModel(config).eval()
        missing, unknown = model.load_state_dict(weights, strict=False)
    except Exception as error:
        said = (str(error).splitlines() or [repr(error)])[-1].strip()  # torch puts a title above
        raise ConfigurationError(f"{path}: expected weights of mm-fusion export, got {said}") from error
    missing = [name for name in missing if not name.startswith("auxiliary.")]
    if missing or unknown:
        raise ConfigurationError(f"{path}: weights of another config; differs at {[*missing, *unknown][0]}")
    return model


def _on_device(model: FusionModel) -> FusionModel:
    if not torch.cuda.is_available():
        return model
    torch.backends.cudnn.allow_tf32 = False  # results would differ from every other backend
    return model.to("cuda")


def _graph_of(model: FusionModel, name: str) -> tuple[Graph, tuple[str, ...]]:
    if name == "camera":
        outputs = ("rows", "full_rows", "depth")
        return lambda given: dict(zip(outputs, model.camera(given["image"]))), ("image",)
    if name in ("lidar", "radar"):
        encoder = model.lidar if name == "lidar" else model.radar
        return lambda given: {"features": encoder(given["raster"])}, ("raster",)
    return model.fusion, FUSION_INPUTS
