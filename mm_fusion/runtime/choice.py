"""The graphs of a model's folder on a backend by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.model_files import GRAPHS, check_files, has_graphs
from mm_fusion.runtime.protocol import Backend


def open_graphs(
    folder: Path, config: LearnedConfig, backend: str = "auto", threads: int = 1
) -> Mapping[str, Backend]:
    """The four graphs by name, all of one model; raises `ConfigurationError`."""
    check_files(folder)
    name = ("onnxruntime" if has_graphs(folder) else "torch") if backend == "auto" else backend
    graphs = _open(folder, config, name, threads)
    hashes = {name: graph.model_hash for name, graph in graphs.items()}
    if len(set(hashes.values())) > 1 or not hashes["fusion"].startswith(config.hash()):
        found = ", ".join(f"{name} {value or 'none'}" for name, value in hashes.items())
        raise ConfigurationError(
            f"{folder}: expected four graphs of config {config.hash()}, got {found}; export the model again"
        )
    return graphs


def _open(folder: Path, config: LearnedConfig, backend: str, threads: int) -> Mapping[str, Backend]:
    match backend:
        case "onnxruntime":
            from mm_fusion.runtime.onnxruntime_backend import OnnxRuntimeBackend

            return {name: OnnxRuntimeBackend(folder / f"{name}.onnx", threads) for name in GRAPHS}
        case "torch":
            from mm_fusion.runtime.torch_backend import load_torch

            return load_torch(folder, config)
        case _:
            raise ConfigurationError(f"backend {backend!r}: no such backend; choices are onnxruntime, torch")
