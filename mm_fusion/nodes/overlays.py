"""A camera's image with the fused boxes in it, as JPEG bytes."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import FusionResult
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.cameras import scaled
from mm_fusion.geometry.transforms import inverse
from mm_fusion.measurements import CameraImage
from mm_fusion.messages.images import decode_pixels

QUALITY = 80


def overlay_jpeg(camera: str, frame: Frame, result: FusionResult) -> bytes | None:
    """The overlay of one camera; None where the frame has no image or no calibration of it."""
    calibration = frame.calibration
    known = camera in calibration.base_from_sensor and camera in calibration.camera_models
    if camera not in frame.measurements or not known:
        return None
    image = decoded(frame.measurements[camera])
    assert isinstance(image, CameraImage)
    return draw(image, camera, frame, result)


def draw(image: CameraImage, camera: str, frame: Frame, result: FusionResult) -> bytes:
    """JPEG of `image` with the boxes of `result`."""
    import cv2

    from mm_fusion.viewing.overlay import draw_overlay

    camera_from_base = inverse(frame.calibration.base_from_sensor[camera])
    pixels = decode_pixels(image)
    height_px, width_px = pixels.shape[:2]  # a resized image may come with the CameraInfo of the whole one
    model = scaled(frame.calibration.camera_models[camera], width_px, height_px)
    drawn = draw_overlay(pixels, model, camera_from_base, result.detections)
    _, jpeg = cv2.imencode(
        ".jpg", np.ascontiguousarray(drawn[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return bytes(jpeg)
