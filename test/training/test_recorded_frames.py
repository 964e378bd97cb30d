from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import load_vehicle
from mm_fusion.detections import make_detections
from mm_fusion.training.labelled import ASTYX_REGION, EVERYWHERE
from mm_fusion.training.recorded_frames import region_of, truth_at


def truth(stamp_ns: int, speed: float) -> TruthFrame:
    objects = make_detections(1, center=np.array([[10.0, 2.0, 1.0]]), velocity=np.array([[speed, 0.0]]))
    return TruthFrame(stamp_ns, "base_link", objects, {})


def test_truth_is_moved_to_the_frame():
    truths = [truth(0, 5.0), truth(100_000_000, 10.0)]
    assert truth_at([], 0) is None and truth_at(truths, 200_000_000) is None
    moved = truth_at(truths, 80_000_000)
    assert moved is not None and moved.stamp_ns == 80_000_000
    assert moved.objects.center[0].tolist() == pytest.approx([9.8, 2.0, 1.0])
    unknown = truth_at([truth(0, np.nan)], 10_000_000)
    assert unknown is not None and unknown.objects.center[0, 0] == 10.0


def test_astyx_is_labelled_in_the_image_alone():
    assert region_of(load_vehicle("astyx")) == ASTYX_REGION
    assert region_of(load_vehicle("nuscenes_like")) == EVERYWHERE


def test_real_frames_of_a_converted_recording(astyx: Path, tmp_path: Path):
    from mm_fusion.bags.convert.astyx import convert
    from mm_fusion.inputs.network_inputs import make_inputs
    from mm_fusion.network_config import load_learned
    from mm_fusion.training.recorded_frames import BagFrames

    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((astyx / "val").iterdir())[:9]:
        (few / path.name).symlink_to(path)
    convert(few, tmp_path / "bag")
    frames = BagFrames(tmp_path / "bag", load_vehicle("astyx"))
    assert len(frames) == 3
    frame, objects = frames[0]
    inputs = make_inputs(frame, frames.vehicle, load_learned("tiny"))
    assert inputs["available"].tolist() == [1, 1, 1] and len(objects.objects) > 0
