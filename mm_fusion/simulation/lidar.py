"""What a LiDAR measures in the world: one rolling scan with noise, drop-out, edges and weather."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import Float32, Float64, LidarSweep
from mm_fusion.simulation.beam_tables import LidarUnit, Shots, lidar_unit, shots_of
from mm_fusion.simulation.lidar_weather import air_of, soft_returns, spray_returns
from mm_fusion.simulation.scene import Hits, Scene
from mm_fusion.simulation.sensor_motion import sensor_poses
from mm_fusion.simulation.world import World

DEFAULT_DURATION_S = 0.1
SLICES = 4
"""In how many pieces a scan is cast: in between others' motion along the ray is added, across it not."""
GRID = 256.0
"""Coordinates are multiples of 1/256 m, as of a unit that counts them; recordings compress better."""
AIR = -2
"""Owner of a point that no surface made: fog, rain, spray, crosstalk."""
DETECTION_SLOPE = 1.6
SPECKLE = 0.35
"""Spread (log) of a surface's reflectivity from shot to shot."""
CROSSTALK_SHARE = 1e-5
MIXING_DEPTH = 1.2
"""Edges deeper than this give two echoes that the unit tells apart; nearer ones a point in between, m."""
DEAD_SHOTS = 0.004
SMOOTH_POWER, SMOOTH_DIFFUSE = 60, 0.12
"""Paint and glass throw most light where a mirror would: what comes back is little, or a flash."""
DIFFUSE_COUNT = 100 / 255
"""Intensity of a white wall; what lies above is for retroreflectors, as in Velodyne's calibration."""
RETRO = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class _Echo:
    """The strongest echo of each shot, (N,) in firing order.

    brightness: the reflectivity seen, 0..1 and above for retroreflectors. owner: actor, -1 static, -2 air.
    """

    distance: Float32
    brightness: Float32
    owner: NDArray[np.int32]


