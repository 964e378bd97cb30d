from __future__ import annotations

import cv2
import numpy as np
import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.inputs.camera_pixels import camera_pixels, camera_slots, fitted_model
from mm_fusion.measurements import CameraImage, CameraModel
from test.inputs.scene import config, frame


def model(width: int, height: int) -> CameraModel:
    matrix = np.array([[width * 1.0, 0, width / 2], [0, width * 1.0, height / 2], [0, 0, 1]])
    return CameraModel(matrix, np.zeros(0), "plumb_bob", width, height)


def painted(width: int, height: int, row: int) -> np.ndarray:
    """Black, with a bright block of 40 px around (row, middle)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[row - 20 : row + 20, width // 2 - 20 : width // 2 + 20, 0] = 250
    return pixels


@pytest.mark.parametrize(("height", "row"), [(512, 300), (640, 400), (300, 200)])
def test_pixels_and_model_go_together(height, row):
    # 1024 wide becomes 128: heights become 64, 80 (16 cut above) and 38 (26 padded below)
    camera, sizes = model(1024, height), config()
    for image in (
        CameraImage(0, "c", painted(1024, height, row)),
        CameraImage(
            0,
            "c",
            encoded=cv2.imencode(".jpg", painted(1024, height, row)[..., ::-1])[1].ravel(),
            format="jpeg",
        ),
    ):
        planes = camera_pixels(image, camera, sizes)
        assert planes.shape == (3, 64, 128) and planes.dtype == np.uint8
        bright = np.argwhere(planes[0] > 125)
        small = fitted_model(camera, sizes.camera)
        # the block's middle by the model: 1024 px focal length, so its ray is (0, (row - height / 2) / 1024)
        expected = small.matrix[1, 1] * ((row - height / 2 - 0.5) / 1024) + small.matrix[1, 2]
        assert bright.mean(axis=0) == pytest.approx([expected, 63.5], abs=0.6)
        assert small.height_px == min(64, round(height / 8)) and not planes[:, small.height_px :].any()


def test_a_corrupt_image_is_named():
    with pytest.raises(MeasurementError, match="JPEG"):
        camera_pixels(CameraImage(0, "c", encoded=b"\xff\xd8\xff", format="jpeg"), model(64, 64), config())


def test_slots_do_not_depend_on_who_is_there():
    kinds = {"a": "camera", "lidar": "lidar", "b": "camera", "c": "camera"}
    assert camera_slots(frame({}, kinds=kinds), config()) == {"a": 0, "b": 1}
