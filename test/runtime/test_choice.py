"""Graphs of a folder on a backend: what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.runtime.choice import open_graphs
from test.network.scene import small_config


def test_an_unknown_backend_says_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="onnxruntime, torch"):
        open_graphs(tmp_path, small_config(), "magic")


@pytest.mark.parametrize(
    ("backend", "file"), [("onnxruntime", "camera.onnx"), ("torch", "weights.safetensors")]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, backend: str, file: str) -> None:
    (tmp_path / file).write_bytes(b"half a file")
    with pytest.raises(ConfigurationError, match=file):
        open_graphs(tmp_path, small_config(), backend)


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_an_empty_folder_is_named(tmp_path: Path, backend: str) -> None:
    with pytest.raises(ConfigurationError, match=tmp_path.name):
        open_graphs(tmp_path, small_config(), backend)
