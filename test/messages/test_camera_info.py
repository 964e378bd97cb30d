from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import DropReason, MeasurementError
from mm_fusion.measurements import CameraModel
from mm_fusion.messages.build import fixed_of, sequence_of
from mm_fusion.messages.camera_info import decode_camera_info
from mm_fusion.messages.encode import encode_camera_info

MATRIX = np.array([[800.0, 0, 640], [0, 810, 360], [0, 0, 1]])


@pytest.fixture
def info(types):
    """CameraInfo of a 1280x720 camera with what differs."""

    def build(model: str = "plumb_bob", d=(), **changed):
        camera = CameraModel(MATRIX, np.zeros(0), "plumb_bob", 1280, 720)
        message = encode_camera_info(camera, 0, "camera", types)
        message.distortion_model = model
        message.d = sequence_of(np.array(d, np.float64), "f8", types("sensor_msgs/msg/CameraInfo"))
        for name, value in changed.items():
            setattr(message, name, value)
        return message

    return build


@pytest.mark.parametrize(
    ("spelled", "d", "model", "count"),
    [
        ("plumb_bob", (), "plumb_bob", 0),
        ("", (), "plumb_bob", 0),
        ("plumb_bob", (0, 0, 0, 0, 0), "plumb_bob", 0),
        ("rational_polynomial", (0,) * 8, "plumb_bob", 0),
        ("plumb_bob", (-0.3, 0.1, 0, 0), "plumb_bob", 4),
        ("", (-0.3, 0.1, 0, 0, 0.01), "plumb_bob", 5),
        ("radtan", (-0.3, 0.1), "plumb_bob", 4),
        ("plumb_bob", (0.1,) * 8, "rational_polynomial", 8),
        ("rational_polynomial", (0.1,) * 5, "rational_polynomial", 8),
        ("rational_polynomial", (*(0.1,) * 8, 0, 0, 0, 0), "rational_polynomial", 8),
        ("equidistant", (0.1, 0, 0, 0), "equidistant", 4),
        ("fisheye", (), "equidistant", 4),
    ],
)
def test_models_and_their_coefficients(info, spelled, d, model, count):
    decoded = decode_camera_info(info(spelled, d))
    assert (decoded.distortion_model, len(decoded.distortion)) == (model, count)
    assert decoded.distortion[: len(d)] == pytest.approx(d[:count])
    assert (decoded.width_px, decoded.height_px) == (1280, 720) and np.array_equal(decoded.matrix, MATRIX)


@pytest.mark.parametrize(
    ("spelled", "d"),
    [
        ("division", (0.1,)),
        ("rational_polynomial", (0.1,) * 12),
        ("equidistant", (0.1,) * 5),
        ("none", (0.1,)),
    ],
)
def test_unknown_models_are_said(info, spelled, d):
    with pytest.raises(MeasurementError, match="expected the distortion of plumb_bob") as caught:
        decode_camera_info(info(spelled, d))
    assert caught.value.reason is DropReason.NO_CALIBRATION


def test_binning_and_region_of_interest(info, types):
    roi = types("sensor_msgs/msg/RegionOfInterest")(
        x_offset=40, y_offset=60, width=800, height=600, do_rectify=False
    )
    model = decode_camera_info(info(roi=roi, binning_x=2, binning_y=4))
    assert (model.width_px, model.height_px) == (400, 150)
    assert model.matrix == pytest.approx(np.array([[400, 0, 300], [0, 202.5, 75], [0, 0, 1]]))


def test_rectified_takes_p(info, sensor):
    p = np.zeros((3, 4))
    p[:, :3] = np.diag([700, 700, 1])
    rectified = sensor("camera", fields={"rectified": "true"})
    model = decode_camera_info(info(d=(-0.3, 0.1, 0, 0), p=fixed_of(p)), rectified)
    assert model.matrix[0, 0] == 700 and len(model.distortion) == 0


def test_rectified_frame_must_be_named_where_it_turns(info, sensor):
    turned = info(r=fixed_of([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]))
    with pytest.raises(MeasurementError, match="R of rectified.*`frame`"):
        decode_camera_info(turned, sensor("camera", fields={"rectified": "true"}))
    decode_camera_info(turned, sensor("camera", fields={"rectified": "true"}, frame="left_rectified"))
    with pytest.raises(MeasurementError, match='"true" or "false"'):
        decode_camera_info(turned, sensor("camera", fields={"rectified": "maybe"}))


@pytest.mark.parametrize("k", [np.zeros(9), np.full(9, np.nan), -MATRIX.ravel()])
def test_degenerate_matrix(info, k):
    with pytest.raises(MeasurementError, match="expected a camera matrix") as caught:
        decode_camera_info(info(k=fixed_of(k)))
    assert caught.value.reason is DropReason.NO_CALIBRATION


def test_no_size(info):
    with pytest.raises(MeasurementError, match="size above 0"):
        decode_camera_info(info(width=0))


def test_round_trip(types, on_the_wire, sensor):
    model = CameraModel(MATRIX, np.array([0.1, 0.2, 0.3, 0.4]), "equidistant", 1280, 720)
    again = decode_camera_info(on_the_wire(encode_camera_info(model, 5, "camera", types)), sensor("camera"))
    assert np.array_equal(again.matrix, model.matrix) and np.array_equal(again.distortion, model.distortion)
    assert again.distortion_model == "equidistant"
