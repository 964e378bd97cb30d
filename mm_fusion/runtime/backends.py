"""The four graphs of a model on one backend, by its name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mm_fusion.errors import BackendError, ConfigurationError, FusionError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.frame_run import Graphs
from mm_fusion.runtime.model_files import GRAPHS, has_graphs, has_weights

BACKENDS = ("tensorrt", "onnxruntime", "onnxruntime-cpu", "openvino", "openvino-bf16", "torch")
"""`onnxruntime` takes CUDA where its provider really loads. In order of trust where speeds are alike."""
LIBRARIES = {
    "tensorrt": "tensorrt",
    "onnxruntime": "onnxruntime",
    "onnxruntime-cpu": "onnxruntime",
    "openvino": "openvino",
    "openvino-bf16": "openvino",
    "torch": "torch",
}
"""What each is installed as."""
REDUCED = ("openvino-bf16",)
"""Those that compute with fewer bits than the file says."""


def _silent(text: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Options:
    """How backends run: threads of one run, whether idle ones spin, how long an engine's build searches.

    report: takes progress in words, from the thread that opens.
    """

    threads: int = 1
    spin: bool = False
    profile: str = "default"
    report: Callable[[str], None] = _silent


def is_installed(name: str) -> bool:
    """Whether the library of a backend can be found; whether it works shows when it opens."""
    return importlib.util.find_spec(LIBRARIES[name]) is not None


def fits(name: str, folder: Path) -> bool:
    """Whether the model's folder has the files that a backend needs."""
    return has_weights(folder) if name == "torch" else has_graphs(folder)


def open_backend(name: str, folder: Path, config: LearnedConfig, options: Options) -> Graphs:
    """The four graphs by name.

    Raises `BackendError` where the library or its device is missing or refuses, `ConfigurationError` for a
    name that is none and for files that are none.
    """
    if name not in BACKENDS:
        raise ConfigurationError(
            f"backend {name!r}: no such backend; choices are auto, {', '.join(BACKENDS)}"
        )
    try:
        return _open(name, folder, config, options)
    except FusionError:
        raise
    except (ImportError, OSError) as error:
        raise BackendError(f"{name}: {LIBRARIES[name]} cannot be imported: {error}") from error
    except Exception as error:  # whatever a library that imports but does not run comes up with
        raise BackendError(f"{name}: does not work here: {error!r}") from error


def _open(name: str, folder: Path, config: LearnedConfig, options: Options) -> Graphs:
    files = {graph: folder / f"{graph}.onnx" for graph in GRAPHS}
    match name:
        case "tensorrt":
            from mm_fusion.runtime.tensorrt_engines import EngineShop

            return EngineShop(folder, config, options.profile, options.report).open()
        case "onnxruntime" | "onnxruntime-cpu":
            from mm_fusion.runtime.onnxruntime_backend import OnnxRuntimeBackend

            cuda = name == "onnxruntime"
            return {
                n: OnnxRuntimeBackend(path, options.threads, options.spin, cuda) for n, path in files.items()
            }
        case "openvino" | "openvino-bf16":
            return _openvino(name, files, options)
        case _:
            from mm_fusion.runtime.torch_backend import load_torch

            return load_torch(folder, config, options.threads)


def _openvino(name: str, files: dict[str, Path], options: Options) -> Graphs:
    from mm_fusion.runtime.openvino_backend import OpenVinoBackend, has_bfloat16

    precision = "bf16" if name == "openvino-bf16" else "f32"
    if precision == "bf16" and not has_bfloat16():
        raise BackendError("openvino-bf16: this processor does not compute in bfloat16")
    return {n: OpenVinoBackend(path, options.threads, precision) for n, path in files.items()}
