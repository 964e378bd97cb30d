from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mm_fusion.frame import Calibration, SensorHealth
from mm_fusion.geometry.cameras import FixedPoints, Shutter, central_views, project, project_many
from mm_fusion.geometry.motion import exp_twist
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.inputs.camera_pixels import fitted_model
from mm_fusion.inputs.camera_sampling import CameraSampling, camera_from_cells, cell_points, shutter_of
from mm_fusion.measurements import CameraModel, EgoMotion
from test.geometry.test_cameras import MODELS
from test.inputs.scene import BASE_FROM_CAMERA, MODEL, PLACES, STAMP, cell_of, config, frame, image

EGO = EgoMotion(STAMP, np.array([12.0, 0.5, 0]), np.array([0, 0, 0.3]))


def test_no_camera_gives_an_empty_table():
    table = CameraSampling(config()).table(frame({}))
    for array in (table.lift_index, table.lift_bin, table.lift_weight):
        assert array.shape == (1, 32, 32, 2, 1) and not array.any()
    assert not table.coverage.any() and not table.camera_age.any()
    assert table.lift_index.dtype == table.lift_bin.dtype == np.int32


def test_a_known_cell():
    # 10 m ahead of the camera at its own height: the middle of the image, in the pixel row below it
    table = CameraSampling(config()).table(frame({"camera": image()}))
    at = (0, *cell_of(11.5, 0.5), 1, 0)
    row = table.lift_index[at]
    u, v = 64 - 100 * 0.5 / 10.5, 32.0
    assert row == int((v + 0.5) / 8) * 16 + int((u + 0.5) / 8)
    edges = np.array(config().camera.depth_edges)
    distance = np.hypot(10.5, 0.5)
    assert table.lift_bin[at] == row * 32 + np.searchsorted(edges, distance, side="right") - 1
    assert table.lift_weight[at] == 1
    behind = (0, *cell_of(-2.5, 0.5))
    assert not table.lift_weight[behind].any() and not table.lift_index[behind].any()


@pytest.mark.parametrize("age_s", [-0.03, 0.0, 0.08])
@pytest.mark.parametrize("name", MODELS)
def test_the_table_is_what_projection_says(name, age_s):
    model, sizes = MODELS[name], config()
    given = frame({"camera": image(age_s)}, model=model, ego=EGO)
    table = CameraSampling(sizes).table(given)
    base_cam_from_ref = exp_twist(EGO.linear_velocity, EGO.angular_velocity, age_s)
    points = transform_points(inverse(BASE_FROM_CAMERA) @ base_cam_from_ref, cell_points(sizes).astype(float))
    small = fitted_model(model, sizes.camera)
    pixels, visible = project(small, points)
    seen = table.lift_weight.reshape(-1) > 0
    clear = ~visible | (_from_border(pixels, small) > 0.01)
    assert np.array_equal(seen[clear], visible[clear]) and visible.sum() > 100
    both = seen & visible
    rows, columns = sizes.camera.rows_shape
    cell = (pixels[both] + 0.5) / sizes.camera.stride
    wanted = np.minimum(cell[:, 1].astype(int), rows - 1) * columns + np.minimum(
        cell[:, 0].astype(int), columns - 1
    )
    # where the pixel is not within float32's rounding of a border of feature pixels
    sharp = np.abs(cell - np.round(cell)).min(axis=1) > 1e-3
    assert np.array_equal(table.lift_index.reshape(-1)[both][sharp], wanted[sharp]) and sharp.mean() > 0.9
    bins = np.searchsorted(
        np.array(sizes.camera.depth_edges)[1:-1], np.linalg.norm(points[both], axis=1), "right"
    )
    assert (table.lift_bin.reshape(-1)[both] % 32 == bins).mean() > 0.999
    assert np.allclose(table.camera_age[0, 0][table.coverage > 0], age_s / 0.1, atol=1e-5)


def _from_border(pixels: np.ndarray, model: CameraModel) -> np.ndarray:
    low, high = pixels + 0.5, np.array([model.width_px, model.height_px]) - 0.5 - pixels
    return np.abs(np.nan_to_num(np.concatenate([low, high], axis=1), nan=1.0)).min(axis=1)


def two_cameras(age_s: float = 0.0):
    """The known camera in slot 1 and one turned by 20 degrees, older, in slot 0."""
    places = {**PLACES, "left": from_rpy_deg((0, 0, 20), (0, 0, 0)) @ BASE_FROM_CAMERA}
    kinds = {"left": "camera", "camera": "camera"}
    return frame(
        {"left": image(0.1), "camera": image(age_s)},
        kinds=kinds,
        available=dict.fromkeys(kinds, True),
        calibration=Calibration(places, {"left": MODEL, "camera": MODEL}),
    )


