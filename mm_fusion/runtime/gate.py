"""The gate: whether a backend may work for a model, by ONNX Runtime on the CPU over the model's samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mm_fusion.errors import BackendError
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.frame_run import FrameRun, Graphs
from mm_fusion.runtime.model_files import GRAPHS, precision_of
from mm_fusion.runtime.parity import FLOAT32, REDUCED, Tolerance, differences, reference_runs
from mm_fusion.runtime.samples import load_samples


class Gate:
    """A model's samples and what the reference gives for them; raises `BackendError` without ONNX Runtime."""

    def __init__(self, folder: Path, config: LearnedConfig, threads: int = 1) -> None:
        try:
            from mm_fusion.runtime.onnxruntime_backend import OnnxRuntimeBackend
        except (ImportError, OSError) as error:
            raise BackendError(f"nothing to compare with: onnxruntime cannot be imported: {error}") from error
        self.frames: Sequence[NetworkInputs] = load_samples(folder, config)
        self._config, self._precision = config, precision_of(folder)
        graphs = {name: OnnxRuntimeBackend(folder / f"{name}.onnx", threads) for name in GRAPHS}
        self._runs: list[FrameRun] = reference_runs(graphs, self.frames, config)

    def difference(self, graphs: Graphs, reduced: bool = False) -> str:
        """What differs from the reference, '' where nothing does beyond the tolerance.

        reduced: the backend computes with fewer bits than the file says.
        """
        found = differences(self._runs, graphs, self.frames, self._config, self._tolerance(reduced))
        return "; ".join(found[:3])

    def _tolerance(self, reduced: bool) -> Tolerance:
        return REDUCED if reduced or self._precision != "fp32" else FLOAT32


def passes(graphs: Graphs, folder: Path, config: LearnedConfig) -> str:
    """What differs from ONNX Runtime for this model, '' where it may work; raises `BackendError`."""
    return Gate(folder, config).difference(graphs)
