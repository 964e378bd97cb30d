"""How streets, country roads, motorways and car parks are laid out."""

from __future__ import annotations

import numpy as np

from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import Float64
from mm_fusion.simulation.furniture import Style, country, furnish, lamp_row, pave, wall, zebra
from mm_fusion.simulation.maps import LANE, GiveWay, Lane, Map, rows
from mm_fusion.simulation.roads import Ground, Path, Road, line, make_ground, rounded, winding
from mm_fusion.simulation.shapes import CONCRETE, METAL, SIGN, Mesh, cuboid, join

BEHIND, AHEAD = 130.0, 170.0
STREET_HALF = LANE + 1.3 + 2.2
"""Half a street: a lane, a strip for bicycles, parked cars."""


def straight(rng: np.random.Generator, duration_s: float) -> Map:
    """A street with a lane each way, parked cars on both sides, houses and people."""
    speed = float(rng.uniform(8.0, 14.0))
    length = BEHIND + speed * duration_s + AHEAD
    return _street(Path(line((0, 0), (length, 0))), speed, Style(), rng)


def curve(rng: np.random.Generator, duration_s: float) -> Map:
    """A winding road, through a town or through woods with guard rails."""
    town = rng.random() < 0.5
    speed = float(rng.uniform(8.0, 12.0) if town else rng.uniform(12.0, 17.0))
    tightest, widest = (45.0, 120.0) if town else (90.0, 260.0)
    centre = Path(winding(BEHIND + speed * duration_s + AHEAD, rng, tightest, widest))
    if town:
        return _street(centre, speed, Style(), rng)
    road = Road(centre, LANE + 0.4, 0.0)
    ground = make_ground([road], rng, kerb=0.0)
    lanes = (
        Lane(centre.beside(-LANE / 2), speed, 0.016),
        Lane(centre.beside(LANE / 2).backwards(), speed, 0.016),
    )
    style = Style(buildings=0.0, trees=25.0, poles=0.0, signs=70.0, rails=rng.random() < 0.7)
    parts = [country(ground, rng), pave(ground, road, solid=(-LANE, LANE)), furnish(ground, style, rng)]
    return Map(ground, join(parts), lanes, BEHIND)


def highway(rng: np.random.Generator, duration_s: float) -> Map:
    """Two carriageways of three lanes between guard rails, with bridges and sign gantries across."""
    speed = float(rng.uniform(24.0, 33.0))
    length = 170.0 + speed * duration_s + AHEAD
    half, median = 1.5 * LANE + 2.6, float(rng.uniform(2.5, 4.0))
    middle = Path(winding(length, rng, 900.0, 3000.0))
    roads = [Road(middle.beside(side * (half + median / 2)), half, 0.0) for side in (-1, 1)]
    ground = make_ground(roads, rng, kerb=0.0, steep=0.7)
    lanes = []
    for index in (1, 0, 2):  # the own car drives in the middle
        offset, faster = (index - 1) * LANE, 0.9 + 0.1 * index
        lanes.append(Lane(roads[0].centre.beside(offset), speed * faster, 0.012))
        lanes.append(Lane(roads[1].centre.beside(-offset).backwards(), speed * faster, 0.012))
    style = Style(buildings=0.0, trees=0.0, poles=0.0, signs=180.0, rails=True)
    parts = [country(ground, rng), furnish(ground, style, rng)]
    parts += [pave(ground, road, (-LANE / 2, LANE / 2), (-1.5 * LANE, 1.5 * LANE)) for road in roads]
    if rng.random() < 0.5:
        side = int(rng.choice([-1, 1]))
        parts.append(wall(ground, middle, side * (2 * half + median / 2 + 2.0), float(rng.uniform(2.5, 4.5))))
    parts += _overhead(ground, middle, 2 * half + median / 2 + 2.5, rng)
    works = _works_beside(roads[0], -(half - 1.25), rng)
    return Map(ground, join(parts), tuple(lanes), 170.0, works=works)