def test_of_two_cameras_the_one_that_sees_best_is_taken():
    table = CameraSampling(config()).table(two_cameras())
    slot = table.lift_index[..., 0] // config().camera.rows_per_camera
    ahead, left = cell_of(20.5, 0.5), cell_of(20.5, 8.5)
    assert slot[(0, *ahead, 1)] == 1 and slot[(0, *left, 1)] == 0
    assert table.camera_age[(0, 0, *ahead)] == 0 and table.camera_age[(0, 0, *left)] == pytest.approx(1.0)
    both = CameraSampling(config(camera={**config().camera.model_dump(), "slots": 2})).table(two_cameras())
    assert both.lift_weight[(0, *ahead, 1)].tolist() == [0.5, 0.5]
    alone = CameraSampling(config()).table(two_cameras(), present=["left"])
    assert not (alone.lift_index[alone.lift_weight > 0] // config().camera.rows_per_camera).any()


def test_four_taps_weigh_as_bilinear_interpolation():
    sizes = config(camera={**config().camera.model_dump(), "slots": 4, "taps": 4})
    table = CameraSampling(sizes).table(frame({"camera": image()}))
    weight = table.lift_weight.reshape(-1, 4)
    seen = weight.any(axis=1)
    assert np.allclose(weight[seen].sum(axis=1), 1, atol=1e-5) and (weight >= 0).all()
    # the weighted middle of the taps is the projected place, where it lies between middles of pixels
    rows, columns = sizes.camera.rows_shape
    index = table.lift_index.reshape(-1, 4)[seen]
    centre = np.stack([(index % columns * weight[seen]).sum(1), (index // columns * weight[seen]).sum(1)], 1)
    points = transform_points(inverse(BASE_FROM_CAMERA), cell_points(sizes).astype(float))[seen]
    wanted = (project(MODEL, points)[0] + 0.5) / 8 - 0.5
    inner = (wanted > 0).all(axis=1) & (wanted < [columns - 1, rows - 1]).all(axis=1)
    assert np.allclose(centre[inner], wanted[inner], atol=1e-3) and inner.sum() > 100


def test_coverage_falls_with_age_and_health():
    fresh = CameraSampling(config()).table(frame({"camera": image()})).coverage
    old = CameraSampling(config()).table(frame({"camera": image(0.2)}, speed=None)).coverage
    ahead = cell_of(20.5, 0.5)
    assert fresh[ahead] == 1 and old[ahead] == pytest.approx(0.5) and not fresh[cell_of(-2.5, 0.5)]
    half_blind = SensorHealth(np.array([1, 0, 1, 1], np.float32))  # from -90 to 0 degrees: the right
    blind = CameraSampling(config()).table(frame({"camera": image()}, health={"camera": half_blind})).coverage
    assert not blind[cell_of(20.5, -3.5)] and blind[cell_of(20.5, 3.5)] == 1


def test_a_changed_scene_changes_the_cells_and_not_the_pixels():
    # flipped: what was left is right, and looks up the same pixel
    plain = CameraSampling(config()).table(frame({"camera": image()}))
    flipped = CameraSampling(config()).table(frame({"camera": image()}), None, np.diag([1.0, -1, 1, 1]))
    assert np.array_equal(flipped.lift_index, plain.lift_index[:, :, ::-1])
    assert np.array_equal(flipped.lift_bin, plain.lift_bin[:, :, ::-1])


TURNING = EgoMotion(STAMP, np.array([20.0, 1.0, 0]), np.array([0.0, 0, 0.5]))


def rolling(row_time_us: float, ego: EgoMotion = TURNING, **changes: object):
    """A frame of a camera whose rows are read one after the other from a moving car."""
    shot = replace(image(0.02), row_time_ns=round(row_time_us * 1e3))
    return frame({"camera": shot}, ego=ego, **changes)


def pixels_of(given, model: CameraModel) -> np.ndarray:
    """Pixels (N, 2) of the cells as the lift table looks them up, NaN where the camera does not see them."""
    sizes = config()
    views = central_views(
        FixedPoints(cell_points(sizes)),
        [fitted_model(model, sizes.camera)],
        [camera_from_cells(given, "camera")],
        [shutter_of(given, "camera", sizes.camera)],
    )
    return np.where(views.inner >= 0, views.pixels[:, 0], np.nan)


@pytest.mark.parametrize("name", MODELS)
def test_each_row_is_seen_from_where_the_car_is_when_it_is_read(name):
    # the known answer: for each row its own camera by plain projection, and the cells that fall into it;
    # 1 ms from row to row of the 64, of which an image that is higher loses its top
    model, sizes = MODELS[name], config()
    height = round(model.height_px * 128 / model.width_px)
    given, small = rolling(1000 * height / model.height_px, model=model), fitted_model(model, sizes.camera)
    cells, wanted = cell_points(sizes).astype(float), np.full((2048, 2), np.nan)
    for row in range(small.height_px):
        seconds = -0.02 + (row + max(0, height - 64) - (height - 1) / 2) * 1e-3
        then_from_ref = inverse(exp_twist(TURNING.linear_velocity, TURNING.angular_velocity, seconds))
        pixels, inside = project(small, transform_points(inverse(BASE_FROM_CAMERA) @ then_from_ref, cells))
        here = inside & (np.abs(pixels[:, 1] - row) <= 0.5)
        wanted[here] = pixels[here]
    found, plain = pixels_of(given, model), pixels_of(rolling(0.0, model=model), model)
    off, without = (np.linalg.norm(each - wanted, axis=1) for each in (found, plain))
    assert np.isfinite(off).sum() > 200 and np.isnan(off[np.isfinite(wanted[:, 0])]).mean() < 0.03
    assert np.nanmedian(off) < 0.05 and np.nanpercentile(off, 95) < 0.4
    assert np.nanmedian(without) > 2.5 * np.nanmedian(off)
    assert np.nanpercentile(without, 95) > 2.5 * np.nanpercentile(off, 95)


def test_a_rolling_shutter_changes_nothing_for_a_car_that_stands_or_whose_motion_is_unknown():
    sizes = config()
    plain = CameraSampling(sizes).table(frame({"camera": image()}))
    shot = replace(image(), row_time_ns=100_000)
    for speed in (0.0, None):
        table = CameraSampling(sizes).table(frame({"camera": shot}, speed=speed))
        assert np.array_equal(table.lift_index, plain.lift_index)
        assert np.array_equal(table.lift_bin, plain.lift_bin)


def test_the_table_uses_the_rows_times():
    sizes = config()
    still, moved = (CameraSampling(sizes).table(rolling(us)) for us in (0.0, 1000.0))
    assert not np.array_equal(still.lift_index, moved.lift_index)


def test_what_stands_comes_towards_a_moving_camera():
    ahead = EgoMotion(STAMP, np.array([10.0, 0, 0]), np.zeros(3))
    shutter = shutter_of(rolling(1000.0, ahead), "camera", config().camera)
    assert shutter.row_s == pytest.approx(1e-3) and shutter.middle_row == 31.5
    assert shutter.longest_s == pytest.approx(0.0315)
    assert shutter.velocity @ [1.0, 2, 30, 1] == pytest.approx([0, 0, -10])


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_views_are_those_of_plain_projection_best_first(keep):
    # every kind of lens, turned evenly, and points whose number is no multiple of a run
    rng, models = np.random.default_rng(keep), list(MODELS.values())
    xyz = np.sort(rng.uniform((-30, -30, -1), (30, 30, 3), (1001, 3)), axis=0).astype(np.float32)
    turns = [from_rpy_deg((0, 0, 60 * k), (0, 0, 0)) @ BASE_FROM_CAMERA for k in range(2 * len(models))]
    matrices, models = np.array([inverse(turn) for turn in turns]), models * 2
    views = central_views(FixedPoints(xyz), models, matrices, [Shutter()] * len(models), keep)
    pixels, visible = project_many(xyz, models, matrices)
    sizes = np.array([(m.width_px, m.height_px) for m in models], np.float32)[:, None]
    inner = (np.minimum(pixels + 0.5, sizes - 0.5 - pixels) / sizes).min(axis=2)
    inner = np.where(visible, np.maximum(inner, 0), -1)
    order = np.argsort(-inner, axis=0, kind="stable")[:keep].T
    best = np.take_along_axis(inner, order.T, axis=0).T
    assert np.allclose(views.inner, best, atol=1e-6) and (best[:, 0] >= 0).sum() > 300
    seen = best >= 0
    sharp = seen & (np.abs(views.inner - best) < 1e-6)
    rows = np.arange(len(xyz))[:, None]
    agrees = views.camera == order
    assert agrees[sharp].mean() > 0.99
    where = np.broadcast_to(rows, order.shape)[seen & agrees]
    assert np.allclose(views.pixels[seen & agrees], pixels[order[seen & agrees], where], atol=1e-3)


def test_no_camera_has_no_views():
    views = central_views(FixedPoints(np.ones((5, 3), np.float32)), [], np.zeros((0, 4, 4)), [])
    assert (views.inner == -1).all()
    assert (
        len(central_views(FixedPoints(np.ones((0, 3), np.float32)), [], np.zeros((0, 4, 4)), []).inner) == 0
    )
