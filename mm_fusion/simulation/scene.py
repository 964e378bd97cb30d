"""Rays against a world at one time, by Open3D's RaycastingScene."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.motion_table import body_rates, rotations
from mm_fusion.simulation.shapes import join
from mm_fusion.simulation.world import World

REACH = 160.0
"""Moving actors further than this from the own car are left out."""
MISSED = np.uint32(0xFFFFFFFF)


class Geometry:
    """All triangles of a world: what stands, ready for rays, and what moves, in its parts' own axes."""

    def __init__(self, world: World) -> None:
        moving = [actor for actor in world.actors if actor.moving]
        fixed_meshes, fixed_owner, fixed_part = [world.map.mesh], [-1], [0]
        for index, actor in enumerate(world.actors):
            for number, part in enumerate(actor.parts if not actor.moving else ()):
                pose = world.actor_pose(index, 0.0)
                mesh = part.mesh.moved(_shifted(pose, part.pivot))
                fixed_meshes.append(mesh)
                fixed_owner.append(index)
                fixed_part.append(number)
        parts = [
            (index, number, part)
            for index, actor in enumerate(moving)
            for number, part in enumerate(actor.parts)
        ]
        fixed, loose = join(fixed_meshes), join([part.mesh for _, _, part in parts])
        whole = join([fixed, loose])
        counts = [len(mesh.triangles) for mesh in fixed_meshes] + [len(p.mesh.triangles) for _, _, p in parts]
        rows = np.concatenate(
            [np.zeros(len(fixed_meshes), np.int32), 1 + np.arange(len(parts), dtype=np.int32)]
        )
        self.colours, self.optics = whole.colours, whole.optics
        self.row = np.repeat(rows, counts)
        self.actor = np.repeat(np.array([*fixed_owner, *(i for i, _, _ in parts)], np.int32), counts)
        self.part = np.repeat(np.array([*fixed_part, *(n for _, n, _ in parts)], np.int16), counts)
        self.fixed_count = len(fixed.triangles)
        self.loose = loose
        self.owner = np.array([i for i, _, _ in parts], np.int64)
        self.part_of_vertex = np.repeat(np.arange(len(parts)), [len(p.mesh.vertices) for _, _, p in parts])
        self.actor_of_triangle = self.actor[self.fixed_count :]
        self.pivot = np.array([p.pivot for _, _, p in parts], np.float64).reshape(-1, 3)
        self.turning = np.array([(p.radius, p.swing, p.stride, p.phase) for _, _, p in parts]).reshape(-1, 4)
        self.caster = _scene(fixed.vertices, fixed.triangles)

    def placed(self, world: World, time_s: float) -> tuple[Float64, Float64, Float64, Float64]:
        """world_from_part rotation (P + 1, 3, 3), origin, velocity and angular velocity (P + 1, 3) at a time.

        Row 0 is the world itself.
        """
        state, rate = world.motion(time_s)
        turn, body = rotations(state), body_rates(state, rate)
        spin = np.einsum("nij,nj->ni", turn, body)
        angle, angle_rate = self._angles(state[self.owner, 6], rate[self.owner, 6])
        mine = turn[self.owner]
        rotation = mine @ _about_y(angle)
        arm = np.einsum("nij,nj->ni", mine, self.pivot)
        origin = state[self.owner, :3] + arm
        velocity = rate[self.owner, :3] + np.cross(spin[self.owner], arm)
        whirl = spin[self.owner] + angle_rate[:, None] * mine[:, :, 1]
        nothing = np.zeros((1, 3))
        return (
            np.concatenate([np.eye(3)[None], rotation]),
            np.concatenate([nothing, origin]),
            np.concatenate([nothing, velocity]),
            np.concatenate([nothing, whirl]),
        )

    def _angles(self, travelled: Float64, speed: Float64) -> tuple[Float64, Float64]:
        radius, swing, stride, phase = self.turning.T
        rolls = radius > 0
        wave = 2 * np.pi / stride
        per_metre = np.where(
            rolls, 1 / np.where(rolls, radius, 1), swing * wave * np.cos(wave * travelled + phase)
        )
        angle = np.where(
            rolls, travelled / np.where(rolls, radius, 1), swing * np.sin(wave * travelled + phase)
        )
        return angle, per_metre * speed


