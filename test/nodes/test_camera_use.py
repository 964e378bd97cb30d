from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.detections import FusionResult, make_detections
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraModel
from mm_fusion.nodes.camera_use import MEMORY, CameraUse

MODEL = CameraModel(np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]]), np.zeros(0), "plumb_bob", 100, 100)
PLACES = {"front": from_rpy_deg((-90, 0, -90), (0, 0, 1)), "back": from_rpy_deg((-90, 0, 90), (0, 0, 1))}


def frame() -> Frame:
    kinds = {"front": "camera", "back": "camera", "lidar": "lidar"}
    calibration = Calibration(PLACES, dict.fromkeys(PLACES, MODEL))
    return Frame(1, {}, kinds, dict.fromkeys(kinds, True), {}, calibration)  # type: ignore[arg-type]


def result(*objects: tuple[float, float, float], back: bool = True) -> FusionResult:
    """Objects as x, score and the cameras' share."""
    count = len(objects)
    rows = np.array(objects, np.float32).reshape(-1, 3)
    found = make_detections(
        count,
        center=np.column_stack([rows[:, 0], np.zeros(count), np.ones(count)]),
        score=rows[:, 1],
        contribution=np.column_stack([rows[:, 2], 1 - rows[:, 2], np.zeros(count)]),
    )
    return FusionResult(1, "base_link", {"front": True, "back": back, "lidar": True}, {}, found, "CL", {})


def test_without_objects_no_camera_contributes() -> None:
    use = CameraUse()
    use.observe(frame(), result())
    assert use.shares == {"front": 0.0, "back": 0.0}


def test_each_object_counts_for_the_camera_that_sees_it() -> None:
    use = CameraUse()
    use.observe(frame(), result((10, 0.8, 0.5), (20, 0.5, 0.2), (-10, 0.5, 0.4)))
    assert use.shares == pytest.approx({"front": 0.5, "back": 0.2})


def test_a_camera_that_is_left_out_keeps_what_it_had() -> None:
    use = CameraUse()
    use.observe(frame(), result((-10, 0.5, 0.4)))
    use.observe(frame(), result((10, 1.0, 1.0), back=False))
    assert use.shares == pytest.approx({"front": 1 - MEMORY, "back": 0.2})
