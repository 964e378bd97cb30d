"""Rays against the street at one time, by Open3D's RaycastingScene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.meshes import join
from mm_fusion.simulation.street import Street


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What (N,) rays met. distance: m, inf for none. actor: index into `Street.actors`, -1 for what stands.

    normal (N, 3) float32 in the world, colour (N, 3) uint8, reflectivity (N,) float32.
    """

    distance: Float32
    actor: NDArray[np.int32]
    normal: Float32
    colour: NDArray[np.uint8]
    reflectivity: Float32


class Caster:
    """The street frozen at one time, ready for rays."""

    def __init__(self, street: Street, time_s: float) -> None:
        import open3d as o3d

        moved = [actor.mesh.moved(actor.pose(time_s)) for actor in street.actors]
        whole = join([street.fixed, *moved])
        counts = [len(mesh.triangles) for mesh in (street.fixed, *moved)]
        self._owner = np.repeat(np.arange(-1, len(moved)), counts).astype(np.int32)
        self._colours, self._reflectivity = whole.colours, whole.reflectivity
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        triangles = o3d.core.Tensor(whole.triangles.astype(np.uint32))
        self._scene.add_triangles(o3d.core.Tensor(whole.vertices), triangles)

    def cast(self, origins: Float64, directions: Float64) -> Hits:
        """What rays meet; origins (N, 3) or (3,), directions (N, 3) unit, in the world."""
        import open3d as o3d

        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origins, directions
        found = self._scene.cast_rays(o3d.core.Tensor(rays))
        distance = found["t_hit"].numpy()
        triangle = np.where(np.isfinite(distance), found["primitive_ids"].numpy(), 0)
        return Hits(
            distance,
            np.where(np.isfinite(distance), self._owner[triangle], -1).astype(np.int32),
            found["primitive_normals"].numpy(),
            self._colours[triangle],
            self._reflectivity[triangle],
        )