def parking(rng: np.random.Generator, duration_s: float) -> Map:
    """A car park: aisles between rows of parked cars, along which the own car looks for a place."""
    aisle, spacing, speed = 56.0, 18.0, float(rng.uniform(2.8, 4.5))
    count = max(int(np.ceil((speed * duration_s + 60) / (aisle + spacing))), 3)
    lot = Road(Path(line((-14, 0), (spacing * count, 0))), aisle / 2 + 11, 4.0)
    ground = make_ground([lot], rng, steep=0.6, camber=0.004)
    corners = [
        (k * spacing, side * (aisle / 2 + 5))
        for k in range(count)
        for side in ((-1, 1) if k % 2 == 0 else (1, -1))
    ]
    snake = Path(rounded(np.array(corners), 12.0))
    lanes = [
        Lane(snake.beside(-1.45), speed, 0.012, "aisle"),
        Lane(snake.backwards().beside(-1.45), speed, 0.012, "aisle"),
        *(_aisle_walk(k * spacing + side * 3.1, aisle, k, side) for k in range(count) for side in (-1, 1)),
    ]
    slots = [
        (k * spacing + side * 6.2, float(y), 0.0 if rng.random() < 0.7 else np.pi)
        for k in range(count)
        for side in (-1, 1)
        for y in np.arange(-aisle / 2 + 4, aisle / 2 - 4, 2.7)
    ]
    style = Style(buildings=0.7, setback=7.0, trees=14.0, poles=24.0, signs=40.0)
    parts = [country(ground, rng), pave(ground, lot, dashed=()), furnish(ground, style, rng)]
    for k in range(count + 1):
        row = Path(line(((k - 0.5) * spacing, -aisle / 2 + 3), ((k - 0.5) * spacing, aisle / 2 - 3)))
        parts.append(lamp_row(ground, row, 18.0))
    return Map(ground, join(parts), tuple(lanes), 12.0, rows(slots))


def street_lanes(road: Road, rng: np.random.Generator, crossings: tuple[float, ...] = ()) -> list[Lane]:
    """Bicycles at both sides of a street, people on both pavements, some of whom cross."""
    kerbside = LANE + 0.55
    lanes = [
        Lane(centre.beside(-kerbside), 4.8, 0.008, "cycle")
        for centre in (road.centre, road.centre.backwards())
    ]
    for side in (-1, 1):
        for offset, turned in ((0.83, False), (2.67, True)):
            walk = road.centre.beside(side * (road.half_width + offset))
            lanes.append(Lane(walk.backwards() if turned else walk, 1.35, 0.012, "walk"))
        lanes += [crossing_walk(road, s + side, side, rng) for s in crossings]
    return lanes


def crossing_walk(road: Road, s: float, side: int, rng: np.random.Generator) -> Lane:
    """A way along a pavement, over the road at `s` where nobody comes, and on along the other side."""
    start, end = max(s - 45.0, -5.0), min(s + 30.0, road.centre.length + 5.0)
    near, far = side * (road.half_width + 1.75), -side * (road.half_width + 1.75)
    approach = road.centre.at(np.linspace(start, s, 12), near)
    xy = np.concatenate([approach, road.centre.at(np.linspace(s, end, 9), far)])
    before = float(np.hypot(*np.diff(approach, axis=0).T).sum())
    x, y = road.centre.at(np.array(s))
    rule = GiveWay(before + 0.9, float(x), float(y), road.half_width - 1.0, 4.5)
    density = float(rng.uniform(0.02, 0.05))
    return Lane(Path(rounded(xy, 1.2)), 1.35, density, "walk", (rule,), enter_until=max(before - 1.0, 3.0))


