"""The fastest backend of this machine for a model, among those that give what ONNX Runtime gives."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mm_fusion import __version__
from mm_fusion.errors import BackendError, FusionError
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.backends import BACKENDS, REDUCED, Options, fits, is_installed, open_backend
from mm_fusion.runtime.cache_folder import cache_folder, write_beside
from mm_fusion.runtime.device_probe import (
    installed_version,
    operating_system,
    probe,
    processor,
    usable_cores,
)
from mm_fusion.runtime.frame_run import Graphs, run_frame
from mm_fusion.runtime.gate import Gate
from mm_fusion.runtime.model_files import GRAPHS, has_graphs

_RUNS = 5
"""Timed runs of a frame at most; the median counts."""
_BUDGET_S = 1.0
"""Longest time that one backend is timed."""
_CLEARLY = 0.9
"""Share of another's time below which a backend that comes later in the order is taken instead."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken and why; ms: of those that passed; problems: why others did not, in words."""

    backend: str
    reason: str
    ms: dict[str, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def choose(folder: Path, config: LearnedConfig, options: Options) -> tuple[Choice, Graphs]:
    """The choice of this machine, remembered or measured now, and its graphs; raises `BackendError`."""
    candidates = candidates_for(folder)
    path = _memory(folder, candidates, options)
    known = _remembered(path)
    if known is not None and known.backend in candidates:
        try:
            return known, open_backend(known.backend, folder, config, options)
        except BackendError as error:
            options.report(f"{known.backend} was the choice and fails now ({error}); measuring again")
    choice, graphs = measure(folder, config, options, candidates)
    _remember(path, choice)
    return choice, graphs


def candidates_for(folder: Path) -> list[str]:
    """Backends whose library is installed and whose files are there, in order of trust."""
    names = [name for name in BACKENDS if is_installed(name) and fits(name, folder)]
    if "onnxruntime" in names and not _onnxruntime_gpu():
        names.remove("onnxruntime-cpu")  # the same thing
    return names


def measure(
    folder: Path, config: LearnedConfig, options: Options, candidates: Sequence[str]
) -> tuple[Choice, Graphs]:
    """The fastest that passes the gate, and its graphs; raises `BackendError` with what each one said.

    torch is a last resort: it is only tried where no other backend works.
    """
    if not candidates:
        raise BackendError(f"{folder}: no backend for it is installed; pip install onnxruntime")
    problems: list[str] = []
    gate = _gate(folder, config, options, problems)
    timed: dict[str, float] = {}
    opened: dict[str, Graphs] = {}
    for name in candidates:
        if name == "torch" and timed:
            continue
        try:
            options.report(f"trying backend {name}")
            graphs = _passing(name, folder, config, options, gate)
            timed[name] = _frame_ms(graphs, gate.frames, config) if gate is not None else 0.0
            opened[name] = graphs
        except FusionError as error:
            problems.append(f"{name}: {error}")
    if not timed:
        raise BackendError(f"{folder}: no backend works: {'; '.join(problems)}")
    best = fastest(timed)
    return Choice(best, _reason(best, timed, problems), timed, tuple(problems)), opened[best]


def fastest(timed: dict[str, float]) -> str:
    """The name with the least time; a later one only where it is clearly faster, so that noise picks none."""
    best = next(iter(timed))
    for name, duration_ms in timed.items():
        if duration_ms < _CLEARLY * timed[best]:
            best = name
    return best


def _gate(folder: Path, config: LearnedConfig, options: Options, problems: list[str]) -> Gate | None:
    """What others are compared with; None where there is nothing to compare, and then torch alone is left."""
    if not has_graphs(folder):
        return None
    try:
        return Gate(folder, config, options.threads)
    except BackendError as error:
        problems.append(str(error))
        return None


def _passing(name: str, folder: Path, config: LearnedConfig, options: Options, gate: Gate | None) -> Graphs:
    if gate is None and name != "torch":
        raise BackendError("not tried without ONNX Runtime to compare with")
    graphs = open_backend(name, folder, config, options)
    difference = "" if gate is None else gate.difference(graphs, name in REDUCED)
    if difference:
        raise BackendError(f"refused, since its outputs differ from ONNX Runtime's: {difference}")
    return graphs


def _frame_ms(graphs: Graphs, frames: Sequence[NetworkInputs], config: LearnedConfig) -> float:
    """Median time of one frame with everything in it, ms."""
    run_frame(graphs, frames[0], config)
    began = time.perf_counter()
    taken: list[float] = []
    while len(taken) < _RUNS and time.perf_counter() - began < _BUDGET_S:
        start = time.perf_counter()
        run_frame(graphs, frames[0], config)
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def _reason(best: str, timed: dict[str, float], problems: Sequence[str]) -> str:
    speeds = ", ".join(f"{name} {value:.1f} ms" for name, value in timed.items())
    refused = "".join(f"; {text}" for text in problems)
    how = "the only one that works" if len(timed) == 1 else "the fastest here"
    return (
        f"{best} is {how} ({speeds} a frame{refused})" if any(timed.values()) else f"{best} is {how}{refused}"
    )


# What is remembered.


def _memory(folder: Path, candidates: Sequence[str], options: Options) -> Path | None:
    """File of the choice for these files on this machine; None without a cache."""
    cache = cache_folder()
    return None if cache is None else cache / "choices" / f"{_key(folder, candidates, options)}.json"


def _key(folder: Path, candidates: Sequence[str], options: Options) -> str:
    versions = {
        name: installed_version(name) for name in ("onnxruntime", "onnxruntime-gpu", "openvino", "torch")
    }
    asks_gpu = "tensorrt" in candidates or _onnxruntime_gpu()
    words = {
        "mm_fusion": __version__,
        "files": {path.name: _digest(path) for path in _files(folder)},
        "candidates": list(candidates),
        "versions": versions,
        "gpu": asdict(probe()) if asks_gpu else {},
        "machine": (processor(), usable_cores(), operating_system()),
        "options": (options.threads, options.spin, options.profile),
    }
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:16]


def _files(folder: Path) -> list[Path]:
    names = (*(f"{name}.onnx" for name in GRAPHS), "weights.safetensors")
    return [folder / name for name in names if (folder / name).is_file()]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _onnxruntime_gpu() -> bool:
    """Whether the ONNX Runtime that is installed is one for CUDA; asked without importing it."""
    return bool(installed_version("onnxruntime-gpu")) and importlib.util.find_spec("onnxruntime") is not None


def _remembered(path: Path | None) -> Choice | None:
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Choice(str(kept["backend"]), f"{kept['reason']}, as measured before", dict(kept["ms"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(path: Path | None, choice: Choice) -> None:
    if path is None:
        return
    try:
        write_beside(path, json.dumps(asdict(choice), indent=1).encode())
    except OSError:
        return  # the cache went away between asking and writing: the next start measures again
