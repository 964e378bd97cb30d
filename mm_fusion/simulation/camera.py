"""What a camera sees of the world: an image, and for each pixel whose it is and how far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import SensorConfig
from mm_fusion.geometry.cameras import project, unproject
from mm_fusion.measurements import CameraModel, Float32, Float64
from mm_fusion.simulation.optics import Lens, developed, exposure_gain, smeared
from mm_fusion.simulation.scene import Scene
from mm_fusion.simulation.sensor_motion import sensor_poses, sensor_velocity
from mm_fusion.simulation.shading import SKY, Eye, Light, light_of, shade
from mm_fusion.simulation.world import World

BAND_S = 0.008
MOST_BANDS = 4
"""Others stand still while one band of rows is read; the camera itself moves on with every row."""
EXPOSURE_S = {"clear": 0.003, "fog": 0.006, "rain": 0.008, "night": 0.02}
SHADOW_STEP = 2
"""Shadows are looked up for every second pixel of every second row."""
SHADOW_OFFSET = 0.02
MOST_SMEAR = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the rays met, (H, W, ...): light (linear), distance, actor, and surface velocity in the world."""

    light: Float32
    distance: Float32
    actor: NDArray[np.int32]
    velocity: Float32


class CameraSimulator:
    """One camera of a vehicle file, rendered with any model (size) of it."""

    def __init__(
        self, name: str, sensor: SensorConfig, base_from_camera: Float64, model: CameraModel
    ) -> None:
        self.model = model
        self._base_from_camera = base_from_camera
        self._lens = Lens(name, model.width_px, model.height_px)
        self._rays, self._blind = _pixel_rays(model)
        full_height = model.height_px if sensor.camera is None else sensor.camera.height_px
        self._row_time_s = sensor.row_time_us * 1e-6 * full_height / model.height_px

    def image(
        self, world: World, t_s: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16], Float32]:
        """Pixels (H, W, 3) uint8 RGB, instances (H, W) int16 (actor, -1 for none) and depth (H, W) f32.

        t_s: middle of the exposure of the middle row. Depth is the distance along the pixel's ray in m, inf
        for the sky; both are of the pixel's middle at the middle of its row's exposure, without blur.
        """
        seen = self._looked(world, t_s)
        light = self._blurred(world, t_s, seen)
        light = self._lens.through(light, t_s, world.weather.rain_mm_h, rng)
        pixels = developed(light, exposure_gain(light, rng), rng)
        pixels[self._blind] = 0
        return pixels, seen.actor.astype(np.int16), seen.distance

    def _looked(self, world: World, t_s: float) -> _Seen:
        rows = np.arange(self.model.height_px)
        times = np.asarray(t_s + (rows - (len(rows) - 1) / 2) * self._row_time_s, np.float64)
        span = self._row_time_s * len(rows)
        bands = min(MOST_BANDS, 1 + int(span / BAND_S))
        parts = [self._band(world, part, times[part]) for part in np.array_split(rows, bands)]
        light, distance, actor, velocity = (np.concatenate(column) for column in zip(*parts))
        return _Seen(light, distance, actor, velocity)

    def _band(
        self, world: World, rows: NDArray[np.int64], times: Float64
    ) -> tuple[Float32, Float32, NDArray[np.int32], Float32]:
        middle = float(times.mean())
        scene, width = Scene(world, middle), self.model.width_px
        shape = (len(rows), width)
        rotations, positions = self._poses(world, times)
        rays = (self._rays[rows] @ rotations.transpose(0, 2, 1).astype(np.float32)).reshape(-1, 3)
        origins = np.repeat(positions.astype(np.float32), width, axis=0)
        hits = scene.cast(origins, rays)
        light = light_of(world.weather)
        lit = self._sunlit(scene, light, origins, rays, hits.distance, shape)
        turn = np.ascontiguousarray(world.world_from_base(middle)[:3, :3].T)
        eye = Eye(self._base_from_camera[:3, 3].copy(), turn, 1.0 / float(self.model.matrix[0, 0]))
        far = np.minimum(hits.distance, np.float32(2 * SKY))
        radiance = shade(rays, far, hits.normal, hits.colour, hits.point, hits.optics, lit, eye, light)
        blind = self._blind[rows]
        distance = np.where(blind, np.float32(np.inf), hits.distance.reshape(shape))
        actor = np.where(blind, -1, hits.actor.reshape(shape)).astype(np.int32)
        return radiance.reshape(*shape, 3), distance, actor, hits.velocity.reshape(*shape, 3)

    def _poses(self, world: World, times: Float64) -> tuple[Float64, Float64]:
        if self._row_time_s > 0:
            return sensor_poses(world, self._base_from_camera, times)
        pose = world.world_from_base(float(times[0])) @ self._base_from_camera
        return np.repeat(pose[None, :3, :3], len(times), 0), np.repeat(pose[None, :3, 3], len(times), 0)

    def _sunlit(
        self,
        scene: Scene,
        light: Light,
        origins: Float32,
        rays: Float32,
        distance: Float32,
        shape: tuple[int, int],
    ) -> Float32:
        """Share of the sun (N,) f32 that reaches each hit: one more ray from every second pixel."""
        import cv2

        if not light.sun.any():
            return np.zeros(len(rays), np.float32)
        index = np.arange(len(rays)).reshape(shape)[::SHADOW_STEP, ::SHADOW_STEP]
        coarse = index.ravel()
        met = coarse[np.isfinite(distance[coarse])]
        place = origins[met] + (distance[met] - SHADOW_OFFSET)[:, None] * rays[met]
        towards = np.broadcast_to(light.sun.astype(np.float32), place.shape)
        free = np.ones(len(rays), np.float32)
        free[met] = ~scene.blocked(place, towards)
        lit = cv2.resize(free[index], (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(lit, np.float32).ravel()

    def _blurred(self, world: World, t_s: float, seen: _Seen) -> Float32:
        """Light smeared along each pixel's way during the exposure, where that is a pixel or more."""
        exposure = EXPOSURE_S.get(world.weather.name, 0.004)
        flow = self._flow(world, t_s, seen, exposure)
        longest = float(np.abs(flow).max(initial=0))
        if longest < 1.0:
            return seen.light
        return smeared(seen.light, flow, int(min(MOST_SMEAR, 2 + longest)))

    def _flow(self, world: World, t_s: float, seen: _Seen, exposure: float) -> Float32:
        """(H, W, 2) px by which what a pixel shows moves in the image during the exposure."""
        pose = world.world_from_base(t_s) @ self._base_from_camera
        camera_velocity = sensor_velocity(world, self._base_from_camera, t_s)
        turn = self._base_from_camera[:3, :3].T @ world.twist(t_s)[1]
        distance = np.minimum(seen.distance, 1e4).reshape(-1, 1)
        there = self._rays.reshape(-1, 3) * distance
        moved = (seen.velocity.reshape(-1, 3) - camera_velocity) @ pose[:3, :3] - np.cross(turn, there)
        pixels, _ = project(self.model, there + moved * exposure)
        columns, rows = np.meshgrid(np.arange(self.model.width_px), np.arange(self.model.height_px))
        flow = pixels.reshape(*seen.distance.shape, 2) - np.stack([columns, rows], axis=2)
        limit = 0.1 * self.model.width_px
        return np.nan_to_num(flow).clip(-limit, limit).astype(np.float32)


def _pixel_rays(model: CameraModel) -> tuple[Float32, NDArray[np.bool_]]:
    """Unit rays (H, W, 3) f32 through the pixels' middles, and (H, W) true where the lens shows nothing."""
    columns, rows = np.meshgrid(
        np.arange(model.width_px, dtype=float), np.arange(model.height_px, dtype=float)
    )
    rays = unproject(model, np.column_stack([columns.ravel(), rows.ravel()]))
    blind = np.isnan(rays).any(axis=1)
    rays[blind] = (0, 0, 1)
    shape = (model.height_px, model.width_px)
    return rays.reshape(*shape, 3).astype(np.float32), blind.reshape(shape)
