from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.transforms import (
    from_quaternion,
    from_rpy_deg,
    interpolate,
    inverse,
    rigid,
    to_quaternion,
    transform_points,
    wrap_angle,
    yaw_of,
)

ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)


def test_no_points_stay_no_points():
    moved = transform_points(np.eye(4), np.empty((0, 3), np.float32))
    assert moved.shape == (0, 3) and moved.dtype == np.float32


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected \(N, 3\), got \(3,\)"):
        transform_points(np.eye(4), np.zeros(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_keep_their_dtype_and_a_nan_row_stays_alone(dtype):
    xyz = np.array([[1, 0, 0], [np.nan, 1, 2], [0, 2, 0]], dtype)
    moved = transform_points(from_rpy_deg((0, 0, 90), (10, 0, 0)), xyz)
    assert moved.dtype == dtype
    assert np.allclose(moved[[0, 2]], [[10, 1, 0], [8, 0, 0]], atol=1e-6)
    assert np.isnan(moved[1, :2]).all()


@settings(max_examples=60, deadline=None)
@given(ANGLES)
def test_rotations_agree_with_scipy(rpy_deg):
    matrix = from_rpy_deg(rpy_deg, (1, 2, 3))
    expected = Rotation.from_euler("xyz", rpy_deg, degrees=True)
    assert np.allclose(matrix[:3, :3], expected.as_matrix(), atol=1e-12)
    quaternion = to_quaternion(matrix)
    assert quaternion[3] >= 0
    assert abs(abs(quaternion @ expected.as_quat()) - 1) < 1e-12
    assert np.allclose(from_quaternion(quaternion, (1, 2, 3)), matrix, atol=1e-12)
    assert np.allclose(inverse(matrix) @ matrix, np.eye(4), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(ANGLES, ANGLES, st.floats(0, 1))
def test_interpolation_is_slerp_and_a_straight_line(a_deg, b_deg, fraction):
    a, b = from_rpy_deg(a_deg, (0, 0, 0)), from_rpy_deg(b_deg, (4, -2, 8))
    rotations = Rotation.from_matrix([a[:3, :3], b[:3, :3]])
    if (rotations[0].inv() * rotations[1]).magnitude() > 3.1:
        return  # half a turn apart: two shortest ways
    middle = interpolate(a, b, fraction)
    assert np.allclose(middle[:3, :3], Slerp([0, 1], rotations)(fraction).as_matrix(), atol=1e-6)
    assert np.allclose(middle[:3, 3], fraction * np.array([4, -2, 8]))


def test_interpolation_ends_where_it_should():
    a, b = from_rpy_deg((10, 20, 30), (1, 2, 3)), from_rpy_deg((-10, 5, 170), (0, 2, 3))
    assert np.allclose(interpolate(a, b, 0.0), a) and np.allclose(interpolate(a, b, 1.0), b)


@pytest.mark.parametrize("xyzw", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1)])
def test_a_quaternion_that_is_none_is_an_error(xyzw):
    with pytest.raises(MeasurementError, match="quaternion"):
        from_quaternion(xyzw)


def test_a_quaternion_slightly_off_length_is_normalised():
    assert np.allclose(from_quaternion((0, 0, 0, 1.01)), np.eye(4))


@pytest.mark.parametrize(
    ("angle", "wrapped"), [(0, 0), (np.pi, np.pi), (-np.pi, np.pi), (3 * np.pi, np.pi), (4, 4 - 2 * np.pi)]
)
def test_angles_wrap_to_the_half_open_circle(angle, wrapped):
    assert wrap_angle(angle) == pytest.approx(wrapped)


@given(st.floats(-1e6, 1e6))
def test_wrapped_angles_are_in_range(angle):
    assert -np.pi < wrap_angle(angle) <= np.pi


def test_rigid_and_yaw():
    matrix = rigid(Rotation.from_euler("z", 0.3).as_matrix(), (1, 2, 3))
    assert yaw_of(matrix) == pytest.approx(0.3) and matrix[:3, 3].tolist() == [1, 2, 3]
