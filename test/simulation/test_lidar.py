"""The simulated LiDAR: points lie where things are, at their own time, and weather does its own part only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mm_fusion.config import SensorConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.boxes import points_in_boxes
from mm_fusion.geometry.motion import deskew
from mm_fusion.geometry.transforms import from_rpy_deg, transform_points
from mm_fusion.measurements import EgoMotion, LidarSweep
from mm_fusion.simulation.beam_tables import LIDAR_UNITS
from mm_fusion.simulation.lidar import AIR, LidarSimulator

TIME_S = 2.0
ROOF = from_rpy_deg((0, 0, -90), (0.9, 0, 1.8))
Sweep = tuple[LidarSweep, np.ndarray]


@pytest.fixture(scope="module")
def swept(world_of: Callable, sensor_of: Callable[..., SensorConfig]) -> Callable[..., Sweep]:
    def sweep(weather: str = "clear", unit: str = "hdl32", seed: int = 0) -> Sweep:
        lidar = LidarSimulator("roof", sensor_of("lidar", unit=unit, duration_ms=100), ROOF)
        return lidar.sweep(world_of(weather), TIME_S, 77, "roof", np.random.default_rng(seed))

    return sweep


def test_an_unknown_unit_names_sensor_and_choices(sensor_of: Callable[..., SensorConfig]) -> None:
    with pytest.raises(ConfigurationError, match=r"sensors\.roof: .*'vlp99'.*solid_state"):
        LidarSimulator("roof", sensor_of("lidar", unit="vlp99"), ROOF)


@pytest.mark.parametrize("unit", LIDAR_UNITS)
def test_every_unit_sees_ground_and_traffic(swept: Callable[..., Sweep], unit: str) -> None:
    sweep, actor = swept(unit=unit)
    beams = {"vlp16": 16, "hdl32": 32, "hdl64": 64, "beams128": 128, "solid_state": 80}[unit]
    assert sweep.stamp_ns == 77 and sweep.frame_id == "roof"
    assert len(actor) == len(sweep.xyz) > 5000
    assert (actor >= 0).sum() > 50
    assert sweep.ring is not None and set(np.unique(sweep.ring)) <= set(range(beams))
    assert np.abs(sweep.time_offset_ns).max() <= 50_000_000


def test_the_same_seed_gives_the_same_sweep_and_another_another(swept: Callable[..., Sweep]) -> None:
    (one, owner), (same, same_owner), (other, _) = swept(seed=1), swept(seed=1), swept(seed=2)
    assert one.xyz.tobytes() == same.xyz.tobytes() and one.intensity.tobytes() == same.intensity.tobytes()
    assert np.array_equal(owner, same_owner)
    assert one.xyz.tobytes() != other.xyz.tobytes()


def test_deskewed_points_lie_on_their_objects(swept: Callable[..., Sweep], world_of: Callable) -> None:
    world = world_of()
    sweep, actor = swept()
    linear, angular = world.twist(TIME_S)
    xyz = transform_points(ROOF, sweep.xyz).astype(np.float32)
    there = deskew(xyz, sweep.time_offset_ns, EgoMotion(0, linear, angular))
    slow = np.array([np.linalg.norm(world.actor_velocity(i, TIME_S)) < 3 for i in range(len(world.actors))])
    chosen = (actor >= 0) & slow[actor]
    boxes = world.boxes(TIME_S).copy()
    boxes[:, 3:6] += 0.4
    assert chosen.sum() > 100
    inside = np.array(
        [points_in_boxes(there[[i]], boxes[[actor[i]]])[0] == 0 for i in np.flatnonzero(chosen)]
    )
    assert inside.mean() > 0.97


def test_points_of_one_beam_come_at_the_time_of_their_azimuth(swept: Callable[..., Sweep]) -> None:
    sweep, _ = swept()
    azimuth = np.arctan2(sweep.xyz[:, 1], sweep.xyz[:, 0])
    expected = (np.pi - azimuth) / (2 * np.pi) * 0.1 - 0.05
    far = np.hypot(sweep.xyz[:, 0], sweep.xyz[:, 1]) > 3
    assert np.abs(sweep.time_offset_ns[far] * 1e-9 - expected[far]).max() < 2e-4


def test_range_noise_is_that_of_the_unit(swept: Callable[..., Sweep]) -> None:
    one, other = swept(seed=3)[0], swept(seed=4)[0]
    shots = [{(int(r), int(t)): p for r, t, p in zip(s.ring, s.time_offset_ns, s.xyz)} for s in (one, other)]
    both = sorted(set(shots[0]) & set(shots[1]))
    gaps = [np.linalg.norm(shots[0][key]) - np.linalg.norm(shots[1][key]) for key in both]
    spread = 1.4826 * np.median(np.abs(gaps)) / np.sqrt(2)
    assert 0.015 < spread < 0.03


def test_clear_air_returns_nothing_but_crosstalk(swept: Callable[..., Sweep]) -> None:
    _, actor = swept()
    assert (actor == AIR).sum() < 20


def test_fog_takes_far_points_and_gives_near_ones(swept: Callable[..., Sweep]) -> None:
    clear, (fog, fog_owner) = swept("clear")[0], swept("fog")
    from_air = fog_owner == AIR
    assert from_air.sum() > 300
    assert np.median(np.linalg.norm(fog.xyz[from_air], axis=1)) < 10
    far_clear = (np.linalg.norm(clear.xyz, axis=1) > 40).sum()
    far_fog = (np.linalg.norm(fog.xyz[~from_air], axis=1) > 40).sum()
    assert far_fog < 0.6 * far_clear


def test_rain_gives_drops_and_spray_behind_moving_cars_only(swept: Callable[..., Sweep]) -> None:
    sweep, actor = swept("rain")
    assert 10 < (actor == AIR).sum() < 0.2 * len(actor)
    assert np.median(sweep.intensity[actor == AIR]) < np.median(sweep.intensity[actor != AIR])


def test_night_changes_nothing_for_a_laser(swept: Callable[..., Sweep]) -> None:
    clear, night = swept("clear")[0], swept("night")[0]
    assert abs(len(night.xyz) / len(clear.xyz) - 1) < 0.02
