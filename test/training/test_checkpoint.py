"""Checkpoints that do not fit the network are named, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.model import FusionModel
from mm_fusion.training.checkpoint import load_checkpoint
from test.network.scene import small_config


def kept(path: Path, weights: dict[str, torch.Tensor]) -> Path:
    torch.save({"config": small_config().model_dump(mode="json"), "ema": {"mean": weights}}, path)
    return path


def test_averaged_weights_come_back(tmp_path: Path) -> None:
    weights = FusionModel(small_config()).state_dict()
    found = load_checkpoint(kept(tmp_path / "last.ckpt", weights))
    assert not found.training
    assert all(torch.equal(each, weights[name]) for name, each in found.state_dict().items())


@pytest.mark.parametrize("harm", ["none", "shape", "missing"])
def test_weights_of_another_network_are_named_in_one_line(tmp_path: Path, harm: str) -> None:
    weights, name = FusionModel(small_config()).state_dict(), "fusion.head.heatmap.weight"
    if harm == "none":
        weights = {"other": torch.zeros(1)}
    elif harm == "shape":
        weights[name] = weights[name][1:]
    else:
        weights.pop(name)
    with pytest.raises(ConfigurationError, match=r"last\.ckpt: expected weights of its own config") as found:
        load_checkpoint(kept(tmp_path / "last.ckpt", weights))
    assert "\n" not in str(found.value)
