"""Excavators and loaders, traffic cones, barriers."""

from __future__ import annotations

import numpy as np

from mm_fusion.simulation.bodies import Part, Size, body, wheel
from mm_fusion.simulation.shapes import (
    CONCRETE,
    CONE,
    CONE_BAND,
    GLASS,
    LAMP,
    METAL,
    PLASTIC,
    RUBBER,
    Material,
    column,
    cuboid,
    loft,
    tube,
)

YELLOW = Material((216, 160, 24), 0.5, 1.0, 0.3)


def construction_vehicle(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A wheel loader or a tracked excavator, its arm ahead of it."""
    return _loader(size) if rng.random() < 0.5 else _excavator(size)


def _loader(size: Size) -> tuple[Part, ...]:
    length, width, height = size
    half = width / 2
    radius = 0.23 * height
    engine = loft(
        [(x * length, 0.8 * radius, 0.62 * height, 0.6 * half, 0.55 * half) for x in (-0.5, -0.08)], YELLOW
    )
    cab = cuboid((0.0, 0, 0.735 * height), (0.24 * length, 0.6 * width, 0.5 * height), GLASS, 0.88)
    roof = cuboid((0.0, 0, 0.985 * height), (0.22 * length, 0.56 * width, 0.03 * height), YELLOW)
    front = cuboid((0.2 * length, 0, 0.36 * height), (0.2 * length, 0.45 * width, 0.3 * height), YELLOW)
    arms = [
        tube(
            (0.15 * length, s * 0.4 * half, 0.5 * height),
            (0.38 * length, s * 0.4 * half, 0.22 * height),
            0.13,
            YELLOW,
        )
        for s in (-1, 1)
    ]
    bucket = loft(
        [
            (0.36 * length, 0.05, 0.36 * height, 0.98 * half, 0.98 * half),
            (0.5 * length, 0.05, 0.12 * height, 0.98 * half, 0.98 * half),
        ],
        METAL,
    )
    lamps = [cuboid((0.1 * length, s * 0.4 * half, 0.95 * height), (0.1, 0.15, 0.1), LAMP) for s in (-1, 1)]
    places = [(x * length, s * (half - 0.11 * width), radius) for x in (-0.3, 0.22) for s in (-1, 1)]
    wheels = [wheel(place, radius, 0.2 * width, 12) for place in places]
    return (body([engine, cab, roof, front, *arms, bucket, *lamps]), *wheels)


def _excavator(size: Size) -> tuple[Part, ...]:
    length, width, height = size
    half = width / 2
    back, body_front = -0.5 * length, 0.02 * length
    tracks = [
        cuboid(
            (-0.24 * length, s * 0.8 * half, 0.13 * height),
            (0.5 * length, 0.18 * width, 0.26 * height),
            RUBBER,
            0.85,
        )
        for s in (-1, 1)
    ]
    house = loft(
        [(x, 0.3 * height, 0.62 * height, 0.95 * half, 0.9 * half) for x in (back, body_front)], YELLOW
    )
    cab = cuboid(
        (-0.1 * length, 0.5 * half, 0.8 * height), (0.24 * length, 0.42 * width, 0.4 * height), GLASS, 0.9
    )
    elbow, tip = (0.26 * length, -0.2 * half, 0.93 * height), (0.44 * length, -0.2 * half, 0.3 * height)
    boom = tube((-0.05 * length, -0.2 * half, 0.55 * height), elbow, 0.2, YELLOW, taper=0.7)
    stick = tube(elbow, tip, 0.15, YELLOW)
    bucket = cuboid(
        (0.43 * length, -0.2 * half, 0.16 * height), (0.13 * length, 0.34 * width, 0.24 * height), METAL, 0.8
    )
    return (body([*tracks, house, cab, boom, stick, bucket]),)


def traffic_cone(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A cone with a reflecting band on a flat foot."""
    length, width, height = size
    foot = cuboid((0, 0, 0.02), (length, width, 0.04), PLASTIC if rng.random() < 0.5 else CONE)
    radius = 0.38 * min(length, width)

    def at(fraction: float) -> float:
        return radius * (1 - 0.8 * fraction)

    cuts = [(0.0, 0.35, CONE), (0.35, 0.6, CONE_BAND), (0.6, 0.96, CONE)]
    rings = [
        column((0, 0), at(a), 0.04 + a * height, min(0.04 + b * height, height), stuff, at(b) / at(a))
        for a, b, stuff in cuts
    ]
    return (body([foot, *rings]),)


def barrier(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A concrete wall element, or red and white planks on two feet; it is wider than long."""
    length, width, height = size
    if rng.random() < 0.45:
        base = loft([(s * length / 2, 0, 0.3 * height, width / 2, width / 2) for s in (-1, 1)], CONCRETE)
        upper = loft(
            [(s * 0.25 * length, 0.3 * height, height, width / 2, width / 2) for s in (-1, 1)], CONCRETE
        )
        return (body([base, upper]),)
    feet = [cuboid((0, s * 0.36 * width, 0.05), (length, 0.12, 0.1), PLASTIC) for s in (-1, 1)]
    posts = [cuboid((0, s * 0.36 * width, 0.5 * height), (0.06, 0.06, height), METAL) for s in (-1, 1)]
    stripes = np.linspace(-0.5, 0.5, 7)
    planks = [
        cuboid(
            (0.04, (a + b) / 2 * width, level * height),
            (0.04, width / 6, 0.2 * height),
            CONE if i % 2 else CONE_BAND,
        )
        for i, (a, b) in enumerate(zip(stripes, stripes[1:]))
        for level in (0.45, 0.88)
    ]
    return (body([*feet, *posts, *planks]),)
