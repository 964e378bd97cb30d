"""Frames to calibrate with."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.errors import FusionError
from mm_fusion.training.export_frames import calibration_frames, sample_recording, spread
from test.network.scene import small_config


@pytest.mark.parametrize(
    ("total", "count", "wanted"), [(0, 3, []), (1, 5, [0]), (10, 3, [0, 4, 9]), (3, 9, [0, 1, 2])]
)
def test_spread(total: int, count: int, wanted: list[int]) -> None:
    assert spread(total, count) == wanted


def test_the_sample_is_there_without_asking() -> None:
    frames = calibration_frames(small_config(), None, 2)
    assert frames.simulated and len(frames.inputs) == 2 and frames.name == sample_recording().name
    assert all(each["available"].any() for each in frames.inputs) and frames.inputs[1]["lidar"].any()


def test_a_folder_without_frames_is_named(tmp_path: Path) -> None:
    with pytest.raises(FusionError, match="empty"):
        (tmp_path / "empty").mkdir()
        calibration_frames(small_config(), tmp_path / "empty", 2)
