"""CameraInfo to `CameraModel`: the model of the image as it is published, raw or rectified.

Source: the comments of sensor_msgs/CameraInfo, and image_geometry for binning and region of interest.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from mm_fusion.config import SensorConfig
from mm_fusion.errors import DropReason, MeasurementError
from mm_fusion.measurements import CameraModel, Float64
from mm_fusion.messages.header import reading

DistortionModel = Literal["plumb_bob", "rational_polynomial", "equidistant"]
_MODELS: dict[str, DistortionModel] = {
    "plumb_bob": "plumb_bob",
    "radtan": "plumb_bob",
    "brown_conrady": "plumb_bob",
    "modified_brown_conrady": "plumb_bob",
    "none": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
    "kannala_brandt": "equidistant",
    "kannala_brandt4": "equidistant",
}
_MOST_TURN_RAD = 1e-3
"""A rectification that turns the camera by more needs the rectified frame's name."""


def decode_camera_info(message: Any, sensor: SensorConfig | None = None) -> CameraModel:
    """The camera model of the published image, binning and region of interest taken in.

    With `fields: {rectified: "true"}` in the vehicle file the images are rectified: P holds.
    Raises `MeasurementError` (`no_calibration`) where K is empty or the distortion is of no known model.
    """
    with reading("CameraInfo", (sensor.info_topic or sensor.topic) if sensor else "camera info"):
        width, height = int(message.width), int(message.height)
        if _is_rectified(sensor):
            matrix, model, distortion = _rectified_matrix(message, sensor), _MODELS["none"], np.zeros(0)
        else:
            matrix = np.array(message.k, np.float64).reshape(3, 3)
            model, distortion = _distortion(str(message.distortion_model), np.array(message.d, np.float64))
        _check_matrix(matrix)
        matrix, width, height = _published(message, matrix, width, height)
        return CameraModel(matrix, distortion, model, width, height)


def _is_rectified(sensor: SensorConfig | None) -> bool:
    given = sensor.fields.get("rectified", "false").lower() if sensor else "false"
    if given not in ("true", "false"):
        raise MeasurementError(f'expected "true" or "false" for `fields: rectified`, got {given!r}')
    return given == "true"


def _rectified_matrix(message: Any, sensor: SensorConfig | None) -> Float64:
    """The left 3x3 of P; raises where R turns the rectified camera away from the frame that was named."""
    rotation = np.array(message.r, np.float64).reshape(3, 3)
    turn = float(np.abs(rotation - np.eye(3)).max()) if rotation.any() else 0.0
    if not turn <= _MOST_TURN_RAD and not (sensor and sensor.frame):
        raise MeasurementError(
            f"expected R of rectified images to be the identity, got one that turns by about {turn:.3f} "
            "rad; name "
            "the rectified camera's frame by `frame` in the vehicle file",
            DropReason.NO_CALIBRATION,
        )
    return np.array(message.p, np.float64).reshape(3, 4)[:, :3]


def _check_matrix(matrix: Float64) -> None:
    if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise MeasurementError(
            f"expected a camera matrix with focal lengths above 0, got {matrix.tolist()}; calibrate the "
            "camera, or "
            "give `camera: {matrix: ...}` in the vehicle file",
            DropReason.NO_CALIBRATION,
        )


def _distortion(spelled: str, coefficients: Float64) -> tuple[DistortionModel, Float64]:
    """The model and as many coefficients as it has; none or zeros is a pinhole, but for a fisheye."""
    name = spelled.strip().lower().replace(" ", "_").replace("-", "_")
    model = _MODELS.get(name) if name else _MODELS["none"]
    if model == "equidistant":
        return model, _first(coefficients, 4, spelled)
    if not coefficients.any():
        return "plumb_bob", np.zeros(0)
    if model is None or name == "none":
        raise _unknown_model(spelled, coefficients)
    if model == "plumb_bob" and len(coefficients) <= 5:
        return model, _first(coefficients, 4 if len(coefficients) <= 4 else 5, spelled)
    return "rational_polynomial", _first(coefficients, 8, spelled)


def _first(coefficients: Float64, count: int, spelled: str) -> Float64:
    """`count` coefficients, zeros for those not sent; raises where one beyond them is not zero."""
    if coefficients[count:].any():
        raise _unknown_model(spelled, coefficients)
    return np.concatenate([coefficients[:count], np.zeros(max(0, count - len(coefficients)))])


def _unknown_model(spelled: str, coefficients: Float64) -> MeasurementError:
    return MeasurementError(
        "expected the distortion of plumb_bob, rational_polynomial (8) or equidistant (4), got "
        f"{spelled!r} with "
        f"{coefficients.tolist()}; calibrate with one of these, or publish rectified images",
        DropReason.NO_CALIBRATION,
    )


def _published(message: Any, matrix: Float64, width: int, height: int) -> tuple[Float64, int, int]:
    """Matrix and size of the published image: cut to the region of interest, then binned."""
    roi = message.roi
    left, top = int(roi.x_offset), int(roi.y_offset)
    width, height = int(roi.width) or width - left, int(roi.height) or height - top
    bin_x, bin_y = max(1, int(message.binning_x)), max(1, int(message.binning_y))
    matrix = matrix.copy()
    matrix[0, 2] -= left
    matrix[1, 2] -= top
    matrix[0] /= bin_x
    matrix[1] /= bin_y
    return matrix, width // bin_x, height // bin_y