def _street(centre: Path, speed: float, style: Style, rng: np.random.Generator) -> Map:
    road = Road(centre, STREET_HALF)
    ground = make_ground([road], rng)
    crossings = tuple(float(s) for s in np.arange(BEHIND + rng.uniform(25, 60), centre.length - 40, 85.0))
    lanes = [
        Lane(centre.beside(-LANE / 2), speed, 0.02),
        Lane(centre.beside(LANE / 2).backwards(), speed, 0.02),
        *street_lanes(road, rng, crossings),
    ]
    works = _works_beside(road, -(STREET_HALF - 1.2), rng)
    slots = kerb_slots(road, 8.0, crossings)
    parts = [country(ground, rng), pave(ground, road), furnish(ground, style, rng)]
    parts += [zebra(ground, road, s) for s in crossings]
    return Map(ground, join(parts), tuple(lanes), BEHIND, slots, works)


def kerb_slots(road: Road, start: float, crossings: tuple[float, ...] = ()) -> Float64:
    """(M, 3) parking places along both kerbs from `start` on, none near crossings."""
    at = np.arange(start, road.centre.length - 4, 7.2)
    at = np.array([s for s in at if all(abs(s - c) > 8 for c in crossings)])
    out = []
    for side in (-1, 1):
        xy, direction = road.centre.at(at, side * (road.half_width - 1.1)), road.centre.direction(at)
        yaw = np.arctan2(direction[:, 1], direction[:, 0]) + (0.0 if side < 0 else np.pi)
        out.append(np.column_stack([xy, yaw]))
    return np.concatenate(out)


def _works_beside(road: Road, offset: float, rng: np.random.Generator) -> tuple[Path, ...]:
    """Lines of up to two road works at one side of a road, somewhere ahead of the own car."""
    starts = rng.uniform(BEHIND + 25, max(road.centre.length - 120, BEHIND + 60), int(rng.integers(0, 3)))
    return tuple(Path(road.centre.at(np.linspace(s, s + 26, 14), offset)) for s in starts)


def _overhead(ground: Ground, middle: Path, half: float, rng: np.random.Generator) -> list[Mesh]:
    """Bridges and gantries across both carriageways, every few hundred metres."""
    parts, s = [], float(rng.uniform(200, 320))
    while s < middle.length - 20:
        (x, y), (dx, dy) = middle.at(np.array(s)), middle.direction(np.array(s))
        z = float(ground.height(np.array([[x, y]]))[0])
        pose = from_rpy_deg((0, 0, float(np.degrees(np.arctan2(dy, dx)))), (float(x), float(y), z))
        parts.append((_bridge(half) if rng.random() < 0.5 else _gantry(half)).moved(pose))
        s += float(rng.uniform(150, 420))
    return parts


def _bridge(half: float) -> Mesh:
    deck = cuboid((0, 0, 6.2), (9.0, 2 * half + 14, 1.1), CONCRETE)
    edges = [cuboid((x, 0, 7.2), (0.2, 2 * half + 14, 0.9), METAL) for x in (-4.4, 4.4)]
    piers = [cuboid((0, y, 2.5), (6.0, 0.7, 7.0), CONCRETE) for y in (-half - 1.5, half + 1.5)]
    return join([deck, *edges, *piers])


def _gantry(half: float) -> Mesh:
    beam = cuboid((0, 0, 6.6), (0.4, 2 * half, 0.5), METAL)
    legs = [cuboid((0, y, 3.0), (0.35, 0.35, 7.4), METAL) for y in (-half, half)]
    boards = [
        cuboid((-0.3, y, 6.5), (0.1, 4.5, 2.4), SIGN.painted((40, 80, 170)))
        for y in (-0.5 * half, 0.5 * half)
    ]
    return join([beam, *legs, *boards])


def _aisle_walk(x: float, aisle: float, k: int, side: int) -> Lane:
    ends = ((x, 6 - aisle / 2), (x, aisle / 2 - 6))
    return Lane(Path(line(*(ends if (k + side) % 2 else ends[::-1]))), 1.3, 0.014, "walk")
