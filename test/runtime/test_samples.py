"""Frames to compare backends by: stored ones that fit, or made ones that are always the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.inputs.samples import write_samples
from mm_fusion.runtime.samples import SAMPLES, load_samples, made_samples
from test.network.scene import small_config


def test_made_frames_are_the_same_each_time_and_fit_the_graphs(tmp_path: Path) -> None:
    config = small_config()
    one, other = load_samples(tmp_path, config), made_samples(config)
    assert len(one) == 2 and not np.array_equal(one[0]["lidar"], one[1]["lidar"])
    for name, array in one[0].items():
        assert np.array_equal(array, other[0][name])  # type: ignore[literal-required, arg-type]
    camera = config.camera
    assert one[0]["lift_index"].max() < camera.max_cameras * camera.rows_per_camera
    assert one[0]["lift_bin"].max() < camera.max_cameras * camera.rows_per_camera * camera.depth_bins
    assert 0 < (one[0]["lidar"] > 0).mean() < 0.2


def test_stored_frames_are_taken(tmp_path: Path) -> None:
    write_samples(tmp_path / SAMPLES, made_samples(small_config(), 3))
    assert len(load_samples(tmp_path, small_config())) == 3


@pytest.mark.parametrize("name", ["lidar", "coverage"])
def test_frames_of_another_model_or_not_finite_are_named(tmp_path: Path, name: str) -> None:
    frames = made_samples(small_config(), 1)
    frames[0][name] = frames[0][name] * np.float32(np.nan)  # type: ignore[literal-required]
    write_samples(tmp_path / SAMPLES, frames)
    with pytest.raises(ConfigurationError, match=rf"samples\.npz: expected {name}"):
        load_samples(tmp_path, small_config())
    write_samples(tmp_path / SAMPLES, made_samples(small_config(), 1))
    other = small_config().camera.model_copy(update={"max_cameras": 3})
    with pytest.raises(ConfigurationError, match="expected images"):
        load_samples(tmp_path, small_config(camera=other))


def test_half_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / SAMPLES).write_bytes(b"half")
    with pytest.raises(ConfigurationError, match=r"samples\.npz"):
        load_samples(tmp_path, small_config())
