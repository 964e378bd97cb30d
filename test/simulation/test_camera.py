"""The simulated camera: who is on which pixel, light that weather changes, and shutters that roll."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mm_fusion.config import SensorConfig
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transforms import from_rpy_deg, inverse, transform_points
from mm_fusion.measurements import CameraModel
from mm_fusion.simulation.camera import CameraSimulator
from mm_fusion.simulation.lidar import LidarSimulator
from mm_fusion.simulation.radar import RadarSimulator

TIME_S = 2.0
WINDSCREEN = from_rpy_deg((-90, 0, -90), (1.7, 0, 1.5))
LENSES = ("none", "plumb_bob", "rational_polynomial", "equidistant")


@pytest.fixture(scope="module")
def seen(
    world_of: Callable, sensor_of: Callable[..., SensorConfig], lens_of: Callable[..., CameraModel]
) -> Callable:
    def image(
        weather: str = "clear",
        lens: str = "plumb_bob",
        seed: int = 0,
        time_s: float = TIME_S,
        row_us: float = 0,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        camera = CameraSimulator("front", sensor_of("camera", row_time_us=row_us), WINDSCREEN, lens_of(lens))
        return camera.image(world_of(weather), time_s, np.random.default_rng(seed))

    return image


def owners_at(
    model: CameraModel, instances: np.ndarray, base_from_sensor: np.ndarray, xyz: np.ndarray, margin: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each point in the image: the actors within `margin` px, as (N, (2 m + 1)^2), and which points."""
    camera_points = transform_points(inverse(WINDSCREEN) @ base_from_sensor, xyz.astype(np.float64))
    pixels, visible = project(model, camera_points)
    inside = np.flatnonzero(visible)
    columns, rows = np.round(pixels[inside]).astype(int).T
    padded = np.pad(instances, margin, constant_values=-1)
    around = [
        padded[rows + margin + i, columns + margin + j]
        for i in range(-margin, margin + 1)
        for j in range(-margin, margin + 1)
    ]
    return np.stack(around, axis=1), inside


def test_the_same_seed_gives_the_same_image(seen: Callable) -> None:
    one, same, other = seen(seed=1)[0], seen(seed=1)[0], seen(seed=2)[0]
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize("lens", LENSES)
def test_shapes_and_types_of_every_lens(seen: Callable, lens: str) -> None:
    pixels, instances, depth = seen(lens=lens)
    assert pixels.shape == (198, 352, 3) and pixels.dtype == np.uint8
    assert instances.shape == depth.shape == (198, 352)
    assert instances.dtype == np.int16 and depth.dtype == np.float32
    assert np.isinf(depth).any() and (depth < 20).any()
    assert np.isfinite(depth[instances >= 0]).all()


@pytest.mark.parametrize("lens", LENSES)
def test_lidar_points_of_an_object_fall_on_its_pixels(
    seen: Callable,
    world_of: Callable,
    sensor_of: Callable[..., SensorConfig],
    lens_of: Callable[..., CameraModel],
    lens: str,
) -> None:
    # From the camera's own place and at its own moment, nothing hides one from the other.
    base_from_lidar = WINDSCREEN @ from_rpy_deg((0, 0, 0)) @ inverse(from_rpy_deg((-90, 0, -90)))
    lidar = LidarSimulator("l", sensor_of("lidar", unit="beams128", duration_ms=2), base_from_lidar)
    hits, pixels_total = 0, 0
    for time_s in (2.0, 8.0, 14.0):
        sweep, actor = lidar.sweep(world_of(), time_s, 0, "l", np.random.default_rng(0))
        mine = np.flatnonzero(actor >= 0)
        around, inside = owners_at(
            lens_of(lens), seen(lens=lens, time_s=time_s)[1], base_from_lidar, sweep.xyz[mine], 1
        )
        hits += int((around == actor[mine][inside][:, None]).any(axis=1).sum())
        pixels_total += len(inside)
    assert pixels_total > 20
    assert hits > 0.97 * pixels_total


