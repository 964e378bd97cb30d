"""The simulated radar: Doppler over ground, cells, ambiguity, ghosts and what weather leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mm_fusion.config import SensorConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.motion import ground_radial_velocity
from mm_fusion.geometry.transforms import from_rpy_deg, transform_points
from mm_fusion.measurements import EgoMotion, RadarScan
from mm_fusion.simulation.radar import RadarSimulator
from mm_fusion.simulation.radar_paths import GHOST, View, _aims, _field_rays, _mirrored, _mirrors
from mm_fusion.simulation.radar_units import RADAR_UNITS, radar_unit
from mm_fusion.simulation.scene import Scene
from mm_fusion.simulation.sensor_motion import sensor_velocity

TIME_S = 2.0
BUMPER = from_rpy_deg((0, 0, 10), (3.6, 0.2, 0.55))
Scan = tuple[RadarScan, np.ndarray]


@pytest.fixture(scope="module")
def scanned(world_of: Callable, sensor_of: Callable[..., SensorConfig]) -> Callable[..., Scan]:
    def scan(
        unit: str = "ars548", weather: str = "clear", seed: int = 0, time_s: float = TIME_S, **settings: float
    ) -> Scan:
        radar = RadarSimulator("bumper", sensor_of("radar", unit=unit, **settings), BUMPER)
        return radar.scan(world_of(weather), time_s, 5, "bumper", np.random.default_rng(seed))

    return scan


def over_ground(world_of: Callable, scan: RadarScan, time_s: float = TIME_S) -> np.ndarray:
    linear, angular = world_of().twist(time_s)
    ego = EgoMotion(0, linear, angular)
    return ground_radial_velocity(scan.xyz, scan.radial_velocity, BUMPER, ego, scan.ambiguity_mps)


def test_an_unknown_unit_names_sensor_and_choices(sensor_of: Callable[..., SensorConfig]) -> None:
    with pytest.raises(ConfigurationError, match=r"sensors\.bumper: .*None.*ars408, astyx"):
        RadarSimulator("bumper", sensor_of("radar"), BUMPER)


def test_the_same_seed_gives_the_same_scan(scanned: Callable[..., Scan]) -> None:
    (one, owner), (same, same_owner), (other, _) = scanned(seed=1), scanned(seed=1), scanned(seed=2)
    assert one.xyz.tobytes() == same.xyz.tobytes()
    assert one.radial_velocity.tobytes() == same.radial_velocity.tobytes()
    assert np.array_equal(owner, same_owner)
    assert one.xyz.tobytes() != other.xyz.tobytes()


@pytest.mark.parametrize("unit", RADAR_UNITS)
def test_standing_things_have_no_velocity_over_ground(
    scanned: Callable[..., Scan], world_of: Callable, unit: str
) -> None:
    velocity = [
        over_ground(world_of, scan, time_s)[owner == -1]
        for time_s in (1.0, 2.0, 3.0)
        for scan, owner in [scanned(unit, time_s=time_s)]
    ]
    still = np.concatenate(velocity)
    assert len(still) > 50
    assert abs(float(np.mean(still))) < 0.05
    # Errors of bearing turn into errors of velocity; the rest is the unit's own.
    assert float(np.median(np.abs(still))) < 0.15


def test_cars_have_their_own_velocity_along_the_ray(scanned: Callable[..., Scan], world_of: Callable) -> None:
    world, errors = world_of(), []
    for time_s in np.arange(1.0, 22.0, 3.0):
        scan, owner = scanned("ars548", time_s=time_s)
        rays = transform_points(BUMPER, scan.xyz) - BUMPER[:3, 3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        velocity = over_ground(world_of, scan, time_s)
        in_base = world.actor_velocities(time_s) @ world.world_from_base(time_s)[:3, :3]
        for index in np.unique(owner[owner >= 0]):
            mine = owner == index
            if np.linalg.norm(in_base[index]) > 3 and mine.sum() > 4:
                errors.append(np.median(velocity[mine] - rays[mine] @ in_base[index]))
    assert len(errors) > 3
    assert np.median(np.abs(errors)) < 0.15
    assert abs(np.median(errors)) < 0.1


def test_returns_of_actors_lie_at_their_boxes(scanned: Callable[..., Scan], world_of: Callable) -> None:
    scan, owner = scanned("ars548")
    boxes = world_of().boxes(TIME_S)
    base = transform_points(BUMPER, scan.xyz)
    mine = np.flatnonzero(owner >= 0)
    reach = np.hypot(boxes[owner[mine], 3], boxes[owner[mine], 4]) / 2 + 2.5
    away = np.hypot(*(base[mine, :2] - boxes[owner[mine], :2]).T)
    assert len(mine) > 20
    assert np.mean(away < reach) > 0.95


def test_wrapped_doppler_is_on_its_grid_within_the_interval(scanned: Callable[..., Scan]) -> None:
    scan, _ = scanned("astyx", ambiguity_mps=10.4)
    assert scan.ambiguity_mps == 10.4
    assert scan.radial_velocity.min() >= -5.2 and scan.radial_velocity.max() < 5.2
    bins = scan.radial_velocity / (10.4 / 128)
    assert np.abs(bins - np.round(bins)).max() < 1e-3
    assert len(np.unique(np.round(bins))) > 40


def test_an_astyx_scan_has_the_numbers_of_the_real_one(scanned: Callable[..., Scan]) -> None:
    scans = [scanned("astyx", time_s=time_s)[0] for time_s in (1.0, 2.0, 3.0)]
    assert all(1000 <= len(scan.xyz) <= 4300 for scan in scans)
    strength = np.concatenate([scan.strength_db for scan in scans])
    assert strength.min() == pytest.approx(45.5)
    steps = strength / 0.5
    assert np.array_equal(steps, np.round(steps))
    by_range = [scan.strength_db[np.linalg.norm(scan.xyz, axis=1) > 40].min() for scan in scans]
    assert min(by_range) == pytest.approx(45.5, abs=0.5), "the floor is the same far out"


def test_elevation_of_the_astyx_unit_scatters_by_three_to_four_degrees(
    sensor_of: Callable[..., SensorConfig],
) -> None:
    unit = radar_unit("astyx")
    assert unit.elevation_sigma_deg is not None
    both = (1 - unit.wild_share) * unit.elevation_sigma_deg**2 + unit.wild_share * unit.wild_sigma_deg**2
    assert 3 < np.sqrt(both) < 4


def test_a_flat_unit_knows_no_height_and_keeps_its_most(scanned: Callable[..., Scan]) -> None:
    scan, _ = scanned("ars408")
    assert np.abs(scan.xyz[:, 2]).max() == 0
    assert len(scan.xyz) <= 125
    assert scan.strength_kind == "rcs"


@pytest.mark.parametrize("unit", RADAR_UNITS)
def test_returns_lie_in_the_field_of_view(scanned: Callable[..., Scan], unit: str) -> None:
    scan, _ = scanned(unit)
    limits = radar_unit(unit)
    azimuth = np.degrees(np.arctan2(scan.xyz[:, 1], scan.xyz[:, 0]))
    assert np.abs(azimuth).max() < limits.azimuth_deg + 5 * limits.azimuth_sigma_deg
    assert np.linalg.norm(scan.xyz, axis=1).max() < limits.reach + 1


def test_cells_that_are_not_resolved_give_one_return(scanned: Callable[..., Scan]) -> None:
    scan, owner = scanned("ars408")
    real = owner != GHOST
    assert len(np.unique(np.round(scan.xyz[real], 3), axis=0)) > 0.9 * real.sum()


def test_guard_rails_mirror_traffic(world_of: Callable, sensor_of: Callable[..., SensorConfig]) -> None:
    radar = RadarSimulator("bumper", sensor_of("radar", unit="ars548"), BUMPER)
    radar.unit = replace(radar.unit, false_alarms=0.0, interference_chance=0.0)
    ghosts = [
        (radar.scan(world_of(scenario="highway"), t, 5, "bumper", np.random.default_rng(0))[1] == GHOST).sum()
        for t in np.arange(1.0, 16.0, 2.0)
    ]
    assert sum(ghosts) > 10


def test_mirror_images_move_as_mirrored_cars_do(world_of: Callable) -> None:
    world, unit = world_of(scenario="highway"), radar_unit("ars548")
    checked = 0
    for time_s in (1.0, 2.0, 3.0):
        pose = world.world_from_base(time_s) @ BUMPER
        view = View(world, Scene(world, time_s), time_s, pose, sensor_velocity(world, BUMPER, time_s), unit)
        rng = np.random.default_rng(0)
        rays, _ = _field_rays(view, rng)
        aims = _aims(view, rng)
        for mirror in _mirrors(view.scene.cast(view.origin, rays)):
            image = _mirrored(view, mirror, aims, rng)
            turned = world.actor_velocities(time_s) @ (np.eye(3) - 2 * np.outer(mirror[:3], mirror[:3]))
            over_ground = image.velocity + image.ray @ view.velocity
            expected = image.ray @ turned.T
            nearest = np.abs(over_ground[:, None] - expected).min(axis=1, initial=np.inf)
            assert (nearest > 0.3).sum() <= 0.2 * len(nearest)
            checked += len(nearest)
    assert checked > 50


def test_wheels_and_limbs_spread_the_doppler_of_what_moves(
    scanned: Callable[..., Scan], world_of: Callable
) -> None:
    world = world_of()
    spread: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for time_s in np.arange(1.0, 22.0, 3.0):
        scan, owner = scanned("ars548", time_s=time_s)
        rays = transform_points(BUMPER, scan.xyz) - BUMPER[:3, 3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        in_base = world.actor_velocities(time_s) @ world.world_from_base(time_s)[:3, :3]
        error = over_ground(world_of, scan, time_s) - (rays * in_base[owner]).sum(1)
        for moves in (True, False):
            mine = (owner >= 0) & ((np.linalg.norm(in_base[owner], axis=1) > 1) == moves)
            spread[moves].append(error[mine])
    moving, still = (np.abs(np.concatenate(spread[moves])) for moves in (True, False))
    assert np.mean(moving > 0.5) > 0.03
    assert np.mean(still > 0.5) < 0.01


def test_interference_is_a_burst_in_one_direction(
    world_of: Callable, sensor_of: Callable[..., SensorConfig]
) -> None:
    radar = RadarSimulator("bumper", sensor_of("radar", unit="astyx"), BUMPER)
    radar.unit = replace(radar.unit, false_alarms=0.0, interference_chance=0.0)
    quiet, quiet_owner = radar.scan(world_of(), TIME_S, 5, "bumper", np.random.default_rng(0))
    radar.unit = replace(radar.unit, interference_chance=1.0)
    loud, loud_owner = radar.scan(world_of(), TIME_S, 5, "bumper", np.random.default_rng(0))
    ghosts = loud.xyz[loud_owner == GHOST]
    assert len(ghosts) > (quiet_owner == GHOST).sum() + 15
    azimuth = np.degrees(np.arctan2(ghosts[:, 1], ghosts[:, 0]))
    assert np.mean(np.abs(azimuth - np.median(azimuth)) < 20) > 0.6
    assert abs(int((loud_owner >= 0).sum()) - int((quiet_owner >= 0).sum())) < 0.2 * len(quiet.xyz)


@pytest.mark.parametrize("weather", ["fog", "night"])
def test_fog_and_night_change_nothing_for_a_radar(scanned: Callable[..., Scan], weather: str) -> None:
    clear, other = scanned(weather="clear")[0], scanned(weather=weather)[0]
    assert abs(len(other.xyz) / len(clear.xyz) - 1) < 0.1
    assert abs(float(np.median(other.strength_db)) - float(np.median(clear.strength_db))) < 3
