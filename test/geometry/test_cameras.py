from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.cameras import project, project_many, scaled, unproject, valid_radius
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import CameraModel

K = np.array([[1266.0, 0, 816], [0, 1250.0, 491], [0, 0, 1]])
PINHOLE = CameraModel(K, np.zeros(0), "plumb_bob", 1600, 900)
BARREL = CameraModel(K, np.array([-0.3, 0.12, 0.001, -0.0008, -0.02]), "plumb_bob", 1600, 900)
RATIONAL = CameraModel(
    K, np.array([2.1, 0.4, 1e-4, -2e-4, 0.01, 2.4, 0.9, 0.05]), "rational_polynomial", 1600, 900
)
WIDE = CameraModel(
    np.array([[340.0, 0, 640], [0, 342.0, 480], [0, 0, 1]]),
    np.array([0.05, -0.01, 0.004, -0.0004]),
    "equidistant",
    1280,
    960,
)
MODELS = {"pinhole": PINHOLE, "plumb_bob": BARREL, "rational": RATIONAL, "fisheye": WIDE}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
OPTICAL_FROM_BODY = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])


def opencv(model: CameraModel, xyz: np.ndarray) -> np.ndarray:
    import cv2

    zero = np.zeros(3)
    if model.distortion_model == "equidistant":
        return cv2.fisheye.projectPoints(xyz[:, None], zero, zero, model.matrix, model.distortion)[0][:, 0]
    distortion = model.distortion if len(model.distortion) else None
    return cv2.projectPoints(xyz, zero, zero, model.matrix, distortion)[0][:, 0]


def cloud(count: int = 5000, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform((-40, -40, -3), (40, 40, 5), (count, 3)).astype(np.float32)


@each_model
def test_no_points(model):
    pixels, visible = project(model, np.empty((0, 3)))
    assert pixels.shape == (0, 2) and visible.shape == (0,)
    pixels, visible = project_many(np.empty((0, 3), np.float32), [model] * 2, np.array([np.eye(4)] * 2))
    assert pixels.shape == (2, 0, 2) and visible.shape == (2, 0)


def test_no_cameras():
    pixels, visible = project_many(cloud(10), [], np.empty((0, 4, 4)))
    assert pixels.shape == (0, 10, 2) and visible.shape == (0, 10)


def test_a_known_point():
    pixels, visible = project(PINHOLE, [[1, -0.5, 10], [0, 0, -1], [0, 0, 0], [np.nan, 0, 1], [20, 0, 10]])
    assert np.allclose(pixels[0], [816 + 126.6, 491 - 62.5])
    assert visible.tolist() == [True, False, False, False, False]
    assert np.isnan(pixels[1:4]).any(axis=1).all() and np.isfinite(pixels[4]).all()


@each_model
def test_pixels_agree_with_opencv(model):
    rng = np.random.default_rng(2)
    xyz = rng.uniform((-1, -0.6, 1), (1, 0.6, 1.5), (2000, 3)) * rng.uniform(0.5, 60, (2000, 1))
    pixels, visible = project(model, xyz)
    assert visible.sum() > 500
    assert np.abs(pixels[visible] - opencv(model, xyz)[visible]).max() < 1e-6


@each_model
def test_rays_and_pixels_undo_each_other(model):
    grid = np.stack(
        np.meshgrid(np.linspace(0, model.width_px - 1, 25), np.linspace(0, model.height_px - 1, 19))
    )
    wanted = grid.reshape(2, -1).T
    rays = unproject(model, wanted)
    reached = np.isfinite(rays).all(axis=1)
    assert reached.all()
    assert np.allclose(np.linalg.norm(rays, axis=1), 1)
    pixels, visible = project(model, rays * 7)
    assert visible.all() and np.abs(pixels - wanted).max() < 1e-6


def test_the_valid_radius_is_where_the_distortion_turns_back():
    # r (1 + k r^2) with k = -0.3 turns at r = 1 / sqrt(0.9)
    model = CameraModel(K, np.array([-0.3, 0, 0, 0.0]), "plumb_bob", 1600, 900)
    assert valid_radius(model) == pytest.approx(1 / np.sqrt(0.9))
    assert valid_radius(PINHOLE) == np.inf and valid_radius(WIDE) == np.inf
    narrow = CameraModel(WIDE.matrix, np.array([-0.5, 0, 0, 0.0]), "equidistant", 1280, 960)
    assert valid_radius(narrow) == pytest.approx(np.tan(np.sqrt(1 / 1.5)))


def test_beyond_a_pole_of_the_rational_model_nothing_is_seen():
    model = CameraModel(K, np.array([0, 0, 0, 0, 0, -0.5, 0, 0.0]), "rational_polynomial", 1600, 900)
    assert valid_radius(model) <= np.sqrt(2)
    assert not project(model, [[3.0, 0, 1]])[1].any()


def test_far_off_axis_points_do_not_fold_back_into_the_image():
    off_axis = np.array(
        [[r * np.cos(a), r * np.sin(a), 1.0] for r in np.linspace(1.8, 6, 80) for a in range(7)]
    )
    folded = opencv(BARREL, off_axis)
    inside = (folded >= 0).all(axis=1) & (folded < (1600, 900)).all(axis=1)
    assert inside.any(), "the case must be one in which OpenCV folds"
    assert not project(BARREL, off_axis)[1].any()
    seen = project_many(off_axis.astype(np.float32), [BARREL], np.eye(4)[None])[1]
    assert not seen.any()


def test_a_fisheye_may_see_behind_its_image_plane():
    model = CameraModel(
        np.array([[200.0, 0, 640], [0, 200, 480], [0, 0, 1]]), np.zeros(4), "equidistant", 1280, 960
    )
    behind = np.array([[5.0, 0, -0.5]])
    pixels, visible = project(model, behind)
    assert visible[0] and pixels[0, 0] == pytest.approx(640 + 200 * np.arctan2(5, -0.5))
    assert project_many(behind.astype(np.float32), [model], np.eye(4)[None])[1].all()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(MODELS)), st.floats(-180, 180), st.floats(-10, 10), st.floats(-2, 2))
