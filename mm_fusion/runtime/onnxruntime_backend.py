"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from mm_fusion.errors import ConfigurationError
from mm_fusion.runtime.protocol import Arrays

HASH_KEY = "mm_fusion_hash"


class OnnxRuntimeBackend:
    """One graph from its file; raises `ConfigurationError` where it cannot be loaded."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # threads that spin double the time of everything else on a shared machine
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ConfigurationError(f"{path}: expected a graph of mm-fusion export, got {error}") from error
        self._names = tuple(each.name for each in self._session.get_inputs())
        self._outputs = [each.name for each in self._session.get_outputs()]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return self._names

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to, '' where it says nothing."""
        return str(self._session.get_modelmeta().custom_metadata_map.get(HASH_KEY, ""))

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name."""
        found = self._session.run(self._outputs, {name: inputs[name] for name in self._names})
        return dict(zip(self._outputs, found))
