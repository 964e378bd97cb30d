"""What goes into a graph and what comes out, checked by name."""

from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import BackendError, MeasurementError
from mm_fusion.runtime.array_checks import Tensor, finite_outputs, given_inputs, is_finite

TENSORS = {"image": Tensor((1, 2), np.dtype(np.uint8))}


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "expected input image, got none"),
        ({"image": np.zeros((1, 3), np.uint8)}, r"\(1, 2\) uint8, got \(1, 3\) uint8"),
        ({"image": np.zeros((1, 2), np.float32)}, "got .* float32"),
    ],
)
def test_a_wrong_input_is_named(inputs: dict[str, np.ndarray], text: str) -> None:
    with pytest.raises(MeasurementError, match=text):
        given_inputs(inputs, TENSORS, "camera")


def test_strided_inputs_become_contiguous_and_others_are_left_aside() -> None:
    array = np.zeros((2, 4), np.uint8)[:1, ::2]
    found = given_inputs({"image": array, "more": array}, TENSORS, "camera")
    assert list(found) == ["image"] and found["image"].flags.c_contiguous


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_output_that_is_not_finite_is_named(value: float) -> None:
    outputs = {"fine": np.zeros(4, np.float32), "rows": np.array([0, value], np.float32)}
    with pytest.raises(BackendError, match="output rows is not finite"):
        finite_outputs(outputs, {"image": np.zeros(3, np.uint8)}, "camera")
    with pytest.raises(MeasurementError, match="input raster"):
        finite_outputs(outputs, {"raster": np.array([value])}, "lidar")


def test_large_numbers_and_integers_are_finite() -> None:
    assert is_finite(np.full(1000, 3e38, np.float32))
    assert is_finite(np.full(1000, 6e4, np.float16))
    assert is_finite(np.zeros(0, np.float32)) and is_finite(np.array([2**62]))
    assert not is_finite(np.array([np.inf, -np.inf], np.float32))
