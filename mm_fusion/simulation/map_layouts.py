"""How each kind of map is laid out."""

from __future__ import annotations

import numpy as np

from mm_fusion.simulation.furniture import Style, country, furnish, pave
from mm_fusion.simulation.maps import LANE, Lane, Map, rows
from mm_fusion.simulation.roads import Path, Road, line, make_ground
from mm_fusion.simulation.shapes import join

BEHIND, AHEAD = 130.0, 170.0


def straight(rng: np.random.Generator, duration_s: float) -> Map:
    """A street with a lane each way, parked cars on both sides, houses and people."""
    speed = float(rng.uniform(8.0, 14.0))
    length = BEHIND + speed * duration_s + AHEAD
    half = LANE + 1.3 + 2.2
    road = Road(Path(line((0, 0), (length, 0))), half)
    ground = make_ground([road], rng)
    lanes = [
        Lane(road.centre.beside(-LANE / 2), speed, 0.02),
        Lane(road.centre.beside(LANE / 2).backwards(), speed, 0.02),
        *_cycles_and_walks(road),
    ]
    slots = [
        (float(x), side * (half - 1.1), 0.0 if side < 0 else np.pi)
        for side in (-1, 1)
        for x in np.arange(8.0, length, 7.2)
    ]
    parts = [country(ground, rng), pave(ground, road), furnish(ground, Style(), rng)]
    return Map(ground, join(parts), tuple(lanes), BEHIND, rows(slots))


def _cycles_and_walks(road: Road) -> list[Lane]:
    kerbside = LANE + 0.55
    lanes = [
        Lane(road.centre.beside(-kerbside), 4.8, 0.008, "cycle"),
        Lane(road.centre.backwards().beside(-kerbside), 4.8, 0.008, "cycle"),
    ]
    for side in (-1, 1):
        for offset, turned in ((1.4, False), (2.1, True)):
            walk = road.centre.beside(side * (road.half_width + offset))
            lanes.append(Lane(walk.backwards() if turned else walk, 1.35, 0.012, "walk"))
    return lanes
