"""How much of each actor can be seen from somewhere: truth about occlusion, truncation and visibility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import CameraModel, Float32, Float64
from mm_fusion.simulation.scene import Scene
from mm_fusion.simulation.world import World

POINTS = 24
OCCLUSION_LIMITS = (0.75, 0.4, 0.1)
"""Visible shares from which on occlusion is 0, 1, 2; 3 below."""
SHRINK = 0.9
"""Rays aim a little below the surface, so that they meet it and not what lies behind."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Per actor, as one sensor sees it.

    visible (N,) f32: share of the points inside the view that are not hidden; inside
    (N,) f32: share of the points that lie in the view (1 - truncation). Both 0 beyond the reach.
    """

    visible: Float32
    inside: Float32

    def occlusion(self) -> NDArray[np.int8]:
        """(N,) 0 free, 1 partly, 2 largely hidden, 3 as good as hidden or out of view."""
        levels = sum((self.visible < limit).astype(np.int8) for limit in OCCLUSION_LIMITS)
        return np.where(self.inside > 0, levels, 3).astype(np.int8)


def seen_from(scene: Scene, eye: Float64, reach: float = 100.0) -> Seen:
    """What can be seen from a point (3,) in the world in all directions, as for a turning LiDAR."""
    owner, points = _points(scene, eye, reach)
    return _shares(scene, eye, owner, points, np.ones(len(points), bool))


def seen_by_camera(
    scene: Scene, world_from_camera: Float64, model: CameraModel, reach: float = 100.0
) -> Seen:
    """What a camera sees at the scene's time."""
    eye = world_from_camera[:3, 3]
    owner, points = _points(scene, eye, reach)
    inside = project(model, transform_points(inverse(world_from_camera), points))[1]
    return _shares(scene, eye, owner, points, inside)


def _shares(
    scene: Scene, eye: Float64, owner: NDArray[np.int64], points: Float64, inside: NDArray[np.bool_]
) -> Seen:
    count = len(scene.world.actors)
    there = np.flatnonzero(inside)
    rays = points[there] - eye
    hits = scene.cast(eye, rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-9))
    whole = np.bincount(owner, minlength=count)
    within = np.bincount(owner[there], minlength=count)
    free = np.bincount(owner[there], weights=hits.actor == owner[there], minlength=count)
    return Seen(
        (free / np.maximum(within, 1)).astype(np.float32), (within / np.maximum(whole, 1)).astype(np.float32)
    )


def _points(scene: Scene, eye: Float64, reach: float) -> tuple[NDArray[np.int64], Float64]:
    """Actor (P,) and world position (P, 3) of points on all actors that are near."""
    local, row, owner = _surface(scene.world)
    poses = scene.world.actor_poses(scene.time_s)
    near = np.linalg.norm(poses[:, :3, 3] - eye, axis=1) < reach
    chosen = np.flatnonzero(near[owner])
    part = row[chosen]
    moving = np.einsum("nij,nj->ni", scene.rotation[part], local[chosen]) + scene.origin[part]
    return owner[chosen], moving.astype(np.float64)


def _surface(world: World) -> tuple[Float64, NDArray[np.int64], NDArray[np.int64]]:
    """Points (N * POINTS, 3) on all actors, in their parts' axes, with row in `Geometry.placed` and actor.

    Those of standing actors are in the world already (row 0).
    """
    cached = world.cache.get("surface")
    if cached is None:
        cached = world.cache["surface"] = _sampled(world)
    return cached


def _sampled(world: World) -> tuple[Float64, NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(world.seed)
    poses = world.actor_poses(0.0)
    points, rows, first = [], [], 1
    for index, actor in enumerate(world.actors):
        meshes = [part.mesh for part in actor.parts]
        corners = np.concatenate([mesh.vertices[mesh.triangles] for mesh in meshes]).astype(np.float64)
        part = np.repeat(np.arange(len(meshes)), [len(mesh.triangles) for mesh in meshes])
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        chosen = rng.choice(len(corners), POINTS, p=area / area.sum())
        weights = rng.dirichlet((1.0, 1.0, 1.0), POINTS)
        middles = np.stack([mesh.vertices.mean(0) for mesh in meshes])[part[chosen]]
        local = middles + SHRINK * ((weights[:, :, None] * corners[chosen]).sum(1) - middles)
        if actor.moving:
            rows.append(first + part[chosen])
            first += len(meshes)
        else:
            pivots = np.array([p.pivot for p in actor.parts])[part[chosen]]
            local = transform_points(poses[index], local + pivots)
            rows.append(np.zeros(POINTS, np.int64))
        points.append(local)
    owner = np.repeat(np.arange(len(world.actors)), POINTS)
    return np.concatenate(points or [np.zeros((0, 3))]), np.concatenate(rows or [np.zeros(0, int)]), owner
