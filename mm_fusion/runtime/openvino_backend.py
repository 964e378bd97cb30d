"""OpenVINO on the CPU, in float32 or in bfloat16 where the processor computes in it."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from mm_fusion.errors import BackendError
from mm_fusion.runtime.array_checks import Tensor, finite_outputs, given_inputs
from mm_fusion.runtime.onnx_header import model_hash
from mm_fusion.runtime.protocol import Arrays


class OpenVinoBackend:
    """One graph from its file; raises `BackendError`.

    precision: `f32` or `bf16`, of the computing; the file's own types stay. threads: of one run.
    """

    def __init__(self, path: Path, threads: int = 1, precision: str = "f32") -> None:
        self._path, self._hash, self._lock = path, model_hash(path), threading.Lock()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            # threads bound to cores fight with the decoders' on a small machine
            "ENABLE_CPU_PINNING": False,
        }
        try:
            read = _runtime().read_model(str(path))
            self._model = _runtime().compile_model(read, "CPU", options)
            self._request = self._model.create_infer_request()
        except Exception as error:
            raise BackendError(f"openvino: {path}: cannot be compiled: {_first_line(error)}") from error
        self._tensors = {
            _given_name(each): Tensor(tuple(each.shape), np.dtype(each.element_type.to_dtype()))
            for each in read.inputs
        }
        self._outputs = [_given_name(each) for each in read.outputs]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return tuple(self._tensors)

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to, '' where it says nothing."""
        return self._hash

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; raises `BackendError`, or `MeasurementError` for inputs that do not fit."""
        given = given_inputs(inputs, self._tensors, self._path.name)
        try:
            with self._lock:  # a request is busy until its results are read
                found = self._request.infer(given, share_inputs=True)
                # copies: the request writes its next results into the same memory
                outputs = {name: np.array(found[number]) for number, name in enumerate(self._outputs)}
        except Exception as error:
            raise BackendError(f"openvino: {self._path.name}: {_first_line(error)}") from error
        return finite_outputs(outputs, given, f"openvino: {self._path.name}")


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16."""
    return "BF16" in _runtime().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@lru_cache
def _runtime() -> Any:
    return openvino.Core()


def _given_name(port: Any) -> str:
    """The name that the file gives an input or output: where Identity or Cast were, it has several."""
    return str(port.get_node().get_friendly_name()).split("/sink_port_")[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0]
