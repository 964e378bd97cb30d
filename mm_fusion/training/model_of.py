"""A model in torch, from whatever `--model` names."""

from __future__ import annotations

from pathlib import Path

from mm_fusion.config import load_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.model_files import find_model
from mm_fusion.runtime.torch_backend import read_model


def model_of(name: str) -> FusionModel:
    """The model of a run's folder, a checkpoint, an exported folder or a shipped name, ready to be served.

    Its weights are those that are stored in half precision. Raises `ConfigurationError`.
    """
    if name == "geometric":
        raise ConfigurationError("model geometric: has no network to export; name a trained one")
    return model_in(find_model(name))


def model_in(folder: Path) -> FusionModel:
    """The model of a folder with `model.yaml` and `weights.safetensors`, without auxiliary heads' weights."""
    return read_model(folder, load_config(folder / "model.yaml", LearnedConfig))