class LidarSimulator:
    """One LiDAR of a vehicle file. Raises `ConfigurationError` for a unit that has no beam table."""

    def __init__(self, name: str, sensor: SensorConfig, base_from_lidar: Float64) -> None:
        try:
            self.unit: LidarUnit = lidar_unit(sensor.unit)
        except ConfigurationError as error:
            raise ConfigurationError(f"sensors.{name}: {error}") from None
        self.duration_s = sensor.duration_ms / 1e3 or DEFAULT_DURATION_S
        self._shots: Shots = shots_of(self.unit, self.duration_s)
        self._base_from_lidar = base_from_lidar

    def sweep(
        self, world: World, t_mid_s: float, stamp_ns: int, frame_id: str, rng: np.random.Generator
    ) -> tuple[LidarSweep, NDArray[np.int32]]:
        """One scan around `t_mid_s`, and the actor of each point: -1 what stands, -2 no surface at all.

        Each point is where its own shot saw it from the sensor at that moment: nothing is deskewed.
        """
        origins, rays = self._world_rays(world, t_mid_s)
        echo = self._surface_echo(world, t_mid_s, origins, rays, rng)
        echo = self._mixed_at_edges(echo, rng)
        seen = self._detected(world, echo, rng)
        echo, seen = self._through_air(world, t_mid_s, echo, seen, origins, rays, rng)
        return self._sweep_of(echo, seen, stamp_ns, frame_id, rng)

    def _world_rays(self, world: World, t_mid_s: float) -> tuple[Float32, Float32]:
        columns, beams = self._shots.time_s.shape
        rotations, positions = sensor_poses(world, self._base_from_lidar, t_mid_s + self._shots.time_s[:, 0])
        rays = self._shots.direction @ rotations.transpose(0, 2, 1).astype(np.float32)
        origins = np.repeat(positions.astype(np.float32), beams, axis=0)
        return origins, rays.reshape(columns * beams, 3)

    def _surface_echo(
        self, world: World, t_mid_s: float, origins: Float32, rays: Float32, rng: np.random.Generator
    ) -> _Echo:
        offsets = self._shots.time_s.ravel()
        parts = []
        for part in np.array_split(np.arange(len(rays)), SLICES):
            moment = float(offsets[part].mean())
            hits = Scene(world, t_mid_s + moment).cast(origins[part], rays[part])
            late = (offsets[part] - moment).astype(np.float32)
            along = (hits.velocity * rays[part]).sum(1) * late
            parts.append((hits.distance + along, _brightness(hits, rays[part]), hits.actor))
        distance, brightness, owner = (np.concatenate(column) for column in zip(*parts))
        speckle = np.exp(rng.normal(-(SPECKLE**2) / 2, SPECKLE, len(rays))).astype(np.float32)
        return _Echo(distance, brightness * speckle, owner.astype(np.int32))

    def _mixed_at_edges(self, echo: _Echo, rng: np.random.Generator) -> _Echo:
        """A beam that an edge cuts: two surfaces close together give a point somewhere between them."""
        beams = self._shots.time_s.shape[1]
        beside = np.roll(echo.distance, -beams)
        step = np.radians(self.unit.width_deg) / len(self._shots.time_s)
        cut = rng.random(len(beside)) < min(0.5, self.unit.divergence / step / 2)
        both = np.isfinite(beside) & np.isfinite(echo.distance)
        gap = np.subtract(beside, echo.distance, out=np.zeros_like(beside), where=both)
        between = cut & (np.abs(gap) > 0.1) & (np.abs(gap) < MIXING_DEPTH)
        share = rng.random(len(beside)).astype(np.float32)
        mixed = echo.distance + np.where(between, share * gap, 0)
        return _Echo(mixed.astype(np.float32), echo.brightness, echo.owner)

    def _detected(self, world: World, echo: _Echo, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which echoes are above the threshold: the LiDAR equation for surfaces wider than the beam."""
        unit, distance = self.unit, np.where(np.isfinite(echo.distance), echo.distance, 1e6)
        way = np.exp(-2 * air_of(world.weather).extinction * distance)
        power = echo.brightness / unit.reach_reflectivity * (unit.reach / distance) ** 2 * way
        level = np.exp(rng.logistic(0, 1 / DETECTION_SLOPE, len(distance)))
        return (power > level) & (distance < unit.max_range) & (rng.random(len(distance)) > DEAD_SHOTS)

    def _through_air(
        self,
        world: World,
        t_mid_s: float,
        echo: _Echo,
        seen: NDArray[np.bool_],
        origins: Float32,
        rays: Float32,
        rng: np.random.Generator,
    ) -> tuple[_Echo, NDArray[np.bool_]]:
        """Fog, rain, spray and other LiDARs' pulses take the place of an echo where they come first."""
        reach = np.where(seen, echo.distance, np.inf)
        distance, brightness = soft_returns(air_of(world.weather), reach, rng)
        spray_distance, spray = spray_returns(world, t_mid_s, origins, rays, rng)
        strange = rng.random(len(reach)) < CROSSTALK_SHARE
        anywhere = np.where(strange, rng.uniform(1, self.unit.max_range, len(reach)), np.inf)
        candidates = np.stack([reach, distance, spray_distance, anywhere])
        first = np.argmin(candidates, axis=0)
        nearest = candidates[first, np.arange(len(reach))].astype(np.float32)
        bright = np.select([first == 1, first == 2, first == 3], [brightness, spray, 0.05], echo.brightness)
        owner = np.where(first == 0, echo.owner, AIR).astype(np.int32)
        return _Echo(nearest, bright.astype(np.float32), owner), np.isfinite(nearest)

    def _sweep_of(
        self,
        echo: _Echo,
        seen: NDArray[np.bool_],
        stamp_ns: int,
        frame_id: str,
        rng: np.random.Generator,
    ) -> tuple[LidarSweep, NDArray[np.int32]]:
        chosen = np.flatnonzero(seen)
        distance = echo.distance[chosen] + rng.normal(0, self.unit.range_sigma, len(chosen))
        xyz = self._shots.direction.reshape(-1, 3)[chosen] * distance[:, None]
        sweep = LidarSweep(
            stamp_ns,
            frame_id,
            (np.round(xyz * GRID) / GRID).astype(np.float32),
            (np.round((echo.brightness[chosen] * DIFFUSE_COUNT).clip(0, 1) * 255) / 255).astype(np.float32),
            np.round(self._shots.time_s.ravel()[chosen] * 1e9).astype(np.int32),
            self._shots.rings.ravel()[chosen].astype(np.int16),
        )
        return sweep, echo.owner[chosen]


def _brightness(hits: Hits, rays: Float32) -> Float32:
    """Reflectivity as the receiver sees it, (N,): rough surfaces by the cosine, smooth ones by a lobe too."""
    facing = np.abs((hits.normal * rays).sum(1))
    rough = hits.roughness
    diffuse = (SMOOTH_DIFFUSE + (1 - SMOOTH_DIFFUSE) * rough) * facing
    seen = hits.reflectivity * (diffuse + (1 - rough) * facing**SMOOTH_POWER)
    retro = np.where(hits.reflectivity > 0.95, RETRO, seen)
    return retro.astype(np.float32)
