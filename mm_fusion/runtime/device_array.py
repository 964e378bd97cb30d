"""An output that stays on the device until somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mm_fusion.errors import BackendError
from mm_fusion.runtime.protocol import Arrays


class DeviceArray:
    """Stands for an ndarray: `numpy.asarray` copies it to the host once, an engine takes it where it lies.

    It is good until its graph runs again; looking at it later raises `BackendError`.
    """

    def __init__(
        self, tensor: Any, fetch: Callable[[Any], np.ndarray], is_current: Callable[[], bool]
    ) -> None:
        self._tensor, self._fetch, self._is_current = tensor, fetch, is_current
        self._host: np.ndarray | None = None

    @property
    def tensor(self) -> Any:
        """The tensor on the device."""
        if not self._is_current():
            raise BackendError("tensorrt: features of an earlier frame were asked for, and are overwritten")
        return self._tensor

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._host is None:
            self._host = self._fetch(self.tensor)
        return np.asarray(self._host, dtype)


def left_on_device(arrays: Mapping[str, object]) -> dict[str, DeviceArray]:
    """Those that still lie on the device, by name."""
    return {name: array for name, array in arrays.items() if isinstance(array, DeviceArray)}


def on_host(arrays: Arrays) -> Arrays:
    """All arrays as ndarrays; raises `BackendError` where one was lost with its device."""
    try:
        return {name: np.asarray(array) for name, array in arrays.items()}
    except Exception as error:
        raise BackendError(f"features on the device are lost: {error}") from error
