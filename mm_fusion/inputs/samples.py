"""A few frames' network inputs in one small file, for comparing a backend with another anywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mm_fusion.errors import ResultError
from mm_fusion.inputs.arrays import NetworkInputs

GREY_STEP = 16
"""Grey levels of stored images: coarser ones compress to a third, and a network does not mind."""


def write_samples(path: Path, samples: Sequence[NetworkInputs]) -> None:
    """Every array of `NetworkInputs` by its name, the samples along a new first axis (K, ...)."""
    stacked = {name: np.stack([sample[name] for sample in samples]) for name in NetworkInputs.__annotations__}  # type: ignore[literal-required]
    stacked["images"] = stacked["images"] // GREY_STEP * GREY_STEP
    beside = path.with_name(f".{path.name}.{os.getpid()}.part.npz")
    try:
        np.savez_compressed(beside, **stacked)  # type: ignore[arg-type]
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ResultError(f"{path}: cannot be written: {error}") from error


def read_samples(path: Path) -> list[NetworkInputs]:
    """The samples of a file as `write_samples` writes it; raises `ResultError` where it is none."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in NetworkInputs.__annotations__}
    except Exception as error:
        raise ResultError(f"{path}: expected stored network inputs, got {error}") from error
    count = len(arrays["images"])
    return [
        NetworkInputs(**{name: array[number] for name, array in arrays.items()})  # type: ignore[typeddict-item]
        for number in range(count)
    ]
