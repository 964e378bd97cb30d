"""ONNX Runtime, on the CPU or on a CUDA device whose provider really loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from mm_fusion.errors import BackendError, ConfigurationError
from mm_fusion.runtime.array_checks import Tensor, finite_outputs, given_inputs
from mm_fusion.runtime.onnx_header import model_hash
from mm_fusion.runtime.protocol import Arrays

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
}
_CUDA = "CUDAExecutionProvider"


class OnnxRuntimeBackend:
    """One graph from its file.

    threads: of one run; spin: whether idle ones burn their core while they wait; cuda: use the CUDA provider
    where there is one. Raises `ConfigurationError` where the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 1, spin: bool = False, cuda: bool = False) -> None:
        self._path, self._hash = path, model_hash(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # threads that spin double the time of everything else on a shared machine
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        options.log_severity_level = 3
        providers: list[object] = ["CPUExecutionProvider"]
        if cuda and has_cuda():
            # TF32 rounds to 10 bits: results would differ from every other backend
            providers.insert(0, (_CUDA, {"use_tf32": "0"}))
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:
            raise ConfigurationError(f"{path}: expected a graph of mm-fusion export, got {error}") from error
        self._tensors = {
            each.name: Tensor(tuple(each.shape), np.dtype(_TYPES[each.type]))
            for each in self._session.get_inputs()
        }
        self._outputs = [each.name for each in self._session.get_outputs()]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return tuple(self._tensors)

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to, '' where it says nothing."""
        return self._hash

    @property
    def device(self) -> str:
        """`cuda` or `cpu`, by what the session really loaded: the list of providers promises more."""
        return "cuda" if _CUDA in self._session.get_providers() else "cpu"

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; raises `BackendError`, or `MeasurementError` for inputs that do not fit."""
        given = given_inputs(inputs, self._tensors, self._path.name)
        try:
            found = self._session.run(self._outputs, given)
        except Exception as error:
            raise BackendError(f"onnxruntime: {self._path.name}: {error}") from error
        return finite_outputs(dict(zip(self._outputs, found)), given, f"onnxruntime: {self._path.name}")


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built with CUDA; whether it loads is another matter."""
    return _CUDA in onnxruntime.get_available_providers()
