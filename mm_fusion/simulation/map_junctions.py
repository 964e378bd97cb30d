"""How crossroads with signals and roundabouts are laid out."""

from __future__ import annotations

import numpy as np

from mm_fusion.measurements import Float64
from mm_fusion.simulation.furniture import Style, country, furnish, pave, signal_mast, zebra
from mm_fusion.simulation.map_layouts import STREET_HALF, crossing_walk, kerb_slots, street_lanes
from mm_fusion.simulation.maps import LANE, GiveWay, Lane, Map, Signal
from mm_fusion.simulation.roads import Path, Road, arc, bend, line, make_ground
from mm_fusion.simulation.shapes import BARK, GRASS, Mesh, ball, column, join

ARM = 190.0
STRAIGHT_ON, LEFT, RIGHT = 0, 1, 3
"""Quarter turns from the way in to the way out."""


def intersection(rng: np.random.Generator, duration_s: float) -> Map:
    """Two streets that cross under signals; the own car comes from the west and goes any way."""
    speed, half = float(rng.uniform(8.0, 13.0)), STREET_HALF
    way = int(rng.choice([STRAIGHT_ON, LEFT, RIGHT], p=[0.4, 0.3, 0.3]))
    reach = np.full(4, ARM)
    reach[way] = max(ARM, speed * duration_s)
    roads = [
        Road(Path(line((-reach[2], 0), (reach[0], 0))), half),
        Road(Path(line((0, -reach[3]), (0, reach[1]))), half),
    ]
    ground = make_ground(roads, rng, steep=0.7)
    arms = [Road(Path(line(_out(q, half + 3.0), _out(q, reach[q]))), half) for q in range(4)]
    lanes = [_through(2, way, reach, speed, 0.01)]
    lanes += [
        _through(
            q, turn, reach, speed * float(rng.uniform(0.9, 1.1)), 0.009 if turn == STRAIGHT_ON else 0.0045
        )
        for q in range(4)
        for turn in (STRAIGHT_ON, LEFT, RIGHT)
        if not (q == 2 and turn == way)
    ]
    for arm in arms:
        lanes += street_lanes(arm, rng, (1.5,))[2:]
    slots = np.concatenate([kerb_slots(arm, 14.0) for arm in arms])
    parts = [country(ground, rng), furnish(ground, Style(), rng)]
    parts += [pave(ground, road) for road in roads] + [zebra(ground, arm, 1.5) for arm in arms]
    parts += [signal_mast(ground, arm) for arm in arms]
    start = float(ARM - rng.uniform(45, 110))
    return Map(ground, join(parts), tuple(lanes), start, slots, signal_period_s=float(rng.uniform(18, 30)))


def roundabout(rng: np.random.Generator, duration_s: float) -> Map:
    """A roundabout of one lane with four arms; who comes in gives way."""
    speed, radius = float(rng.uniform(8.0, 12.0)), float(rng.uniform(15.0, 22.0))
    half = LANE + 0.5
    out = int(rng.choice([0, 1, 3], p=[0.45, 0.35, 0.2]))
    reach = np.full(4, ARM)
    reach[out] = max(ARM, speed * duration_s)
    arms = [Road(Path(line(_out(q, radius), _out(q, reach[q]))), half) for q in range(4)]
    ring = Road(Path(arc((0, 0), radius, 0, 2 * np.pi)), 3.4)
    slips = [Road(Path(piece), 2.4, 0.0) for q in range(4) for piece in _slips(q, radius)]
    ground = make_ground([ring, *arms, *slips], rng, steep=0.7)
    lanes = [_around(2, out, radius, reach, speed, 0.008)]
    lanes += [
        _around(q, exit_arm, radius, reach, speed, 0.006)
        for q in range(4)
        for exit_arm in range(4)
        if exit_arm != q and not (q == 2 and exit_arm == out)
    ]
    for arm in arms:
        outer = Road(
            Path(line(arm.centre.at(np.array(18.0)), arm.centre.at(np.array(arm.centre.length)))), half
        )
        lanes += [crossing_walk(outer, 4.0 + side, side, rng) for side in (-1, 1)]
        for side in (-1, 1):
            lanes.append(
                Lane(outer.centre.beside(side * (half + (0.9 if side > 0 else 2.6))), 1.35, 0.012, "walk")
            )
    parts = [
        country(ground, rng),
        furnish(ground, Style(setback=7.0), rng),
        _island(radius - 5.0, ground.height(np.zeros((1, 2)))[0]),
    ]
    parts += [
        pave(ground, road, dashed)
        for road, dashed in [(ring, ()), *((a, (0.0,)) for a in arms), *((s, ()) for s in slips)]
    ]
    parts += [zebra(ground, arm, 22.0) for arm in arms]
    return Map(ground, join(parts), tuple(lanes), float(ARM - radius - rng.uniform(35, 100)))