@pytest.mark.parametrize("lens", LENSES)
def test_radar_returns_of_an_object_fall_near_its_pixels(
    seen: Callable,
    world_of: Callable,
    sensor_of: Callable[..., SensorConfig],
    lens_of: Callable[..., CameraModel],
    lens: str,
) -> None:
    base_from_radar = from_rpy_deg((0, 0, 0), (3.6, 0, 0.6))
    radar = RadarSimulator("r", sensor_of("radar", unit="ars548"), base_from_radar)
    hits, total = 0, 0
    for time_s in (2.0, 8.0, 14.0):
        scan, actor = radar.scan(world_of(), time_s, 0, "r", np.random.default_rng(0))
        mine = np.flatnonzero((actor >= 0) & (np.linalg.norm(scan.xyz, axis=1) < 40))
        instances = seen(lens=lens, time_s=time_s)[1]
        near = np.isin(actor[mine], np.unique(instances))
        around, inside = owners_at(lens_of(lens), instances, base_from_radar, scan.xyz[mine[near]], 9)
        hits += int((around == actor[mine][near][inside][:, None]).any(axis=1).sum())
        total += len(inside)
    assert total > 20
    assert hits > 0.9 * total


def test_depth_is_the_distance_of_what_a_ray_meets(
    seen: Callable, world_of: Callable, lens_of: Callable[..., CameraModel]
) -> None:
    _, instances, depth = seen()
    world, model = world_of(), lens_of()
    centres = world.boxes(TIME_S)[:, :3]
    pixels, visible = project(model, transform_points(inverse(WINDSCREEN), centres))
    reach = np.linalg.norm(world.sizes, axis=1) / 2
    checked = 0
    for index in np.flatnonzero(visible):
        column, row = np.round(pixels[index]).astype(int)
        if instances[row, column] == index:
            away = np.linalg.norm(centres[index] - WINDSCREEN[:3, 3])
            assert abs(depth[row, column] - away) < reach[index]
            checked += 1
    assert checked >= 1


def test_fog_takes_contrast_from_far_things_and_changes_no_geometry(seen: Callable) -> None:
    (clear, instances, depth), (fog, fog_instances, fog_depth) = seen("clear"), seen("fog")
    assert np.array_equal(instances, fog_instances) and np.array_equal(depth, fog_depth)
    far = (depth > 60) & np.isfinite(depth)
    assert fog[far].std() < 0.5 * clear[far].std()


def test_night_is_dark_but_for_what_lamps_reach(seen: Callable) -> None:
    clear, (night, _, depth) = seen("clear")[0], seen("night")
    assert night.mean() < 0.6 * clear.mean()
    road = depth[150:]
    near = (road > 4) & (road < 12)
    assert night[150:][near].mean() > 2 * night[:60].mean()


def test_rain_stays_on_the_glass_from_image_to_image(seen: Callable) -> None:
    one, later = seen("rain", time_s=2.0)[0].astype(int), seen("rain", time_s=2.02)[0].astype(int)
    clear = seen("clear")[0].astype(int)
    assert np.abs(one - later).mean() < 0.3 * np.abs(one - clear).mean()


def test_without_sun_there_are_no_shadows_and_with_it_there_are(seen: Callable, world_of: Callable) -> None:
    assert world_of("clear").weather.sun is not None and world_of("fog").weather.sun is None
    assert seen("clear")[0].std() > 1.3 * seen("fog")[0].std()


def test_a_rolling_shutter_sees_each_row_at_its_own_time(seen: Callable) -> None:
    still, rolled = seen()[2], seen(row_us=200)[2]
    errors = []
    for row in (60, 80, 120, 140):
        own = seen(time_s=TIME_S + (row - 98.5) * 200e-6)[2][row]
        there = np.isfinite(own) & np.isfinite(still[row]) & np.isfinite(rolled[row])
        own, as_rolled, as_still = (np.where(there, depth, 0) for depth in (own, rolled[row], still[row]))
        by_own, by_middle = np.abs(own - as_rolled), np.abs(own - as_still)
        moved = there & (by_middle > 0.02)
        errors.append(np.column_stack([by_own, by_middle])[moved])
    by_own, by_middle = np.abs(np.concatenate(errors)).T
    assert len(by_own) > 20
    assert np.median(by_own) < 0.3 * np.median(by_middle)


def test_a_pixel_that_no_ray_reaches_is_black(
    world_of: Callable, sensor_of: Callable[..., SensorConfig]
) -> None:
    matrix = np.array([[60.0, 0, 80], [0, 60, 60], [0, 0, 1]])
    folding = CameraModel(matrix, np.array([-0.4, 0.0, 0, 0]), "plumb_bob", 160, 120)
    camera = CameraSimulator("front", sensor_of("camera"), WINDSCREEN, folding)
    pixels, instances, depth = camera.image(world_of(), TIME_S, np.random.default_rng(0))
    assert pixels[0, 0].max() == 0 and instances[0, 0] == -1 and np.isinf(depth[0, 0])
    assert pixels[60, 80].max() > 0
