"""Shapes as triangles with materials, in their own axes: x forward, y left, z up, standing on z = 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Material:
    """What a surface is made of, as each sensor sees it.

    colour RGB; reflectivity 0..1 at LiDAR wavelengths (1: retro-reflecting); rcs: radar weight of one hit, 1
    for bare metal; roughness 0..1 (0 mirrors radar, 1 scatters it); glow 0..1: lamps that shine at night.
    """

    colour: Colour
    reflectivity: float
    rcs: float
    roughness: float
    glow: float = 0.0

    def painted(self, colour: Colour) -> Material:
        """The same stuff in another colour; darker paint reflects a LiDAR less."""
        shade = sum(colour) / max(sum(self.colour), 1)
        reflectivity = float(np.clip(self.reflectivity * (0.4 + 0.6 * shade), 0.04, 0.9))
        return Material(colour, reflectivity, self.rcs, self.roughness, self.glow)


METAL = Material((170, 172, 176), 0.45, 1.0, 0.1)
PAINTWORK = Material((180, 180, 180), 0.5, 1.0, 0.1)
GLASS = Material((46, 58, 70), 0.06, 0.1, 0.05)
RUBBER = Material((27, 27, 29), 0.05, 0.15, 0.5)
RIM = Material((140, 142, 146), 0.4, 0.8, 0.3)
PLASTIC = Material((40, 42, 44), 0.12, 0.15, 0.4)
CLOTH = Material((120, 120, 120), 0.35, 0.35, 0.8)
SKIN = Material((196, 150, 120), 0.3, 0.4, 0.7)
LAMP = Material((240, 240, 225), 0.5, 0.2, 0.2, 1.0)
TAIL_LAMP = Material((160, 18, 18), 0.6, 0.2, 0.2, 0.6)
PLATE = Material((232, 232, 226), 1.0, 1.0, 0.1)
SIGN = Material((205, 40, 40), 1.0, 1.0, 0.05)
CONE = Material((238, 92, 24), 0.5, 0.08, 0.6)
CONE_BAND = Material((240, 240, 240), 1.0, 0.08, 0.6)
CONCRETE = Material((150, 147, 140), 0.35, 0.35, 0.6)
BRICK = Material((150, 108, 88), 0.35, 0.4, 0.6)
ASPHALT = Material((86, 86, 90), 0.13, 0.02, 0.9)
PAINT = Material((226, 226, 220), 0.65, 0.02, 0.9)
PAVING = Material((140, 135, 128), 0.25, 0.03, 0.9)
KERB = Material((166, 164, 158), 0.3, 0.25, 0.7)
GRASS = Material((82, 112, 58), 0.45, 0.04, 1.0)
LEAVES = Material((54, 92, 40), 0.5, 0.12, 1.0)
BARK = Material((86, 68, 50), 0.3, 0.3, 0.8)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """vertices (V, 3) f32 m, triangles (T, 3) i32, colours (T, 3) uint8 RGB.

    optics (T, 4) f32: reflectivity, rcs, roughness, glow of `Material`.
    """

    vertices: Float32
    triangles: NDArray[np.int32]
    colours: NDArray[np.uint8]
    optics: Float32

    def moved(self, dst_from_mesh: Float64) -> Mesh:
        """The same shape elsewhere."""
        vertices = self.vertices @ dst_from_mesh[:3, :3].T + dst_from_mesh[:3, 3]
        return Mesh(vertices.astype(np.float32), self.triangles, self.colours, self.optics)


EMPTY = Mesh(
    np.zeros((0, 3), np.float32),
    np.zeros((0, 3), np.int32),
    np.zeros((0, 3), np.uint8),
    np.zeros((0, 4), np.float32),
)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several; the empty one of none."""
    if not meshes:
        return EMPTY
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + np.int32(offset) for mesh, offset in zip(meshes, offsets)]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.optics for mesh in meshes]),
    )


def of_material(vertices: np.ndarray, triangles: np.ndarray, material: Material) -> Mesh:
    """A mesh of one material."""
    count = len(triangles)
    optics = (material.reflectivity, material.rcs, material.roughness, material.glow)
    return Mesh(
        np.asarray(vertices, np.float32),
        np.asarray(triangles, np.int32),
        np.tile(np.array(material.colour, np.uint8), (count, 1)),
        np.tile(np.array(optics, np.float32), (count, 1)),
    )


