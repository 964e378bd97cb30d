"""What a laser pulse meets before it meets a surface: fog, rain drops, and spray behind cars on wet roads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.weather import Weather
from mm_fusion.simulation.world import World

CLEAR_VISIBILITY = 2e4
BLIND_ZONE = 1.5
"""Transmitter's and receiver's fields overlap from here on: nothing nearer scatters into the receiver, m."""
FOG_SHARE, FOG_SCALE = 0.9, 0.12
RAIN_EXTINCTION = 0.0012
RAIN_SHARE = 6e-4
"""Share of shots per mm/h that a drop answers."""
SPRAY_SPEED = 5.0
SPRAY_PER_METRE = 0.035
SPRAYING = ("car", "truck", "bus", "trailer", "motorcycle")


@dataclass(frozen=True, slots=True)
class Air:
    """The air as a laser sees it. extinction: 1/m. drops: share of shots answered by a rain drop."""

    extinction: float
    drops: float


def air_of(weather: Weather) -> Air:
    """Extinction by Koschmieder's law (5 % contrast at the visibility); in rain by its rate.

    Rain: 1 dB/km for each mm/h to the power 0.6 or so, as measured at 905 nm by several groups.
    """
    rain = weather.rain_mm_h
    foggy = rain == 0 and weather.visibility_m < CLEAR_VISIBILITY
    fog = 3.0 / weather.visibility_m if foggy else 0.0
    return Air(fog + RAIN_EXTINCTION * rain**0.6, RAIN_SHARE * rain)


def soft_returns(air: Air, reach: Float64, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Range (N,), inf for none, and brightness (N,) of echoes from the air itself.

    A fog echo is as likely as fog is thick and comes from the first metres, where the way out and back is
    still open (density of exp(-2 a r) / r^2 behind the blind zone). reach: (N,) m, what else is detected.
    """
    count = len(reach)
    chance = FOG_SHARE * (1 - np.exp(-((air.extinction / FOG_SCALE) ** 1.5))) + air.drops
    is_echo = rng.random(count) < chance
    near = BLIND_ZONE / (1 - rng.random(count) * 0.93)
    thinned = near * np.exp(-2 * air.extinction * (near - BLIND_ZONE) * rng.random(count))
    drops = rng.uniform(BLIND_ZONE, 22.0, count)
    by_drop = rng.random(count) < air.drops / max(chance, 1e-12)
    distance = np.where(by_drop, drops, np.maximum(thinned, BLIND_ZONE))
    distance = np.where(is_echo & (distance < reach), distance, np.inf)
    return distance, rng.gamma(2.0, 0.006, count)


def spray_returns(
    world: World, time_s: float, origins: Float32, rays: Float32, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Range (N,), inf for none, and brightness (N,) of echoes from water thrown up behind moving vehicles."""
    count = len(rays)
    if world.weather.rain_mm_h <= 0:
        return np.full(count, np.inf), np.zeros(count)
    clouds = _clouds(world, time_s)
    enter, inside = _through_clouds(origins.astype(np.float64), rays.astype(np.float64), clouds)
    density = SPRAY_PER_METRE * min(1.0, world.weather.rain_mm_h / 10)
    way = rng.exponential(1 / density, count)
    distance = np.where(way < inside, enter + way, np.inf)
    return distance, rng.gamma(2.0, 0.006, count)


def _clouds(world: World, time_s: float) -> Float64:
    """(M, 15): world_from_cloud's rotation by rows, centre and half size of the box behind each vehicle."""
    rows = []
    poses, speeds = world.actor_poses(time_s), np.linalg.norm(world.actor_velocities(time_s), axis=1)
    for actor, pose, speed in zip(world.actors, poses, speeds):
        if speed > SPRAY_SPEED and actor.class_name in SPRAYING:
            length, width, height = actor.size
            behind = min(0.5 * speed, 10.0)
            centre = pose[:3, :3] @ (-length / 2 - behind / 2, 0, 0.35 * height) + pose[:3, 3]
            half = (behind / 2, 0.55 * width, 0.35 * height)
            rows.append(np.concatenate([pose[:3, :3].ravel(), centre, half]))
    return np.array(rows, np.float64).reshape(-1, 15)


@njit(cache=True, nogil=True)
def _through_clouds(origins: Float64, rays: Float64, clouds: Float64) -> tuple[Float64, Float64]:
    # Where each ray enters the first box and how long it stays, by slabs in the box's axes.
    count = len(rays)
    enter, inside = np.full(count, np.inf), np.zeros(count)
    for i in range(count):
        for c in range(len(clouds)):
            low, high = 0.0, np.inf
            for axis in range(3):
                start = 0.0
                slope = 0.0
                for k in range(3):
                    start += clouds[c, 3 * k + axis] * (origins[i, k] - clouds[c, 9 + k])
                    slope += clouds[c, 3 * k + axis] * rays[i, k]
                half = clouds[c, 12 + axis]
                if abs(slope) < 1e-9:
                    if abs(start) > half:
                        high = -1.0
                    continue
                one, other = (-half - start) / slope, (half - start) / slope
                low, high = max(low, min(one, other)), min(high, max(one, other))
            if high > low and low < enter[i]:
                enter[i], inside[i] = low, high - low
    return enter, inside
