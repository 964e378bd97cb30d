"""TensorRT's Python API on a machine without one: plans are ONNX files, and ONNX Runtime runs them.

Only what our code calls, in the spelling of the real API; memory is the host's, by the addresses given.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum, IntEnum
from typing import Any

import numpy as np

MAGIC = b"fake plan of 11.4.1\n"
__version__ = "11.4.1"


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(IntEnum):
    TF32 = 3


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2


class IProgressMonitor:
    pass


class Cache:
    def __init__(self, content: bytes) -> None:
        if content.startswith(b"another device"):
            raise RuntimeError("timing cache of another device")
        self.content = content

    def serialize(self) -> bytes:
        return self.content + b"+"


class Config:
    def __init__(self) -> None:
        self.cleared: list[int] = []
        self.builder_optimization_level = -1
        self.progress_monitor: Any = None

    def clear_flag(self, flag: int) -> None:
        self.cleared.append(flag)

    def create_timing_cache(self, content: bytes) -> Cache:
        return Cache(content)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        return True


class Network:
    def __init__(self, flags: int) -> None:
        self.flags, self.content = flags, b""


class OnnxParser:
    num_errors = 1

    def __init__(self, network: Network, logger: Any) -> None:
        self.network = network

    def parse(self, content: bytes) -> bool:
        self.network.content = content
        return content != b"half a file"

    def get_error(self, number: int) -> str:
        return "Unsupported operator Foo"


class Builder:
    """`built` keeps what the last one was asked for."""

    built: tuple[Network, Config] | None = None

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def create_network(self, flags: int) -> Network:
        return Network(flags)

    def create_builder_config(self) -> Config:
        return Config()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        Builder.built = (network, config)
        if network.content == b"unbuildable":
            self.logger.log(ILogger.Severity.ERROR, "no implementation\nfor node")
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 2)
        monitor.phase_start("inner", "Building", 2)
        assert monitor.step_complete("Building", 0) and monitor.step_complete("inner", 0)
        monitor.phase_finish("Building")
        return MAGIC + network.content


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.addresses = engine, {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self.engine.broken is not None:
            raise self.engine.broken
        session = self.engine.session
        given = {each.name: self._read(each.name) for each in session.get_inputs()}
        for each, array in zip(session.get_outputs(), session.run(None, given)):
            wrong = np.ascontiguousarray(self.engine.twist(array))
            ctypes.memmove(self.addresses[each.name], wrong.ctypes.data, wrong.nbytes)
        return True

    def _read(self, name: str) -> np.ndarray:
        shape, dtype = self.engine.tensors[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = ctypes.string_at(self.addresses[name], size)
        return np.frombuffer(raw, dtype).reshape(shape)


class Engine:
    """`twist` alters outputs, `broken` is raised by every launch of every engine."""

    twist: Callable[[np.ndarray], np.ndarray] = staticmethod(lambda array: array)
    broken: Exception | None = None

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        types = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int32)": np.int32}
        types["tensor(int64)"] = np.int64
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # else its threads spin, and every test pays for it
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.tensors = {each.name: (tuple(each.shape), types[each.type]) for each in [*inputs, *outputs]}
        self.modes = [TensorIOMode.INPUT] * len(inputs) + [TensorIOMode.OUTPUT] * len(outputs)

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, number: int) -> str:
        return list(self.tensors)[number]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return self.modes[list(self.tensors).index(name)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name][0]

    def get_tensor_dtype(self, name: str) -> Any:
        return self.tensors[name][1]

    def create_execution_context(self) -> Context | None:
        return Context(self)


class Runtime:
    """As the real one: None, without a word, for a plan of another version."""

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        return Engine(plan[len(MAGIC) :]) if plan.startswith(MAGIC) else None


def nptype(dtype: Any) -> Any:
    return dtype


class HostDevice:
    """The device of this: memory of the host, a stream that is done at once."""

    handle = 0

    def __init__(self) -> None:
        self.waits = 0

    def zeros(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        import torch

        return torch.from_numpy(np.zeros(shape, dtype))

    staging = zeros

    def ordered(self) -> Any:
        return nullcontext()

    def recorded(self, launch: Callable[[], None]) -> Callable[[], None]:
        return launch

    def mark(self) -> Callable[[], None]:
        def wait() -> None:
            self.waits += 1

        return wait


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
