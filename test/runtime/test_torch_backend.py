"""Weights of a folder as torch takes them: what does not fit is named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import save_file

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.torch_backend import WEIGHTS, read_model


def test_what_is_no_file_of_weights_is_named(config: LearnedConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=WEIGHTS):
        read_model(tmp_path, config)
    (tmp_path / WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(ConfigurationError, match=WEIGHTS):
        read_model(tmp_path, config)


@pytest.mark.parametrize("harm", ["shorter", "gone", "more"])
def test_the_weight_that_does_not_fit_is_named_in_one_line(
    tmp_path: Path, config: LearnedConfig, harm: str
) -> None:
    weights, name = FusionModel(config).state_dict(), "fusion.head.heatmap.weight"
    if harm == "shorter":
        weights[name] = weights[name][1:].clone()
    elif harm == "gone":
        weights.pop(name)
    else:
        name = "fusion.head.more"
        weights[name] = weights["fusion.head.heatmap.bias"].clone()
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(ConfigurationError) as found:
        read_model(tmp_path, config)
    assert name in str(found.value) and "\n" not in str(found.value)
