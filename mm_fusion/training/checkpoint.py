"""A model from the checkpoint of a run."""

from __future__ import annotations

from pathlib import Path

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.model import FusionModel
from mm_fusion.runtime.checkpoint_files import read_checkpoint


def load_checkpoint(path: Path) -> FusionModel:
    """The model of a training checkpoint with its averaged weights; raises `ConfigurationError`."""
    config, weights = read_checkpoint(path)
    model = FusionModel(config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigurationError(
            f"{path}: expected weights of its own config {config.hash()}, got others: "
            f"{str(error).splitlines()[-1].strip()}; it is of another version of the network"
        ) from error
    return model.eval()
