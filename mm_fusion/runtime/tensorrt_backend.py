"""One TensorRT engine on a device: buffers that stay, one stream, recorded launches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from mm_fusion.errors import BackendError
from mm_fusion.runtime.array_checks import Tensor, finite_outputs, given_inputs
from mm_fusion.runtime.cuda_device import Device
from mm_fusion.runtime.device_array import DeviceArray, left_on_device
from mm_fusion.runtime.engine_builder import make_logger
from mm_fusion.runtime.protocol import Arrays

LEFT_ON_DEVICE = ("lidar", "radar")
"""Graphs whose outputs only fusion reads."""


class TensorRtBackend:
    """One graph from its plan, by the module `trt`.

    Nothing waits for the device until results are read. Raises `BackendError` where the plan cannot be
    loaded: TensorRT answers None without a word to one of another version or device.
    """

    def __init__(self, trt: Any, plan: bytes, name: str, model_hash: str, device: Device) -> None:
        self._name, self._hash, self._device = name, model_hash, device
        self._lock, self._turn = threading.Lock(), 0
        self._sent: Callable[[], None] = lambda: None
        self._logger = make_logger(trt)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise BackendError(f"tensorrt: {name}: the engine does not load: {self._logger.last_words()}")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"tensorrt: {name}: no memory to run it: {self._logger.last_words()}")
        self._inputs, self._outputs = _tensors(trt, self._engine)
        self._make_buffers()

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of what the graph takes."""
        return tuple(self._inputs)

    @property
    def model_hash(self) -> str:
        """Config and weights that the graph belongs to."""
        return self._hash

    def run(self, inputs: Arrays) -> Arrays:
        """Outputs by name; raises `BackendError`, or `MeasurementError` for inputs that do not fit."""
        with self._lock:
            here = left_on_device(inputs)
            wanted = {name: tensor for name, tensor in self._inputs.items() if name not in here}
            given = given_inputs(inputs, wanted, self._name)
            try:
                self._turn += 1
                self._send(given, here)
                self._launch()
                if self._name in LEFT_ON_DEVICE:
                    return {name: self._left(name) for name in self._outputs}  # type: ignore[misc]
                outputs = self._received()
            except BackendError:
                raise
            except Exception as error:
                raise BackendError(f"tensorrt: {self._name}: {_first_line(error)}") from error
        return finite_outputs(outputs, given, f"tensorrt: {self._name}")

    def _make_buffers(self) -> None:
        every = {**self._inputs, **self._outputs}
        try:
            self._memory = {n: self._device.zeros(t.shape, t.dtype) for n, t in every.items()}
            self._staging = {n: self._device.staging(t.shape, t.dtype) for n, t in every.items()}
            for name, tensor in self._memory.items():
                self._context.set_tensor_address(name, tensor.data_ptr())
            self._launch = self._device.recorded(self._enqueue)
        except BackendError:
            raise
        except Exception as error:
            raise BackendError(
                f"tensorrt: {self._name}: no memory to run it: {_first_line(error)}"
            ) from error

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._device.handle):
            raise BackendError(f"tensorrt: {self._name}: did not run: {self._logger.last_words()}")

    def _send(self, given: Arrays, here: dict[str, DeviceArray]) -> None:
        self._sent()  # nobody may have waited since the last run: its copies still read what is written now
        with self._device.ordered():
            for name, array in given.items():
                # numpy writes: what comes may be read-only, which torch does not take
                self._staging[name].numpy()[...] = array
                self._memory[name].copy_(self._staging[name], non_blocking=True)
            for name, other in here.items():
                if name in self._inputs:
                    self._memory[name].copy_(other.tensor, non_blocking=True)
        self._sent = self._device.mark()

    def _received(self) -> Arrays:
        with self._device.ordered():
            for name in self._outputs:
                self._staging[name].copy_(self._memory[name], non_blocking=True)
        self._device.mark()()
        return {name: self._staging[name].numpy().copy() for name in self._outputs}

    def _left(self, name: str) -> DeviceArray:
        turn = self._turn
        return DeviceArray(self._memory[name], self._fetch(name), lambda: self._turn == turn)

    def _fetch(self, name: str) -> Callable[[Any], np.ndarray]:
        def fetch(tensor: Any) -> np.ndarray:
            with self._device.ordered():
                self._staging[name].copy_(tensor, non_blocking=True)
            self._device.mark()()
            return np.array(self._staging[name].numpy())

        return fetch


def _tensors(trt: Any, engine: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs and outputs of an engine by name."""
    found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        is_output = engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT
        found[is_output][name] = Tensor(tuple(engine.get_tensor_shape(name)), dtype)
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0]