class Hits:
    """What (N,) rays met; everything but the distance is looked up when it is first asked for.

    distance (N,) f32 m, inf for nothing. Where nothing was hit the rest is that of no thing: actor -1, zeros.
    """

    def __init__(
        self, scene: Scene, rays: Float32, distance: Float32, triangle: NDArray[np.int64], normal: Float32
    ) -> None:
        self.distance = distance
        self._scene, self._rays, self._normal = scene, rays, normal
        self._triangle = triangle
        self._hit = np.isfinite(distance)

    @cached_property
    def actor(self) -> NDArray[np.int32]:
        """(N,) index into `World.actors`, -1 for the map and for nothing."""
        return np.where(self._hit, self._scene.geometry.actor[self._triangle], -1).astype(np.int32)

    @cached_property
    def part(self) -> NDArray[np.int16]:
        """(N,) index into `Actor.parts`, 0 for the map."""
        return self._scene.geometry.part[self._triangle]

    @cached_property
    def normal(self) -> Float32:
        """(N, 3) unit normals in the world, towards where the ray came from."""
        away = np.einsum("ni,ni->n", self._normal, self._rays[:, 3:]) > 0
        return np.where(away[:, None], -self._normal, self._normal)

    @cached_property
    def colour(self) -> NDArray[np.uint8]:
        """(N, 3) RGB of the surface in white light."""
        return self._scene.geometry.colours[self._triangle]

    @cached_property
    def optics(self) -> Float32:
        """(N, 4): reflectivity, rcs, roughness and glow of the surface, zero where nothing was hit."""
        return self._scene.geometry.optics[self._triangle] * self._hit[:, None]

    @property
    def reflectivity(self) -> Float32:
        """(N,) 0..1 at LiDAR wavelengths; 1 for retro-reflectors."""
        return self.optics[:, 0]

    @property
    def rcs(self) -> Float32:
        """(N,) radar weight of the material, 1 for bare metal."""
        return self.optics[:, 1]

    @property
    def roughness(self) -> Float32:
        """(N,) 0 where a radar sees a mirror, 1 where it scatters."""
        return self.optics[:, 2]

    @property
    def glow(self) -> Float32:
        """(N,) light of lamps and lit windows at night, 0..1."""
        return self.optics[:, 3]

    @cached_property
    def world_point(self) -> Float32:
        """(N, 3) where the rays ended, in the world; the origin of the ray where nothing was hit."""
        far = np.where(self._hit, self.distance, 0).astype(np.float32)
        return (self._rays[:, :3] + far[:, None] * self._rays[:, 3:]).astype(np.float32, copy=False)

    @cached_property
    def point(self) -> Float32:
        """(N, 3) the same in the axes of the part that was hit (the world for what stands), for texture."""
        out = self.world_point.copy()
        row = self._row
        moved = np.flatnonzero(row)
        part = row[moved]
        local = out[moved] - self._scene.origin[part]
        out[moved] = np.einsum("nij,ni->nj", self._scene.rotation[part], local)
        return out

    @cached_property
    def velocity(self) -> Float32:
        """(N, 3) m/s of the surface over ground, world axes, with the turning of wheels and limbs."""
        out = np.zeros((len(self.distance), 3), np.float32)
        moved = np.flatnonzero(self._row)
        part = self._row[moved]
        arm = self.world_point[moved] - self._scene.origin[part]
        out[moved] = self._scene.velocity[part] + np.cross(self._scene.whirl[part], arm)
        return out

    @cached_property
    def _row(self) -> NDArray[np.int32]:
        return np.where(self._hit, self._scene.geometry.row[self._triangle], 0)


