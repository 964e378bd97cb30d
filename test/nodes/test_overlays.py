"""The overlay is drawn at the size of the image, whatever size its calibration was made at."""

from __future__ import annotations

import cv2
import numpy as np

from mm_fusion.detections import FusionResult, make_detections
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import CameraImage, CameraModel
from mm_fusion.nodes.overlays import overlay_jpeg

BASE_FROM_CAMERA = from_rpy_deg((-90, 0, -90), (0, 0, 1.5))


def drawn(model_px: int) -> np.ndarray:
    """Where (H, W) something was drawn on a dark image of 320x240 px, with a model made for `model_px`."""
    f = model_px / 320 * 200
    half = model_px / 2 - 0.5
    matrix = np.array([[f, 0, half], [0, f, 0.75 * model_px / 2 - 0.5], [0, 0, 1]])
    model = CameraModel(matrix, np.zeros(0), "plumb_bob", model_px, model_px * 3 // 4)
    image = CameraImage(0, "camera", np.zeros((240, 320, 3), np.uint8))
    calibration = Calibration({"camera": BASE_FROM_CAMERA}, {"camera": model})
    frame = Frame(0, {"camera": image}, {"camera": "camera"}, {"camera": True}, {"camera": 0}, calibration)
    car = make_detections(
        1, center=np.array([[12.0, 0, 1.0]]), size=np.array([[4.0, 2, 1.5]]), score=np.ones(1), class_id=[0]
    )
    jpeg = overlay_jpeg("camera", frame, FusionResult(0, "base_link", {}, {}, car, "C", {}))
    assert jpeg is not None
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).max(axis=2) > 60


def test_a_resized_image_is_drawn_with_the_calibration_of_the_whole_one() -> None:
    same, larger = drawn(320), drawn(640)
    assert same.sum() > 100
    assert (same & larger).sum() > 0.8 * same.sum()


def test_without_an_image_there_is_no_overlay() -> None:
    frame = Frame(0, {}, {"camera": "camera"}, {"camera": False}, {}, Calibration())
    nothing = make_detections(0)
    assert overlay_jpeg("camera", frame, FusionResult(0, "base_link", {}, {}, nothing, "-", {})) is None
