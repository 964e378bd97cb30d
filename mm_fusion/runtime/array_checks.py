"""Arrays that go into a graph and come out of it, checked before a library meets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mm_fusion.errors import BackendError, MeasurementError
from mm_fusion.runtime.protocol import Arrays


@dataclass(frozen=True, slots=True)
class Tensor:
    """Shape and element type of one input or output."""

    shape: tuple[int, ...]
    dtype: np.dtype


def given_inputs(inputs: Arrays, tensors: Mapping[str, Tensor], where: str) -> Arrays:
    """The arrays that a graph takes, contiguous; raises `MeasurementError` naming the first that is wrong."""
    return {name: _given(name, inputs, tensor, where) for name, tensor in tensors.items()}


def _given(name: str, inputs: Arrays, tensor: Tensor, where: str) -> np.ndarray:
    if name not in inputs:
        raise MeasurementError(f"{where}: expected input {name}, got {', '.join(sorted(inputs)) or 'none'}")
    array = inputs[name]
    if array.shape != tensor.shape or array.dtype != tensor.dtype:
        raise MeasurementError(
            f"{where}: expected input {name} as {tensor.shape} {tensor.dtype}, got {array.shape} "
            f"{array.dtype}"
        )
    return np.ascontiguousarray(array)


def finite_outputs(outputs: Arrays, inputs: Arrays, where: str) -> Arrays:
    """The outputs as they are.

    Raises `BackendError` naming the output that is not finite, or `MeasurementError` where an input was not:
    then no other backend would do better.
    """
    for name, array in outputs.items():
        if not is_finite(array):
            bad = [each for each, given in inputs.items() if not is_finite(given)]
            if bad:
                raise MeasurementError(f"{where}: input {bad[0]} is not finite")
            raise BackendError(f"{where}: output {name} is not finite")
    return outputs


def is_finite(array: np.ndarray) -> bool:
    """Whether no element is NaN or infinite; integers always are finite."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
