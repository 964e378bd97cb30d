"""A model in torch, from whatever `--model` names."""

from __future__ import annotations

from pathlib import Path

from mm_fusion.config import load_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.model_files import find_model


def model_of(name: str) -> FusionModel:
    """The model of a run's folder, a checkpoint, an exported folder or a shipped name, ready to be served.

    Its weights are those that are stored in half precision. Raises `ConfigurationError`.
    """
    if name == "geometric":
        raise ConfigurationError("model geometric: has no network to export; name a trained one")
    return model_in(find_model(name))


def model_in(folder: Path) -> FusionModel:
    """The model of a folder with `model.yaml` and `weights.safetensors`, without auxiliary heads' weights."""
    from safetensors.torch import load_file

    config = load_config(folder / "model.yaml", LearnedConfig)
    path = folder / "weights.safetensors"
    try:
        weights = {name: weight.float() for name, weight in load_file(path).items()}
        model = FusionModel(config).eval()
        missing, unknown = model.load_state_dict(weights, strict=False)
    except Exception as error:
        said = (str(error).splitlines() or [repr(error)])[0]
        raise ConfigurationError(f"{path}: expected weights of this model, got {said}") from error
    missing = [name for name in missing if not name.startswith("auxiliary.")]
    if missing or unknown:
        raise ConfigurationError(f"{path}: weights of another config; differs at {[*missing, *unknown][0]}")
    return model
