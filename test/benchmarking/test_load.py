"""Frames of the sample recording, as it is and enlarged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.benchmarking.load import Enlarged, data_hash, load_frames
from mm_fusion.config import load_vehicle
from mm_fusion.errors import FusionError
from mm_fusion.frame import decoded
from mm_fusion.measurements import Deferred
from mm_fusion.messages.images import encoded_size
from mm_fusion.training.export_frames import sample_recording


@pytest.fixture(scope="module")
def loads():
    return load_frames(sample_recording(), load_vehicle("nuscenes_like"), 1, Enlarged(points=20_000))


def test_the_sample_is_brought_to_the_size_of_a_real_car(loads):
    frame = loads[0].decoded
    assert len(loads) == 1 and len(frame.measurements) == 12
    assert 15_000 < len(frame.measurements["LIDAR_TOP"].xyz) <= 20_000
    image = np.frombuffer(loads[0].messages["CAM_FRONT"].data, np.uint8)
    assert encoded_size(image) == (1600, 900) and 80_000 < len(image) < 600_000
    model = frame.calibration.camera_models["CAM_FRONT"]
    assert (model.width_px, model.height_px) == (1600, 900) and 1200 < model.matrix[0, 0] < 1300
    assert loads[0].payload_bytes() > 6 * 80_000 and len(data_hash(loads)) == 64


def test_a_fresh_frame_is_undecoded_and_the_same(loads):
    one, other = loads[0].fresh(), loads[0].fresh()
    item = one.measurements["LIDAR_TOP"]
    assert isinstance(item, Deferred) and item is not other.measurements["LIDAR_TOP"]
    assert np.array_equal(decoded(item).xyz, loads[0].decoded.measurements["LIDAR_TOP"].xyz)
    images = [decoded(frame.measurements["CAM_FRONT"]) for frame in (one, other)]
    assert images[0] is not images[1] and images[0].encoded is images[1].encoded


def test_what_is_no_recording_is_named(tmp_path: Path):
    with pytest.raises(FusionError, match="nothing"):
        load_frames(tmp_path / "nothing", load_vehicle("minimal"), 1)
