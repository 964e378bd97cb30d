"""Graphs of a folder on a backend: what is wrong with name or files is named, whatever the backend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime import backends
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.model_files import GRAPHS
from mm_fusion.runtime.samples import made_samples
from test.network.scene import small_config


def test_an_unknown_backend_says_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="auto, tensorrt, onnxruntime, .*torch"):
        open_graphs(tmp_path, small_config(), "magic")


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
def test_an_empty_folder_is_named(tmp_path: Path, backend: str) -> None:
    with pytest.raises(ConfigurationError, match=tmp_path.name):
        open_graphs(tmp_path, small_config(), backend)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"half a file")
    with pytest.raises(ConfigurationError, match=r"weights\.safetensors"):
        open_graphs(tmp_path, small_config(), "torch")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime", "openvino"])
@pytest.mark.parametrize("content", [b"", b"half a file", b"\x3a\xff\xff\xff\x7f"])
def test_a_graph_that_is_none_is_named(
    copied: Path, config: LearnedConfig, backend: str, content: bytes
) -> None:
    (copied / "manifest.json").unlink()
    (copied / "radar.onnx").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"radar\.onnx"):
        open_graphs(copied, config, backend)


@pytest.mark.parametrize("keep", [0.2, 0.9, 0.9999])
def test_a_graph_that_is_cut_short_is_named(copied: Path, config: LearnedConfig, keep: float) -> None:
    (copied / "manifest.json").unlink()
    content = (copied / "fusion.onnx").read_bytes()
    (copied / "fusion.onnx").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ConfigurationError, match=r"fusion\.onnx"):
        open_graphs(copied, config, "auto")


def test_a_changed_graph_is_known_by_the_manifest(copied: Path, config: LearnedConfig) -> None:
    content = bytearray((copied / "lidar.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copied / "lidar.onnx").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"lidar\.onnx.*export the model again"):
        open_graphs(copied, config, "auto")


def test_a_manifest_of_another_model_is_refused(copied: Path, config: LearnedConfig) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**manifest, "hash": "another"}))
    with pytest.raises(ConfigurationError, match="of model another"):
        open_graphs(copied, config, "auto")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime", "torch"])
def test_yaml_and_graphs_of_two_models_are_refused(copied: Path, backend: str) -> None:
    other = small_config(top_k=11)
    with pytest.raises(ConfigurationError, match=f"expected four graphs of config {other.hash()}"):
        open_graphs(copied, other, backend)


def test_a_backend_without_its_files_says_what_it_needs(copied: Path, config: LearnedConfig) -> None:
    (copied / "manifest.json").unlink()
    (copied / "weights.safetensors").unlink()
    with pytest.raises(ConfigurationError, match=r"torch needs weights\.safetensors"):
        open_graphs(copied, config, "torch")
    for name in GRAPHS:
        (copied / f"{name}.onnx").unlink()
    with pytest.raises(ConfigurationError, match="needs four ONNX graphs"):
        open_graphs(copied, config, "openvino")


def test_asked_for_by_name_there_is_no_reason(exported: Path, config: LearnedConfig) -> None:
    opened = open_graphs(exported, config, "onnxruntime")
    assert (opened.backend, opened.reason, opened.problems) == ("onnxruntime", "", ())
    assert tuple(opened) == GRAPHS and len(opened) == 4
    assert opened["camera"].input_names == ("image",)
    assert {opened[name].model_hash for name in opened} == {
        json.loads((exported / "manifest.json").read_text())["hash"]
    }


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "torch"])
def test_all_give_the_same_features(exported: Path, config: LearnedConfig, backend: str) -> None:
    if not backends.is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    frame = made_samples(config, 1)[0]
    given = {"raster": frame["lidar"]}
    one, other = (
        open_graphs(exported, config, name)["lidar"].run(given) for name in ("onnxruntime-cpu", backend)
    )
    np.testing.assert_allclose(one["features"], other["features"], atol=1e-4, rtol=1e-4)
