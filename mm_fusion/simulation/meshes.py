"""Shapes as coloured triangles, in their own axes: x forward, y left, z up, standing on z = 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64

Colour = tuple[int, int, int]
RUBBER: Colour = (28, 28, 30)
GLASS: Colour = (52, 66, 80)
SKIN: Colour = (196, 150, 120)

_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], np.float32)
_QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """vertices (V, 3) m, triangles (T, 3) int32, colours (T, 3) uint8 RGB, reflectivity (T,) float32 0..1."""

    vertices: Float32
    triangles: NDArray[np.int32]
    colours: NDArray[np.uint8]
    reflectivity: Float32

    def moved(self, world_from_mesh: Float64) -> Mesh:
        """The same shape elsewhere."""
        vertices = self.vertices @ world_from_mesh[:3, :3].T.astype(np.float32)
        return Mesh(
            vertices + world_from_mesh[:3, 3].astype(np.float32),
            self.triangles,
            self.colours,
            self.reflectivity,
        )


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + np.int32(offset) for mesh, offset in zip(meshes, offsets)]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.reflectivity for mesh in meshes]),
    )


def cuboid(
    centre: Sequence[float], size: Sequence[float], colour: Colour, reflectivity: float, taper: float = 1.0
) -> Mesh:
    """A box; `taper` scales the length of its top (a cabin leans back at both ends)."""
    vertices = _CORNERS.copy()
    vertices[vertices[:, 2] > 0, 0] *= taper
    quads = np.array(_QUADS, np.int32)
    triangles = np.concatenate([quads[:, (0, 1, 2)], quads[:, (0, 2, 3)]])
    return _painted(
        vertices * np.asarray(size, np.float32) + np.asarray(centre, np.float32),
        triangles,
        colour,
        reflectivity,
    )


def upright(
    centre_xy: Sequence[float], radius: float, bottom: float, top: float, colour: Colour, reflectivity: float
) -> Mesh:
    """An eight-sided column."""
    return _prism((*centre_xy, (bottom + top) / 2), radius, top - bottom, 2, colour, reflectivity)


def wheel(centre: Sequence[float], radius: float, width: float) -> Mesh:
    """A wheel that rolls along x."""
    return _prism(centre, radius, width, 1, RUBBER, 0.05)


def _prism(
    centre: Sequence[float], radius: float, length: float, axis: int, colour: Colour, reflectivity: float
) -> Mesh:
    sides = 8
    angle = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    ring = np.zeros((2 * sides, 3), np.float32)
    others = [i for i in range(3) if i != axis]
    ring[:, others[0]], ring[:, others[1]] = (
        np.tile(radius * np.cos(angle), 2),
        np.tile(radius * np.sin(angle), 2),
    )
    ring[:sides, axis], ring[sides:, axis] = -length / 2, length / 2
    here, after = np.arange(sides), (np.arange(sides) + 1) % sides
    triangles = [
        np.column_stack([here, after, here + sides]),
        np.column_stack([after, after + sides, here + sides]),
    ]
    fan = np.arange(1, sides - 1)
    triangles += [np.column_stack([np.zeros_like(fan) + s, fan + s, fan + 1 + s]) for s in (0, sides)]
    return _painted(ring + np.asarray(centre, np.float32), np.concatenate(triangles), colour, reflectivity)


def _painted(vertices: np.ndarray, triangles: np.ndarray, colour: Colour, reflectivity: float) -> Mesh:
    count = len(triangles)
    return Mesh(
        vertices.astype(np.float32),
        triangles.astype(np.int32),
        np.tile(np.asarray(colour, np.uint8), (count, 1)),
        np.full(count, reflectivity, np.float32),
    )


def car(size: Sequence[float], colour: Colour) -> Mesh:
    """A car of size (length, width, height): body, cabin and four wheels."""
    length, width, height = size
    body = cuboid((0, 0, 0.2 * height + 0.21 * height), (length, width, 0.42 * height), colour, 0.45)
    cabin_size = (0.56 * length, 0.88 * width, 0.38 * height)
    cabin = cuboid((-0.04 * length, 0, 0.81 * height), cabin_size, GLASS, 0.12, taper=0.7)
    return join([body, cabin, *_wheels(length, width, 0.21 * height)])


def truck(size: Sequence[float], colour: Colour) -> Mesh:
    """A lorry of size (length, width, height): cab, cargo box, frame and wheels."""
    length, width, height = size
    cab = cuboid((0.40 * length, 0, 0.48 * height), (0.18 * length, 0.95 * width, 0.68 * height), colour, 0.4)
    box = cuboid(
        (-0.11 * length, 0, 0.61 * height), (0.78 * length, width, 0.78 * height), (212, 212, 206), 0.5
    )
    frame = cuboid((0, 0, 0.17 * height), (0.94 * length, 0.4 * width, 0.1 * height), RUBBER, 0.1)
    return join([cab, box, frame, *_wheels(length, width, 0.5)])


def _wheels(length: float, width: float, radius: float) -> list[Mesh]:
    places = [(x, y) for x in (-0.31 * length, 0.31 * length) for y in (-0.43 * width, 0.43 * width)]
    return [wheel((x, y, radius), radius, 0.14 * width) for x, y in places]


def pedestrian(size: Sequence[float], colour: Colour) -> Mesh:
    """A standing person of size (length, width, height): two legs, trunk with arms, head."""
    length, width, height = size
    legs = [
        upright((0.3 * length * s, 0.18 * width * s), 0.09, 0, 0.48 * height, (40, 44, 60), 0.3)
        for s in (-1, 1)
    ]
    trunk = cuboid((0, 0, 0.66 * height), (0.42 * length, 0.96 * width, 0.36 * height), colour, 0.35)
    head = upright((0, 0), 0.11, 0.85 * height, height, SKIN, 0.3)
    return join([*legs, trunk, head])


def cyclist(size: Sequence[float], colour: Colour) -> Mesh:
    """A bicycle with its rider, of size (length, width, height)."""
    length, width, height = size
    wheels = [wheel((0.30 * length * s, 0, 0.33), 0.33, 0.05) for s in (-1, 1)]
    frame = cuboid((0, 0, 0.58), (0.58 * length, 0.06, 0.3), (150, 150, 155), 0.5)
    rider = cuboid((-0.05, 0, 0.70 * height), (0.35, 0.8 * width, 0.36 * height), colour, 0.35)
    return join([*wheels, frame, rider, upright((0.05, 0), 0.11, 0.87 * height, height, SKIN, 0.3)])