def loft(sections: Sequence[Sequence[float]], material: Material) -> Mesh:
    """A closed body through four-cornered cross sections along x.

    sections: (x, bottom z, top z, half width at the bottom, half width at the top), from back to front.
    """
    table = np.asarray(sections, np.float64)
    x, bottom, top, low, high = table.T
    ring = [(x, -low, bottom), (x, low, bottom), (x, high, top), (x, -high, top)]
    vertices = np.stack([np.column_stack(corner) for corner in ring], axis=1).reshape(-1, 3)
    triangles = []
    for start in range(0, 4 * (len(table) - 1), 4):
        for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
            triangles += [(start + i, start + 4 + i, start + j), (start + j, start + 4 + i, start + 4 + j)]
    last = 4 * (len(table) - 1)
    triangles += [(0, 1, 2), (0, 2, 3), (last, last + 2, last + 1), (last, last + 3, last + 2)]
    return of_material(vertices, np.array(triangles), material)


def cuboid(centre: Sequence[float], size: Sequence[float], material: Material, taper: float = 1.0) -> Mesh:
    """A box; `taper` scales length and width of its top."""
    (x, y, z), (length, width, height) = centre, size
    mesh = loft(
        [(s * length / 2, -height / 2, height / 2, width / 2, width / 2 * taper) for s in (-1, 1)], material
    )
    vertices = mesh.vertices.copy()
    vertices[vertices[:, 2] > 0, 0] *= taper
    return Mesh(vertices + np.array((x, y, z), np.float32), mesh.triangles, mesh.colours, mesh.optics)


def tube(
    start: Sequence[float],
    end: Sequence[float],
    radius: float,
    material: Material,
    sides: int = 8,
    taper: float = 1.0,
) -> Mesh:
    """A closed column between two points; `taper` scales the radius at its end."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    side = np.cross(axis, (0, 0, 1) if abs(axis[2]) < 0.9 else (1, 0, 0))
    side /= np.linalg.norm(side)
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(axis, side)
    vertices = np.concatenate([a + radius * ring, b + radius * taper * ring])
    here, after = np.arange(sides), (np.arange(sides) + 1) % sides
    fan = np.arange(1, sides - 1)
    triangles = [
        np.column_stack([here, after, here + sides]),
        np.column_stack([after, after + sides, here + sides]),
        np.column_stack([np.zeros_like(fan), fan + 1, fan]),
        np.column_stack([np.full_like(fan, sides), fan + sides, fan + 1 + sides]),
    ]
    return of_material(vertices, np.concatenate(triangles), material)


def ring(radius: float, width: float, thickness: float, material: Material, sides: int = 14) -> Mesh:
    """A hoop about y, `thickness` deep from its outer `radius` inwards."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    circle = np.column_stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)])
    corners = [(radius, -1), (radius, 1), (radius - thickness, 1), (radius - thickness, -1), (radius, -1)]
    rims = [r * circle + (0, side * width / 2, 0) for r, side in corners]
    return sheet(np.stack(rims, axis=1), material)


def column(
    xy: Sequence[float], radius: float, bottom: float, top: float, material: Material, taper: float = 1.0
) -> Mesh:
    """An upright eight-sided column, or a cone for a small `taper`."""
    return tube((*xy, bottom), (*xy, top), radius, material, taper=taper)


def ball(centre: Sequence[float], radii: Sequence[float], material: Material) -> Mesh:
    """A low round body (an octahedron split once, 32 triangles)."""
    corners = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], np.float64)
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    vertices: list[Float64] = []
    triangles: list[tuple[int, int, int]] = []
    for face in faces:
        a, b, c = corners[list(face)]
        start = len(vertices)
        vertices += [a, b, c, *((p + q) / np.sqrt(2) for p, q in ((a, b), (b, c), (c, a)))]
        triangles += [
            (start + i, start + j, start + k) for i, j, k in ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5))
        ]
    return of_material(
        np.array(vertices) * np.asarray(radii) + np.asarray(centre), np.array(triangles), material
    )


def sheet(points: np.ndarray, material: Material) -> Mesh:
    """A surface over a grid of points (A, B, 3); facing up where A runs along x and B along y."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    quads = np.stack([a, b, c, d], axis=-1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, (0, 1, 2)], quads[:, (0, 2, 3)]])
    return of_material(points.reshape(-1, 3), triangles, material)