def _out(quarter: int, far: float, left: float = 0.0) -> Float64:
    """The point `far` along an arm (0 east, 1 north, 2 west, 3 south), `left` m left of its way out."""
    angle = quarter * np.pi / 2
    return far * np.array([np.cos(angle), np.sin(angle)]) + left * np.array([-np.sin(angle), np.cos(angle)])


def _through(quarter: int, turn: int, reach: Float64, speed: float, density: float) -> Lane:
    """From one arm in, over the crossing, out by the arm `turn` quarters further than straight on."""
    leave, box = (quarter + 2 + turn) % 4, STREET_HALF + 2.5
    coming, going = (quarter + 2) * np.pi / 2, leave * np.pi / 2
    enter, exit_ = _out(quarter, box, LANE / 2), _out(leave, box, -LANE / 2)
    middle = line(enter, exit_) if turn == STRAIGHT_ON else bend(enter, coming, exit_, going)
    first = line(_out(quarter, reach[quarter], LANE / 2), enter)
    path = Path(np.concatenate([first, middle, line(exit_, _out(leave, reach[leave], -LANE / 2))]))
    stop = reach[quarter] - box - 3.0
    rules = () if turn != LEFT else (_left_turn(quarter, path, stop + 7.0),)
    slow = () if turn == STRAIGHT_ON else ((stop - 18.0, 5.5), (stop + 22.0, speed))
    until = stop - 8.0
    return Lane(path, speed, density, "road", rules, (Signal(stop, quarter % 2),), slow, until)


def _left_turn(quarter: int, path: Path, line_s: float) -> GiveWay:
    """Wait within the crossing for those who come straight on from the other side."""
    s = np.arange(line_s, line_s + 25, 0.5)
    against = _out(quarter, 1.0, -LANE / 2) - _out(quarter, 0.0, 0.0)  # where oncoming traffic's lane lies
    away = _out(quarter, 0.0, 1.0)
    offset = path.at(s) @ away
    crossing = path.at(s)[int(np.argmin(np.abs(offset - against @ away)))]
    return GiveWay(line_s, float(crossing[0]), float(crossing[1]), 2.2, 3.5)


def _slips(quarter: int, radius: float) -> tuple[Float64, Float64]:
    """The ways from an arm onto the ring and from the ring onto the arm."""
    phi, delta, far = quarter * np.pi / 2, np.radians(38.0), radius + 13.0
    ring_in = radius * np.array([np.cos(phi + delta), np.sin(phi + delta)])
    ring_out = radius * np.array([np.cos(phi - delta), np.sin(phi - delta)])
    into = bend(_out(quarter, far, LANE / 2), phi + np.pi, ring_in, phi + delta + np.pi / 2)
    off = bend(ring_out, phi - delta + np.pi / 2, _out(quarter, far, -LANE / 2), phi)
    return into, off


def _around(quarter: int, leave: int, radius: float, reach: Float64, speed: float, density: float) -> Lane:
    """In by one arm, counter-clockwise round the island, out by another."""
    delta = np.radians(38.0)
    start = quarter * np.pi / 2 + delta
    turn = ((leave - quarter) % 4 or 4) * np.pi / 2 - 2 * delta
    into, off = _slips(quarter, radius)[0], _slips(leave, radius)[1]
    far = radius + 13.0
    first = line(_out(quarter, reach[quarter], LANE / 2), _out(quarter, far, LANE / 2))
    last = line(_out(leave, far, -LANE / 2), _out(leave, reach[leave], -LANE / 2))
    path = Path(np.concatenate([first, into, arc((0, 0), radius, start, start + turn), off, last]))
    enter = reach[quarter] - far
    upstream = radius * np.array([np.cos(start - 0.35), np.sin(start - 0.35)])
    rule = GiveWay(enter + 5.0, float(upstream[0]), float(upstream[1]), 4.0, 2.2)
    ring_speed = float(np.sqrt(1.8 * radius))
    out_s = enter + 12 + radius * turn + 18
    return Lane(
        path, speed, density, "road", (rule,), (), ((enter - 15, ring_speed), (out_s, speed)), enter - 2
    )


def _island(radius: float, height: float) -> Mesh:
    mound = column((0, 0), radius, height - 0.4, height + 0.9, GRASS, 0.3)
    tree = [
        column((0, 0), 0.2, height, height + 4.0, BARK),
        ball((0, 0, height + 5.0), (2.4, 2.4, 2.2), GRASS),
    ]
    return join([mound, *tree])
