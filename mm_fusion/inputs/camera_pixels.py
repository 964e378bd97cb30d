"""A camera's image at the network's size, and the camera model that belongs to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mm_fusion.frame import Frame
from mm_fusion.geometry.cameras import scaled
from mm_fusion.measurements import CameraImage, CameraModel
from mm_fusion.messages.header import payload_bytes
from mm_fusion.messages.images import REDUCTIONS, decode_pixels, encoded_size
from mm_fusion.network_config import CameraInputs, LearnedConfig


def camera_slots(frame: Frame, config: LearnedConfig) -> dict[str, int]:
    """Slot of each configured camera by name, in the order of configuration, up to the model's maximum.

    A camera keeps its slot whether it is there or not.
    """
    names = [name for name, kind in frame.kinds.items() if kind == "camera"]
    return {name: slot for slot, name in enumerate(names[: config.camera.max_cameras])}


def calibrated_cameras(frame: Frame, config: LearnedConfig) -> dict[str, int]:
    """Slots of the cameras that delivered an image and are calibrated, by name."""
    known = frame.calibration
    return {
        name: slot
        for name, slot in camera_slots(frame, config).items()
        if name in frame.measurements and name in known.base_from_sensor and name in known.camera_models
    }


def fitted_model(model: CameraModel, camera: CameraInputs) -> CameraModel:
    """The camera after its image was fitted by `camera_pixels`: what is padded is not part of the image."""
    height_px = scaled_height(model, camera)
    small = scaled(model, camera.width_px, height_px)
    cut = max(0, height_px - camera.height_px)
    matrix = small.matrix.copy()
    matrix[1, 2] -= cut
    return replace(small, matrix=matrix, height_px=height_px - cut)


def camera_pixels(image: CameraImage, model: CameraModel, config: LearnedConfig) -> NDArray[np.uint8]:
    """(3, height_px, width_px) uint8 RGB: scaled to the width, then cut at the top or padded below.

    A JPEG is decoded small. Raises `MeasurementError` for corrupt bytes.
    """
    import cv2

    camera = config.camera
    width, height = camera.width_px, scaled_height(model, camera)
    pixels = decode_pixels(image, _reduction(image, width, height))
    smaller = pixels.shape[1] >= width
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    if pixels.shape[:2] != (height, width):
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=method), np.uint8)
    planes = np.zeros((3, camera.height_px, width), np.uint8)
    kept = pixels[max(0, height - camera.height_px) :]
    planes[:, : len(kept)] = kept.transpose(2, 0, 1)
    return planes


def scaled_height(model: CameraModel, camera: CameraInputs) -> int:
    """Rows of a camera's image once it is as wide as the network's, before cutting or padding, px."""
    return max(1, round(model.height_px * camera.width_px / model.width_px))


def _reduction(image: CameraImage, width: int, height: int) -> int:
    """The largest reduction in decoding that leaves at least the wanted size."""
    if image.pixels is not None:
        found = image.pixels.shape[1], image.pixels.shape[0]
    else:
        found = encoded_size(payload_bytes(image.encoded))
    return max(r for r in REDUCTIONS if r == 1 or (found[0] >= r * width and found[1] >= r * height))
