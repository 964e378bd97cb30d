"""Stored network inputs come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import ResultError
from mm_fusion.inputs.network_inputs import make_inputs
from mm_fusion.inputs.samples import GREY_STEP, read_samples, write_samples
from test.inputs import scene


def test_samples_come_back(tmp_path: Path) -> None:
    frames = [
        scene.frame({"camera": scene.image(value=v), "lidar": scene.sweep([[5, 0, 1]])}) for v in (99, 3)
    ]
    made = [make_inputs(frame, scene.vehicle(), scene.config()) for frame in frames]
    write_samples(tmp_path / "samples.npz", made)
    kept = read_samples(tmp_path / "samples.npz")
    assert len(kept) == 2 and [path.name for path in tmp_path.iterdir()] == ["samples.npz"]
    for one, other in zip(made, kept):
        assert set(one) == set(other)
        assert all(np.array_equal(one[name], other[name]) for name in one if name != "images")
        assert np.array_equal(one["images"] // GREY_STEP, other["images"] // GREY_STEP)


def test_what_is_no_sample_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"none\.npz"):
        read_samples(tmp_path / "none.npz")
    (tmp_path / "half.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(ResultError, match=r"half\.npz"):
        read_samples(tmp_path / "half.npz")
