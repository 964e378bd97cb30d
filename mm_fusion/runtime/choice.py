"""The graphs of a model's folder on a backend by name, or on the best one here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.auto import candidates_for, choose
from mm_fusion.runtime.backends import BACKENDS, Options, fits, open_backend
from mm_fusion.runtime.falling_back import OpenedGraphs
from mm_fusion.runtime.frame_run import Graphs
from mm_fusion.runtime.model_files import GRAPHS, check_files, has_graphs
from mm_fusion.runtime.onnx_header import model_hash


def open_graphs(
    folder: Path,
    config: LearnedConfig,
    backend: str = "auto",
    threads: int = 1,
    *,
    spin: bool = False,
    profile: str = "default",
    report: Callable[[str], None] | None = None,
) -> OpenedGraphs:
    """The four graphs by name, all of one model; they say which backend runs them and why.

    backend: one of `BACKENDS`, or `auto`, which measures what works here once and remembers it. threads,
    spin: of one run, and whether idle threads burn their core. profile: how long TensorRT searches (`quick`,
    `default`, `best`). report: takes progress in words.

    A backend that fails later is followed by the next one. Raises `ConfigurationError` for a name or files
    that are none, `BackendError` where the backend does not work here.
    """
    check_model(folder, config)
    options = Options(threads, spin, profile, report or (lambda text: None))
    if backend != "auto":
        _check_name(backend, folder)
        graphs = open_backend(backend, folder, config, options)
        opened = OpenedGraphs(
            backend, graphs, "", (), _others(backend, folder), _reopen(folder, config, options)
        )
    else:
        choice, graphs = choose(folder, config, options)
        rest = _others(choice.backend, folder)
        opened = OpenedGraphs(
            choice.backend, graphs, choice.reason, choice.problems, rest, _reopen(folder, config, options)
        )
    _check_hashes(folder, config, {name: opened[name].model_hash for name in GRAPHS})
    return opened


def check_model(folder: Path, config: LearnedConfig) -> None:
    """Raise `ConfigurationError` unless a folder's files are whole and of one model."""
    said = check_files(folder)
    if has_graphs(folder):
        _check_one_model(folder, config, said)


def _check_name(backend: str, folder: Path) -> None:
    if backend not in BACKENDS:
        raise ConfigurationError(
            f"backend {backend!r}: no such backend; choices are auto, {', '.join(BACKENDS)}"
        )
    if not fits(backend, folder):
        wanted = "weights.safetensors" if backend == "torch" else "four ONNX graphs"
        raise ConfigurationError(f"{folder}: backend {backend} needs {wanted}; export the model again")


def _others(backend: str, folder: Path) -> Sequence[str]:
    """What to go on with when a backend fails, torch last; without a device first: a lost one stays lost."""
    names = [name for name in candidates_for(folder) if name not in (backend, "openvino-bf16", "tensorrt")]
    order: tuple[str, ...] = ("onnxruntime-cpu", "openvino", "onnxruntime", "torch")
    if "onnxruntime-cpu" not in candidates_for(folder):  # then the plain one has no device
        order = ("onnxruntime", "openvino", "torch")
    return [name for name in order if name in names]


def _reopen(folder: Path, config: LearnedConfig, options: Options) -> Callable[[str], Graphs]:
    return lambda name: open_backend(name, folder, config, options)


def _check_one_model(folder: Path, config: LearnedConfig, manifest_hash: str) -> None:
    """Graphs, YAML and manifest say the same; read from the files' headers, whatever backend runs them."""
    hashes = {name: model_hash(folder / f"{name}.onnx") for name in GRAPHS}
    _check_hashes(folder, config, hashes)
    if manifest_hash and manifest_hash != hashes["fusion"]:
        raise ConfigurationError(
            f"{folder}: manifest.json is of model {manifest_hash}, the graphs are of {hashes['fusion']}; "
            "export the model again"
        )


def _check_hashes(folder: Path, config: LearnedConfig, hashes: dict[str, str]) -> None:
    if len(set(hashes.values())) > 1 or not hashes["fusion"].startswith(config.hash()):
        found = ", ".join(f"{name} {value or 'none'}" for name, value in hashes.items())
        raise ConfigurationError(
            f"{folder}: expected four graphs of config {config.hash()}, got {found}; model.yaml and graphs "
            "must come from one export"
        )
