"""What stands beside roads: buildings, trees, poles, signs, walls, guard rails; and the road itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import Float64
from mm_fusion.simulation.roads import Ground, Path, Road
from mm_fusion.simulation.shapes import (
    ASPHALT,
    BARK,
    BRICK,
    CONCRETE,
    GLASS,
    GRASS,
    KERB,
    LAMP,
    LEAVES,
    METAL,
    PAINT,
    PAVING,
    RUBBER,
    SIGN,
    Material,
    Mesh,
    ball,
    column,
    cuboid,
    join,
    sheet,
    tube,
)

BELOW = 0.3
"""How far the open country lies under the roads' surface, so that the two never mix."""


_LIGHTS = tuple(
    Material(colour, 0.3, 0.1, 0.3, 0.8) for colour in ((40, 150, 70), (190, 140, 30), (200, 40, 30))
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a roadside looks. Spacings in m, 0 for none; `setback` from kerb to house fronts."""

    buildings: float = 0.8
    setback: float = 5.0
    trees: float = 18.0
    poles: float = 30.0
    signs: float = 60.0
    rails: bool = False


def pave(ground: Ground, road: Road, dashed: Sequence[float] = (0.0,), solid: Sequence[float] = ()) -> Mesh:
    """A road's surface, its kerbs and pavements where no other road runs, and painted lines at offsets."""
    half, walk = road.half_width, road.pavement
    parts = [_strip(ground, road, np.linspace(-half, half, 7), 0.0, ASPHALT, others=False)]
    for side in (-1, 1):
        if walk:
            parts.append(_strip(ground, road, side * (half + np.array([0.0, walk])), ground.kerb, PAVING))
            parts.append(_wall(ground, road, side * half, -0.05, ground.kerb, KERB))
        parts.append(
            _wall(ground, road, side * (half + walk), -BELOW - 0.3, ground.kerb if walk else 0.0, KERB)
        )
    crossing = [other for other in ground.roads if other is not road]
    free = Ground(crossing, np.zeros(2), np.zeros((0, 4)))
    parts += [_dashes(ground, road, offset, 3.0, 9.0, free) for offset in dashed]
    parts += [_dashes(ground, road, offset, 4.0, 4.0, free) for offset in solid]
    return join([part for part in parts if len(part.triangles)])


def country(ground: Ground, rng: np.random.Generator, margin: float = 90.0) -> Mesh:
    """Grass around and below everything."""
    points = np.concatenate([road.centre.at(road.centre.samples(10.0)) for road in ground.roads])
    low, high = points.min(0) - margin, points.max(0) + margin
    count = np.ceil((high - low) / 5.0).astype(int) + 1
    x, y = np.meshgrid(*(np.linspace(a, b, n) for a, b, n in zip(low, high, count)), indexing="ij")
    xy = np.column_stack([x.ravel(), y.ravel()])
    edge = ground.edge(xy)
    rough = np.where(edge > 8, rng.uniform(-0.08, 0.08, len(xy)), 0.0)
    z = ground.terrain(xy, edge) - BELOW + rough
    return sheet(np.dstack([x, y, z.reshape(x.shape)]), GRASS)


def furnish(ground: Ground, style: Style, rng: np.random.Generator) -> Mesh:
    """Houses, trees, lamp posts and signs along all roads, clear of every other road."""
    parts: list[Mesh] = []
    for road in ground.roads:
        beside = road.half_width + max(road.pavement, 1.0)
        for side in (-1, 1):
            if style.buildings:
                parts += _houses(ground, road, side, style, rng)
            else:
                parts += _woods(ground, road, side, beside + 9, rng)
            for spacing, offset, make in (
                (style.trees, beside - 0.45 if road.pavement else beside + 3.0, _tree),
                (style.poles, road.half_width + 0.35, _lamp_post),
                (style.signs, road.half_width + 0.35, _sign),
            ):
                if spacing:
                    parts += _row(ground, road, side, spacing, offset, make, rng)
        if style.rails:
            parts += [guard_rail(ground, road.centre, side * (road.half_width + 0.6)) for side in (-1, 1)]
    return join(parts)


def lamp_row(ground: Ground, path: Path, spacing: float) -> Mesh:
    """Lamp posts along a line, each with a kerb stone around its foot."""
    parts = []
    for s in np.arange(spacing / 2, path.length, spacing):
        xy = path.at(np.array([s]))
        place = from_rpy_deg((0, 0, 0), (*xy[0], float(ground.height(xy)[0])))
        foot = cuboid((0, 0, 0.1), (0.5, 0.5, 0.5), KERB)
        parts.append(join([column((0, 0), 0.09, -0.3, 6.0, METAL, 0.7), foot]).moved(place))
    return join(parts)


def signal_mast(ground: Ground, arm: Road) -> Mesh:
    """Traffic lights at the right of those who come in along an arm, whose line leads away."""
    xy = arm.centre.at(np.array([0.0]), arm.half_width + 0.6)
    direction = arm.centre.direction(np.array([0.0]))[0]
    yaw = float(np.degrees(np.arctan2(direction[1], direction[0])))
    box = cuboid((0.1, 0, 2.7), (0.25, 0.3, 0.85), RUBBER)
    lamps = [cuboid((0.24, 0, 2.4 + 0.28 * i), (0.04, 0.18, 0.18), lamp) for i, lamp in enumerate(_LIGHTS)]
    place = from_rpy_deg((0, 0, yaw), (*xy[0], float(ground.height(xy)[0])))
    return join([column((0, 0), 0.06, -0.3, 3.0, METAL), box, *lamps]).moved(place)


def zebra(ground: Ground, road: Road, s: float) -> Mesh:
    """A pedestrian crossing painted over a road at `s`."""
    parts = []
    for offset in np.arange(-road.half_width + 0.5, road.half_width - 0.5, 1.0):
        along = np.linspace(s - 1.5, s + 1.5, 3)
        xy = np.stack([road.centre.at(along, offset + w) for w in (0.0, 0.5)], axis=1)
        flat = xy.reshape(-1, 2)
        z = ground.terrain(flat, ground.edge(flat)).reshape(xy.shape[:2]) + 0.012
        parts.append(sheet(np.dstack([xy, z]), PAINT))
    return join(parts)


def guard_rail(ground: Ground, path: Path, offset: float) -> Mesh:
    """A steel rail on posts, the mirror in which a radar sees ghosts."""
    s = path.samples(4.0)
    xy = path.at(s, offset)
    z = ground.height(xy)
    faces = []
    for shift in (-0.04, 0.04):
        line = path.at(s, offset + shift)
        faces.append(np.stack([np.column_stack([line, z + h]) for h in (0.45, 0.6, 0.75)], axis=1))
    rail = [sheet(face, METAL) for face in faces]
    rail.append(sheet(np.stack([faces[0][:, 2], faces[1][:, 2]], axis=1), METAL))
    posts = [column(p, 0.06, h - 0.3, h + 0.6, METAL) for p, h in zip(xy, z)]
    return join([*rail, *posts])


def wall(ground: Ground, path: Path, offset: float, height: float, material: Material = CONCRETE) -> Mesh:
    """A free-standing wall 0.3 m thick along a line."""
    s = path.samples(4.0)
    sides = [path.at(s, offset + shift) for shift in (-0.15, 0.15)]
    z = [ground.height(side) for side in sides]
    (a, b), (za, zb) = sides, z
    ring = [(a, za - 0.4), (a, za + height), (b, zb + height), (b, zb - 0.4)]
    return sheet(np.stack([np.column_stack(corner) for corner in ring], axis=1), material)


def building(size: Sequence[float], rng: np.random.Generator) -> Mesh:
    """A house on the origin, windows in rows on all four fronts; it reaches 2 m below the ground."""
    length, depth, height = size
    shade = rng.uniform(0.6, 1.25)
    base = np.array(BRICK.colour if rng.random() < 0.4 else CONCRETE.colour)
    red, green, blue = np.clip(base * shade * rng.uniform(0.9, 1.1, 3), 30, 240).astype(int)
    front = BRICK.painted((int(red), int(green), int(blue)))
    parts = [cuboid((0, 0, height / 2 - 1), (length, depth, height + 2), front)]
    lit = Material((236, 208, 140), 0.06, 0.1, 0.05, 0.25)
    bays = np.arange(-length / 2 + 1.5, length / 2 - 1.2, 3.2)
    for z in np.arange(1.6, height - 1.0, 3.0):
        for x in bays:
            glass = lit if rng.random() < 0.15 else GLASS
            parts.append(cuboid((x, 0, z), (1.4, depth + 0.06, 1.5), glass))
        parts.append(cuboid((0, 0, z), (length + 0.06, 0.5 * depth, 1.4), GLASS))
    return join(parts)


def _strip(
    ground: Ground, road: Road, offsets: Float64, lift: float, material: Material, others: bool = True
) -> Mesh:
    s = road.centre.samples(2.0)
    xy = np.stack([road.centre.at(s, float(offset)) for offset in offsets], axis=1)
    return _sheet_off_roads(ground, xy, lift, lift, material, others)


def _wall(ground: Ground, road: Road, offset: float, low: float, high: float, material: Material) -> Mesh:
    xy = road.centre.at(road.centre.samples(2.0), offset)
    return _sheet_off_roads(ground, np.stack([xy, xy], axis=1), low, high, material, True)


def _sheet_off_roads(
    ground: Ground, xy: Float64, low: float, high: float, material: Material, others: bool
) -> Mesh:
    """A sheet over (A, B, 2) points, lifted from `low` to `high` across, cut out on other roads."""
    flat = xy.reshape(-1, 2)
    edge = ground.edge(flat)
    z = ground.terrain(flat, edge).reshape(xy.shape[:2]) + np.linspace(low, high, xy.shape[1])
    mesh = sheet(np.dstack([xy, z]), material)
    if not others:
        return mesh
    middles = mesh.vertices[mesh.triangles].mean(1)[:, :2].astype(np.float64)
    keep = ground.edge(middles) > -0.15
    return Mesh(mesh.vertices, mesh.triangles[keep], mesh.colours[keep], mesh.optics[keep])


def _dashes(ground: Ground, road: Road, offset: float, length: float, period: float, others: Ground) -> Mesh:
    """Painted pieces along a road, left out where `others` cross it."""
    starts = np.arange(0.0, max(road.centre.length - length, 0.1), period)
    s = starts[:, None] + np.linspace(0, length, 3)
    xy = np.stack([road.centre.at(s, offset + w) for w in (-0.07, 0.07)], axis=2)
    flat = xy.reshape(-1, 2)
    z = (ground.terrain(flat, ground.edge(flat)) + 0.012).reshape(xy.shape[:3])
    clear = (others.edge(flat) > 0.5).reshape(len(starts), -1).all(1)
    return join([sheet(np.dstack([xy[i], z[i]]), PAINT) for i in np.flatnonzero(clear)])


def _houses(ground: Ground, road: Road, side: int, style: Style, rng: np.random.Generator) -> list[Mesh]:
    parts, s = [], float(rng.uniform(0, 8))
    while s < road.centre.length:
        length, depth, height = rng.uniform(9, 22), rng.uniform(8, 13), rng.uniform(4, 16)
        offset = side * (road.half_width + style.setback + rng.uniform(0, 2) + depth / 2)
        corners = [
            (s, offset),
            (s + length, offset),
            (s, offset - side * depth / 2),
            (s + length, offset - side * depth / 2),
        ]
        xy = np.array([road.centre.at(np.array(a), b) for a, b in corners])
        if rng.random() < style.buildings and (ground.edge(xy) > style.setback - 0.5).all():
            parts.append(
                _placed(ground, road, s + length / 2, offset, building((length, depth, height), rng))
            )
        s += length + rng.uniform(0.5, 8)
    return parts


def _woods(ground: Ground, road: Road, side: int, offset: float, rng: np.random.Generator) -> list[Mesh]:
    return _row(ground, road, side, 14.0, offset + float(rng.uniform(0, 6)), _tree, rng)


def _row(ground: Ground, road: Road, side: int, spacing: float, offset: float, make, rng) -> list[Mesh]:  # type: ignore[no-untyped-def]
    parts = []
    for s in np.arange(rng.uniform(0, spacing), road.centre.length, spacing):
        place = float(s + rng.uniform(-0.2, 0.2) * spacing)
        away = side * (offset + float(rng.uniform(0, 0.1)))
        xy = road.centre.at(np.array([place]), away)
        if rng.random() < 0.85 and ground.edge(xy)[0] > 0.3:
            parts.append(_placed(ground, road, place, away, make(side, rng)))
    return parts


def _placed(ground: Ground, road: Road, s: float, offset: float, mesh: Mesh) -> Mesh:
    at = np.array([s])
    xy, direction = road.centre.at(at, offset), road.centre.direction(at)[0]
    yaw = np.degrees(np.arctan2(direction[1], direction[0]))
    return mesh.moved(from_rpy_deg((0, 0, yaw), (*xy[0], float(ground.height(xy)[0]))))


def _tree(side: int, rng: np.random.Generator) -> Mesh:
    height, spread = rng.uniform(4.5, 9.0), rng.uniform(1.4, 2.6)
    green = np.clip(np.array(LEAVES.colour) * rng.uniform(0.7, 1.3), 10, 220).astype(int)
    leaves = LEAVES.painted((int(green[0]), int(green[1]), int(green[2])))
    trunk = column((0, 0), 0.16, -0.6, 0.5 * height, BARK, 0.7)
    crowns = [
        ball(
            (*rng.uniform(-0.5, 0.5, 2), 0.66 * height + dz),
            (spread * f, spread * f, 0.3 * height * f),
            leaves,
        )
        for dz, f in ((0.0, 1.0), (0.14 * height, 0.75), (-0.06 * height, 0.85))
    ]
    return join([trunk, *crowns])


def _lamp_post(side: int, rng: np.random.Generator) -> Mesh:
    height = rng.uniform(5.5, 8.0)
    arm = tube((0, 0, height), (0, -side * 1.4, height + 0.2), 0.05, METAL, 6)
    lamp = cuboid((0, -side * 1.4, height + 0.15), (0.25, 0.6, 0.1), LAMP)
    return join([column((0, 0), 0.09, -0.6, height, METAL, 0.7), arm, lamp])


def _sign(side: int, rng: np.random.Generator) -> Mesh:
    colour = ((205, 40, 40), (40, 80, 170), (230, 200, 40), (235, 235, 235))[int(rng.integers(4))]
    plate = Material(colour, SIGN.reflectivity, SIGN.rcs, SIGN.roughness)
    board = cuboid((0, 0, 2.3), (0.03, rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.9)), plate)
    return join([column((0, 0), 0.035, -0.4, 2.3, METAL), board])
