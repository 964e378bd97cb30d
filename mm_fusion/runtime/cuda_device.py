"""A CUDA device by way of torch: memory, one stream, and recorded launches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from mm_fusion.errors import BackendError


class Device(Protocol):
    """What an engine needs of a device; arrays there are torch tensors."""

    def zeros(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A tensor on the device: an engine that runs before anything is sent must not meet wild indices."""
        ...

    def staging(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A tensor on the host that copies to and from the device without stopping for it."""
        ...

    @property
    def handle(self) -> int:
        """The stream on which everything happens, as libraries take it."""
        ...

    def ordered(self) -> Any:
        """A block in which torch's copies go to the stream."""
        ...

    def recorded(self, launch: Callable[[], None]) -> Callable[[], None]:
        """What launches the same work again, with less to do on the host where the device records it."""
        ...

    def mark(self) -> Callable[[], None]:
        """What waits until all that was put on the stream so far is done."""
        ...


class CudaDevice:
    """The first CUDA device and one stream; raises `BackendError` where torch sees none."""

    def __init__(self) -> None:
        try:
            import torch
        except (ImportError, OSError) as error:
            raise BackendError(f"tensorrt: buffers are torch's, which cannot be imported: {error}") from error
        if not torch.cuda.is_available():
            raise BackendError("tensorrt: torch sees no CUDA device; install a torch that is built with CUDA")
        self._torch = torch
        self._device = torch.device("cuda", 0)
        self._stream = torch.cuda.Stream(self._device)
        self._said = False

    def zeros(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A tensor on the device."""
        return self._torch.zeros(shape, dtype=self._type(dtype), device=self._device)

    def staging(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A tensor in pinned memory."""
        return self._torch.empty(shape, dtype=self._type(dtype), pin_memory=True)

    @property
    def handle(self) -> int:
        """The stream as `cudaStream_t`."""
        return int(self._stream.cuda_stream)

    def ordered(self) -> Any:
        """A block in which torch's copies go to the stream."""
        return self._torch.cuda.stream(self._stream)

    def recorded(self, launch: Callable[[], None]) -> Callable[[], None]:
        """The launch as a CUDA graph, or as it is where it cannot be captured."""
        self._torch.cuda.synchronize(self._device)  # the zeros were written on another stream
        launch()  # what is set up at a first launch must not be captured
        self._stream.synchronize()
        graph = self._torch.cuda.CUDAGraph()
        try:
            with self._torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                launch()
        except Exception as error:
            self._say_unrecorded(error)
            return launch
        return self._replay(graph)

    def mark(self) -> Callable[[], None]:
        """What waits for an event that is put on the stream now."""
        event = self._torch.cuda.Event()
        event.record(self._stream)
        wait: Callable[[], None] = event.synchronize
        return wait

    def _say_unrecorded(self, error: Exception) -> None:
        """Once for a device: the four engines of a model fail for one reason."""
        if not self._said:
            reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            logging.getLogger(__name__).warning(
                "tensorrt: launches are not recorded as a CUDA graph, each costs more on the host: %s", reason
            )
        self._said = True

    def _replay(self, graph: Any) -> Callable[[], None]:
        def replay() -> None:
            with self.ordered():
                graph.replay()

        return replay

    def _type(self, dtype: np.dtype) -> Any:
        return self._torch.from_numpy(np.empty(0, dtype)).dtype