class Scene:
    """A world frozen at one time, ready for rays. What stands is shared between times."""

    def __init__(self, world: World, time_s: float, reach: float = REACH, nthreads: int = 1) -> None:
        self.world, self.time_s, self._threads = world, time_s, nthreads
        self.geometry: Geometry = world.geometry
        placed = self.geometry.placed(world, time_s)
        self.rotation, self.origin, self.velocity, self.whirl = (a.astype(np.float32) for a in placed)
        own = world.world_from_base(time_s)[:3, 3]
        far = np.linalg.norm(world.motion(time_s)[0][:, :3] - own, axis=1)
        self._chosen, self._moving = self._freeze(far < reach)

    def _freeze(self, near: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Any]:
        """Numbers of the triangles that move and are near, and a ray-casting scene of them, or None."""
        geometry = self.geometry
        chosen = np.flatnonzero(near[geometry.actor_of_triangle])
        if not len(chosen):
            return chosen, None
        kept = np.flatnonzero(near[geometry.owner[geometry.part_of_vertex]])
        part = geometry.part_of_vertex[kept] + 1
        local = geometry.loose.vertices[kept]
        vertices = np.einsum("nij,nj->ni", self.rotation[part], local) + self.origin[part]
        renumbered = np.zeros(len(geometry.loose.vertices), np.int32)
        renumbered[kept] = np.arange(len(kept))
        return chosen + geometry.fixed_count, _scene(vertices, renumbered[geometry.loose.triangles[chosen]])

    def cast(self, origins: Float64 | Float32, directions: Float64 | Float32) -> Hits:
        """What rays meet; origins (N, 3) or (3,), directions (N, 3) unit, in the world."""
        import open3d as o3d

        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origins, directions
        tensor = o3d.core.Tensor.from_numpy(rays)
        distance, triangle, normal = _nearest(self.geometry.caster, tensor, self._threads)
        if self._moving is not None:
            nearer, which, facing = _nearest(self._moving, tensor, self._threads)
            closer = np.flatnonzero(nearer < distance)
            distance[closer], normal[closer] = nearer[closer], facing[closer]
            triangle[closer] = self._chosen[which[closer]]
        return Hits(self, rays, distance, triangle, normal)

    def blocked(
        self, origins: Float64 | Float32, directions: Float64 | Float32, reach: float = np.inf
    ) -> NDArray[np.bool_]:
        """(N,) whether anything lies between 2 cm and `reach` m along rays: shadows and line of sight."""
        import open3d as o3d

        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origins, directions
        tensor = o3d.core.Tensor.from_numpy(rays)
        scenes = [scene for scene in (self.geometry.caster, self._moving) if scene is not None]
        found = [s.test_occlusions(tensor, 0.02, float(reach), self._threads).numpy() for s in scenes]
        return np.logical_or.reduce(found)


def _nearest(scene: Any, tensor: Any, threads: int) -> tuple[Float32, NDArray[np.int64], Float32]:
    found = scene.cast_rays(tensor, threads)
    primitive = found["primitive_ids"].numpy()
    triangle = np.where(primitive == MISSED, 0, primitive).astype(np.int64)
    return found["t_hit"].numpy(), triangle, found["primitive_normals"].numpy()


def _scene(vertices: np.ndarray, triangles: NDArray[np.int32]) -> Any:
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    corners = o3d.core.Tensor.from_numpy(np.ascontiguousarray(vertices, np.float32))
    scene.add_triangles(corners, o3d.core.Tensor.from_numpy(triangles.astype(np.uint32)))
    # The acceleration structure is built by the first ray.
    scene.cast_rays(o3d.core.Tensor.from_numpy(np.zeros((1, 6), np.float32)), 1)
    return scene


def _shifted(pose: Float64, pivot: tuple[float, float, float]) -> Float64:
    out = pose.copy()
    out[:3, 3] += pose[:3, :3] @ np.array(pivot)
    return out


def _about_y(angle: Float64) -> Float64:
    cos, sin = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    return np.moveaxis(np.array([[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]]), 2, 0)
