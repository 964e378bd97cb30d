"""The graphs of a model's folder on a backend by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Backend

GRAPHS = ("camera", "lidar", "radar", "fusion")


def open_graphs(folder: Path, config: LearnedConfig, backend: str = "onnxruntime") -> Mapping[str, Backend]:
    """The four graphs by name, all of one model; raises `ConfigurationError`."""
    graphs = _open(folder, config, backend)
    hashes = {name: graph.model_hash for name, graph in graphs.items()}
    if len(set(hashes.values())) > 1 or not hashes["fusion"].startswith(config.hash()):
        found = ", ".join(f"{name} {value or 'none'}" for name, value in hashes.items())
        raise ConfigurationError(
            f"{folder}: expected four graphs of config {config.hash()}, got {found}; export the model again"
        )
    return graphs


def _open(folder: Path, config: LearnedConfig, backend: str) -> Mapping[str, Backend]:
    match backend:
        case "onnxruntime":
            from mm_fusion.runtime.onnxruntime_backend import OnnxRuntimeBackend

            return {name: OnnxRuntimeBackend(folder / f"{name}.onnx") for name in GRAPHS}
        case "torch":
            from mm_fusion.runtime.torch_backend import load_torch

            return load_torch(folder, config)
        case _:
            raise ConfigurationError(f"backend {backend!r}: no such backend; choices are onnxruntime, torch")
