"""People on foot, on bicycles and on motorcycles."""

from __future__ import annotations

import numpy as np

from mm_fusion.simulation.bodies import Part, Size, body, spoked, wheel
from mm_fusion.simulation.shapes import (
    CLOTH,
    LAMP,
    METAL,
    PLASTIC,
    SKIN,
    TAIL_LAMP,
    Colour,
    Material,
    Mesh,
    ball,
    cuboid,
    join,
    tube,
)

_CLOTHES: tuple[Colour, ...] = (
    (36, 40, 52),
    (70, 74, 80),
    (122, 40, 40),
    (44, 70, 120),
    (190, 186, 176),
    (60, 88, 62),
    (212, 190, 60),
    (150, 120, 92),
)


def _cloth(rng: np.random.Generator) -> Material:
    colour = np.clip(np.array(_CLOTHES[int(rng.integers(len(_CLOTHES)))]) * rng.uniform(0.8, 1.2), 10, 245)
    return CLOTH.painted((int(colour[0]), int(colour[1]), int(colour[2])))


def _hair(rng: np.random.Generator) -> Material:
    shade = int(rng.integers(15, 140))
    return CLOTH.painted((shade, int(0.85 * shade), int(0.7 * shade)))


def pedestrian(size: Size, rng: np.random.Generator, moving: bool) -> tuple[Part, ...]:
    """A person with head, trunk, legs and arms, which swing against each other while walking."""
    length, width, height = size
    coat, trousers = _cloth(rng), _cloth(rng)
    hip, shoulder, thick = 0.48 * height, 0.81 * height, 0.045 * height
    limb = 0.4 * height
    leg_swing = float(np.arcsin(np.clip((length / 2 - 0.18) / hip, 0.05, 0.5))) if moving else 0.0
    arm_swing = float(np.arcsin(np.clip((length / 2 - 0.06) / limb, 0.05, 0.5))) if moving else 0.0
    stride = 0.83 * height
    chest, waist = (0.7 * height, 0.82 * height), (0.46 * height, 0.7 * height)
    trunk = join(
        [
            cuboid((0, 0, sum(chest) / 2), (0.28 * length, 0.7 * width, chest[1] - chest[0]), coat, 0.85),
            cuboid((0, 0, sum(waist) / 2), (0.25 * length, 0.52 * width, waist[1] - waist[0]), coat, 1.12),
        ]
    )
    head = ball((0.01, 0, 0.915 * height), (0.055 * height, 0.048 * height, 0.072 * height), SKIN)
    hair = ball((-0.008, 0, 0.945 * height), (0.058 * height, 0.052 * height, 0.054 * height), _hair(rng))
    neck = tube((0, 0, 0.8 * height), (0, 0, 0.88 * height), 0.03 * height, SKIN, 6)
    parts = [body([trunk, head, hair, neck])]
    for side, phase in ((-1, 0.0), (1, np.pi)):
        leg = tube((0, 0, 0), (0, 0, -hip + 0.06), thick, trousers, 6, 0.7)
        foot = cuboid((0.04, 0, -hip + 0.07), (0.22, 0.09, 0.06), PLASTIC)
        arm = tube((0, 0, 0), (0.02, 0, -limb), 0.7 * thick, coat, 6, 0.7)
        parts.append(
            Part("leg", join([leg, foot]), (0, side * 0.15 * width, hip), 0.0, leg_swing, stride, phase)
        )
        place = (0.0, side * (0.5 * width - 0.75 * thick), shoulder)
        parts.append(Part("arm", arm, place, 0.0, arm_swing, stride, phase + np.pi))
    return tuple(parts)


def bicycle(size: Size, rng: np.random.Generator, moving: bool) -> tuple[Part, ...]:
    """A bicycle, with a rider whose legs go round when `moving`."""
    length, width, height = size
    scale = min(0.19 * length, 0.36)
    frame_paint = METAL.painted(
        (int(rng.integers(20, 220)), int(rng.integers(20, 220)), int(rng.integers(20, 220)))
    )
    rear, front = -length / 2 + scale, length / 2 - scale
    rise = (0.59 if moving else 0.94) * height
    saddle, handles = (-0.16 * length, 0, 0.92 * rise), (0.24 * length, 0, rise)
    pedals = (-0.03 * length, 0, 0.3)
    bars = [
        tube(pedals, saddle, 0.025, frame_paint, 5),
        tube(saddle, (0.22 * length, 0, 0.8 * rise), 0.02, frame_paint, 5),
        tube(pedals, (0.22 * length, 0, 0.75 * rise), 0.025, frame_paint, 5),
        tube((rear, 0, scale), pedals, 0.02, frame_paint, 5),
        tube((rear, 0, scale), saddle, 0.02, frame_paint, 5),
        tube((front, 0, scale), handles, 0.025, frame_paint, 5),
        tube((handles[0], -0.48 * width, rise), (handles[0], 0.48 * width, rise), 0.018, PLASTIC, 5),
        cuboid((saddle[0], 0, saddle[2] + 0.03), (0.24, 0.14, 0.07), PLASTIC),
        cuboid((rear - 0.5 * scale, 0, 0.7), (0.03, 0.05, 0.05), TAIL_LAMP),
        cuboid((handles[0] + 0.06, 0, 0.9 * rise), (0.05, 0.06, 0.06), LAMP),
    ]
    wheels = [spoked((x, 0, scale), scale, 0.05) for x in (rear, front)]
    if not moving:
        return (body(bars), *wheels)
    return (
        body([*bars, *_rider(saddle, handles, height, width, rng)]),
        *_pedalling(saddle, 0.5, rng),
        *wheels,
    )


