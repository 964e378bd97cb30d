"""A model from the checkpoint of a run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mm_fusion.errors import FusionError
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig


def load_checkpoint(path: Path) -> FusionModel:
    """The model of a training checkpoint with its averaged weights; raises `FusionError`."""
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        config = LearnedConfig.model_validate(kept["config"])
        weights = kept.get("ema", {}).get("mean") or _own(kept["state_dict"])
    except Exception as error:
        raise FusionError(f"{path}: expected a checkpoint of mm-fusion train, got {error}") from error
    model = FusionModel(config)
    model.load_state_dict(weights)
    return model.eval()


def _own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