def test_many_cameras_see_what_each_alone_sees(name, yaw_deg, pitch_deg, x):
    model, xyz = MODELS[name], cloud(800)
    camera_from_base = OPTICAL_FROM_BODY @ inverse(from_rpy_deg((0, pitch_deg, yaw_deg), (x, 0, 1.6)))
    pixels, visible = project_many(xyz, [model, BARREL], np.array([camera_from_base, OPTICAL_FROM_BODY]))
    alone, seen = project(model, transform_points(camera_from_base, xyz.astype(np.float64)))
    assert np.array_equal(visible[0], seen)
    assert np.isnan(pixels[0][~seen]).all()
    assert np.allclose(pixels[0][seen], alone[seen], atol=1e-3)


def test_points_that_are_not_finite_are_not_seen():
    xyz = np.array([[np.nan, 0, 5], [np.inf, 0, 5], [0, 0, np.inf], [0, 0, 5]], np.float32)
    for model in MODELS.values():
        assert project_many(xyz, [model], np.eye(4)[None])[1].tolist() == [[False, False, False, True]]


def test_a_resized_camera_sees_the_same_places():
    half = scaled(BARREL, 800, 450)
    xyz = np.array([[0.3, 0.1, 2], [-0.4, -0.2, 1]])
    full_px, half_px = project(BARREL, xyz)[0], project(half, xyz)[0]
    assert np.allclose((full_px + 0.5) / 2 - 0.5, half_px) and (half.width_px, half.height_px) == (800, 450)


@pytest.mark.parametrize(
    ("kind", "count"), [("plumb_bob", 3), ("rational_polynomial", 5), ("equidistant", 5), ("plumb_bob", 8)]
)
def test_a_distortion_of_odd_length_is_an_error(kind, count):
    with pytest.raises(MeasurementError, match=kind):
        project(CameraModel(K, np.full(count, 0.01), kind, 1600, 900), np.ones((1, 3)))


def test_one_transform_per_camera():
    with pytest.raises(ValueError, match="got 2 for 1"):
        project_many(cloud(5), [PINHOLE], np.array([np.eye(4)] * 2))