def motorcycle(size: Size, rng: np.random.Generator, moving: bool) -> tuple[Part, ...]:
    """A motorcycle or scooter, with a helmeted rider when `moving`."""
    length, width, height = size
    paint = METAL.painted(
        (int(rng.integers(10, 230)), int(rng.integers(10, 120)), int(rng.integers(10, 160)))
    )
    height /= 1.0 if moving else 0.74
    radius = 0.145 * length
    rear, front = -length / 2 + radius, length / 2 - radius
    seat, handles = (-0.12 * length, 0, 0.52 * height), (0.2 * length, 0, 0.66 * height)
    block = cuboid((0.02 * length, 0, 0.3 * height), (0.34 * length, 0.4 * width, 0.26 * height), METAL)
    tank = cuboid((0.08 * length, 0, 0.5 * height), (0.26 * length, 0.36 * width, 0.14 * height), paint, 0.8)
    bench = cuboid((-0.18 * length, 0, 0.49 * height), (0.34 * length, 0.3 * width, 0.07 * height), PLASTIC)
    fork = tube((front, 0, radius), handles, 0.06, METAL, 6)
    swing_arm = tube((rear, 0, radius), (0, 0, 0.28 * height), 0.06, METAL, 6)
    bar = tube(
        (handles[0], -0.46 * width, handles[2]), (handles[0], 0.46 * width, handles[2]), 0.02, PLASTIC, 5
    )
    shield = cuboid((0.26 * length, 0, 0.62 * height), (0.08 * length, 0.5 * width, 0.2 * height), paint, 0.7)
    lamps = [
        cuboid((0.31 * length, 0, 0.6 * height), (0.05, 0.15, 0.12), LAMP),
        cuboid((-0.37 * length, 0, 0.5 * height), (0.04, 0.14, 0.07), TAIL_LAMP),
    ]
    wheels = [wheel((x, 0, radius), radius, 0.16 * width, 12) for x in (rear, front)]
    machine = [block, tank, bench, fork, swing_arm, bar, shield, *lamps]
    if moving:
        coat = _cloth(rng)
        machine += _rider(seat, handles, height, width, rng)
        machine += [
            tube(
                (seat[0], s * 0.16 * width, seat[2] + 0.06),
                (0.05 * length, s * 0.3 * width, 0.26 * height),
                0.075,
                coat,
                6,
            )
            for s in (-1, 1)
        ]
    return (body(machine), *wheels)


def _rider(
    saddle: tuple[float, float, float],
    handles: tuple[float, float, float],
    height: float,
    width: float,
    rng: np.random.Generator,
) -> list[Mesh]:
    """Trunk, head and arms of somebody who sits at `saddle`, hands at `handles`, `height` high in all."""
    coat = _cloth(rng)
    x, _, z = saddle
    neck = (x + 0.22, 0.0, height - 0.27)
    trunk = tube((x + 0.02, 0, z + 0.02), neck, 0.17, coat, 8, 1.1)
    head = ball(
        (neck[0] + 0.06, 0, height - 0.13), (0.12, 0.1, 0.13), PLASTIC if rng.random() < 0.5 else SKIN
    )
    arms = [
        tube((neck[0], s * 0.17, neck[2] - 0.05), (handles[0], s * 0.36 * width, handles[2]), 0.05, coat, 6)
        for s in (-1, 1)
    ]
    return [trunk, head, *arms]


def _pedalling(saddle: tuple[float, float, float], reach: float, rng: np.random.Generator) -> list[Part]:
    trousers = _cloth(rng)
    legs = []
    for side, phase in ((-1, 0.0), (1, np.pi)):
        thigh = tube((0, 0, 0), (0.34, 0, -0.2), 0.075, trousers, 6, 0.8)
        shin = tube((0.34, 0, -0.2), (0.22, 0, -0.2 - reach + 0.12), 0.055, trousers, 6, 0.8)
        pivot = (saddle[0] + 0.02, side * 0.12, saddle[2] + 0.02)
        legs.append(Part("leg", join([thigh, shin]), pivot, 0.0, 0.3, 5.0, phase))
    return legs
