from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.geometry.ground import fit_ground, ground_height, segment_ground
from mm_fusion.geometry.transforms import from_rpy_deg, transform_points

HEIGHT_M = 1.8


def scan(beams_deg, slope=0.0, walls=(), cars=(), noise_m=0.01, seed=4):
    """Points (N, 3) in base axes and whether each is ground, of a spinning LiDAR over ground z = slope * x.

    walls: distances in y of walls along x. cars: (x, y) of boxes of 4.4 x 1.8 x 1.5 m.
    """
    rng = np.random.default_rng(seed)
    azimuth = np.radians(np.arange(0, 360, 0.4))
    down = np.tan(np.radians(beams_deg))
    a, t = (grid.ravel() for grid in np.meshgrid(azimuth, down))
    ux, uy = np.cos(a), np.sin(a)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = np.where(slope * ux - t > 0, HEIGHT_M / (slope * ux - t), np.inf)
        wall = np.min(
            [np.where(uy * y > 0, y / uy, np.inf) for y in walls] or [np.full(len(a), np.inf)], axis=0
        )
    reach = np.minimum(ground, wall)
    is_ground = ground <= wall
    for x, y in cars:
        hit = _box_distance(ux, uy, x, y)
        with np.errstate(invalid="ignore"):
            z = HEIGHT_M + t * hit - slope * ux * hit
        nearer = (hit < reach) & (z > 0) & (z < 1.5)
        reach, is_ground = np.where(nearer, hit, reach), is_ground & ~nearer
    seen = reach < 80
    ux, uy, t, reach = ux[seen], uy[seen], t[seen], reach[seen]
    points = np.column_stack([reach * ux, reach * uy, HEIGHT_M + t * reach])
    return points + rng.normal(0, noise_m, points.shape), is_ground[seen]


def _box_distance(ux, uy, x, y):
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.maximum(
            np.minimum((x - 2.2) / ux, (x + 2.2) / ux), np.minimum((y - 0.9) / uy, (y + 0.9) / uy)
        )
        last = np.minimum(
            np.maximum((x - 2.2) / ux, (x + 2.2) / ux), np.maximum((y - 0.9) / uy, (y + 0.9) / uy)
        )
    return np.where((first > 0) & (first <= last), first, np.inf)


BEAMS = {
    "VLP-16": np.arange(-15, 16, 2.0),
    "64 beams": np.linspace(-24.8, 2, 64),
    "128": np.linspace(-25, 15, 128),
}
CARS = ((12, 3), (20, -4), (-9, 2), (35, 2))
each_lidar = pytest.mark.parametrize("beams", BEAMS.values(), ids=BEAMS.keys())


def test_no_points():
    assert fit_ground(np.empty((0, 3))) is None
    is_ground, height = segment_ground(np.empty((0, 3), np.float32))
    assert is_ground.shape == height.shape == (0,) and height.dtype == np.float32


def test_a_wall_alone_is_no_ground():
    y, z = np.meshgrid(np.linspace(-20, 20, 200), np.linspace(0, 10, 50))
    assert fit_ground(np.column_stack([np.full(y.size, 8.0), y.ravel(), z.ravel()])) is None


@each_lidar
def test_a_tilted_mount_is_found(beams):
    points, _ = scan(beams, walls=(9, -14), cars=CARS)
    sensor_from_base = from_rpy_deg((2.0, -1.5, 0), (0, 0, -HEIGHT_M))
    plane = fit_ground(transform_points(sensor_from_base, points))
    assert plane is not None
    expected = sensor_from_base[:3, :3] @ (0, 0, 1)
    assert np.degrees(np.arccos(plane.normal @ expected)) < 0.15
    assert plane.height(sensor_from_base[:3, 3][None])[0] == pytest.approx(0, abs=0.03)
    assert plane.tilt_deg == pytest.approx(2.5, abs=0.15)


@settings(max_examples=15, deadline=None)
@given(st.floats(-4, 4), st.floats(-4, 4), st.integers(0, 5))
def test_a_plane_is_found_under_any_small_tilt(roll_deg, pitch_deg, seed):
    points, _ = scan(BEAMS["VLP-16"], walls=(7,), cars=CARS, noise_m=0.02, seed=seed)
    tilted = transform_points(from_rpy_deg((roll_deg, pitch_deg, 0)), points)
    plane = fit_ground(tilted)
    assert plane is not None
    assert np.degrees(np.arccos(plane.normal @ from_rpy_deg((roll_deg, pitch_deg, 0))[:3, 2])) < 0.3


@each_lidar
@pytest.mark.parametrize("slope", [0.0, 0.06, -0.06])
def test_ground_and_cars_are_told_apart(beams, slope):
    points, truth = scan(beams, slope, walls=(9, -14), cars=CARS)
    is_ground, height = segment_ground(points.astype(np.float32))
    assert is_ground[truth].mean() > 0.97
    above = points[:, 2] - slope * points[:, 0]
    assert is_ground[~truth & (above > 0.35)].mean() < 0.02
    assert np.median(np.abs(height[truth])) < 0.05


def test_points_that_are_not_finite_are_not_ground():
    points, _ = scan(BEAMS["VLP-16"])
    points[::7] = np.nan
    is_ground, height = segment_ground(points)
    assert not is_ground[::7].any() and np.isnan(height[::7]).all()
    assert is_ground[1::7].mean() > 0.97


def test_a_mirror_image_below_ground_does_not_pull_it_down():
    points, truth = scan(BEAMS["64 beams"])
    below = np.random.default_rng(0).uniform((5, -5, -4), (30, 5, -2), (60, 3))
    is_ground, _ = segment_ground(np.concatenate([points, below]))
    assert is_ground[: len(points)][truth].mean() > 0.97


def test_height_of_the_ground_at_a_place():
    points, _ = scan(BEAMS["64 beams"], slope=0.05)
    assert np.allclose(ground_height(points, [[0, 0], [15, 0], [-15, 3]]), [0, 0.75, -0.75], atol=0.1)


def test_the_same_cloud_gives_the_same_plane():
    points, _ = scan(BEAMS["VLP-16"], cars=CARS)
    first, second = fit_ground(points), fit_ground(points)
    assert first is not None and second is not None and np.array_equal(first.normal, second.normal)
