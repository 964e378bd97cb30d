"""Cars, trucks, buses and trailers of many builds."""

from __future__ import annotations

import numpy as np

from mm_fusion.simulation.bodies import Part, Size, body, wheel
from mm_fusion.simulation.shapes import (
    GLASS,
    LAMP,
    METAL,
    PAINTWORK,
    PLASTIC,
    PLATE,
    TAIL_LAMP,
    Colour,
    Material,
    Mesh,
    cuboid,
    loft,
)

_PAINTS: tuple[tuple[Colour, float], ...] = (
    ((228, 228, 226), 0.24),
    ((34, 35, 38), 0.2),
    ((112, 115, 120), 0.18),
    ((182, 184, 187), 0.13),
    ((32, 58, 118), 0.09),
    ((148, 24, 28), 0.08),
    ((120, 98, 74), 0.03),
    ((36, 84, 58), 0.03),
    ((214, 176, 40), 0.02),
)

# Fractions of the length from the back: boot, rear window foot, roof back, roof front, windscreen foot.
_BUILDS: dict[str, tuple[float, float, float, float, float]] = {
    "sedan": (0.0, 0.14, 0.30, 0.55, 0.72),
    "hatchback": (0.0, 0.02, 0.10, 0.56, 0.74),
    "estate": (0.0, 0.01, 0.06, 0.57, 0.73),
    "van": (0.0, 0.01, 0.03, 0.70, 0.88),
}


def draw_paint(rng: np.random.Generator) -> Material:
    """Car paint in a colour as common as on the road."""
    shares = np.array([share for _, share in _PAINTS])
    colour = np.array(_PAINTS[int(rng.choice(len(_PAINTS), p=shares / shares.sum()))][0])
    red, green, blue = np.clip(colour + rng.normal(0, 6, 3), 5, 250)
    return PAINTWORK.painted((int(red), int(green), int(blue)))


def car(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A sedan, hatchback, estate or van with bumpers, windows, lamps, plates and mirrors inside its width."""
    length, width, height = size
    builds = ("van",) if height > 1.85 else ("sedan", "hatchback", "estate")
    build = builds[int(rng.integers(len(builds)))]
    paint = draw_paint(rng)
    _, rear, roof_back, roof_front, screen = _BUILDS[build]
    waist, sill, half = 0.58 * height, 0.13 * height, 0.47 * width
    bonnet = (0.5 if build != "van" else 0.52) * height

    def at(fraction: float) -> float:
        return (fraction - 0.5) * length

    lower = loft(
        [
            (at(0.006), 1.6 * sill, 0.93 * waist, 0.9 * half, 0.85 * half),
            (at(0.04), sill, waist, half, 0.95 * half),
            (at(screen), sill, waist, half, 0.95 * half),
            (at(0.95), sill, bonnet, 0.97 * half, 0.88 * half),
            (at(0.994), 1.5 * sill, 0.86 * bonnet, 0.85 * half, 0.78 * half),
        ],
        paint,
    )
    roof, low, high = 0.97 * height, 0.94 * half, 0.78 * half
    windows = loft(
        [
            (at(rear), 0.97 * waist, waist, low, low),
            (at(roof_back), 0.97 * waist, roof, low, high),
            (at(roof_front), 0.97 * waist, roof, low, high),
            (at(screen), 0.97 * waist, waist, low, low),
        ],
        GLASS,
    )
    roof_middle = (at(roof_back) + at(roof_front)) / 2
    top = cuboid(
        (roof_middle, 0, 0.98 * height),
        ((roof_front - roof_back) * length, 1.56 * half, 0.04 * height),
        paint,
    )
    pillars = [
        cuboid(
            (at(fraction), side * 0.885 * half, 0.78 * height), (0.06, 0.12 * half, 0.36 * height), paint, 0.9
        )
        for fraction in (roof_back + 0.02, (roof_back + roof_front) / 2)
        for side in (-1, 1)
    ]
    mirrors = [
        cuboid((at(screen) - 0.15, side * 0.475 * width, 1.06 * waist), (0.12, 0.05 * width, 0.12), PLASTIC)
        for side in (-1, 1)
    ]
    shell = body(
        [
            lower,
            windows,
            top,
            *pillars,
            *mirrors,
            *_lamps(length, width, 0.46 * height),
            *_plates(length, height),
        ]
    )
    radius = min(0.34, 0.22 * height)
    return (shell, *_wheels(width, radius, (-0.3 * length, 0.31 * length)))


def truck(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A lorry: cab with windscreen, cargo box or tank on an open frame, wheels on two or three axles."""
    length, width, height = size
    paint, half = draw_paint(rng), 0.48 * width
    cab_length = float(np.clip(0.24 * length, 1.7, 2.3))
    front, cab_back = length / 2 - 0.02, length / 2 - cab_length
    cab_top = min(height, max(0.78 * height, 2.3))
    cab = loft(
        [
            (cab_back, 0.5, cab_top, half, 0.95 * half),
            (front - 0.3, 0.4, cab_top, half, 0.93 * half),
            (front, 0.4, 0.55 * cab_top, half, half),
        ],
        paint,
    )
    glass = loft(
        [
            (front - 0.24, 0.58 * cab_top, 0.88 * cab_top, 0.88 * half, 0.86 * half),
            (front - 0.01, 0.56 * cab_top, 0.6 * cab_top, 0.88 * half, 0.88 * half),
        ],
        GLASS,
    )
    cargo = _cargo(0.13 - length / 2, cab_back - 0.15, half, height, rng)
    frame = cuboid((-0.03 * length, 0, 0.75), (0.92 * length, 0.4 * width, 0.25), PLASTIC)
    guard = cuboid((-length / 2 + 0.08, 0, 0.55), (0.1, 0.9 * width, 0.12), METAL)
    axles = [front - 0.55 * cab_length, -0.3 * length]
    if length > 8.5:
        axles.append(-0.3 * length + 1.15)
    shell = body([cab, glass, cargo, frame, guard, *_lamps(length, width, 0.85), *_plates(length, 1.6)])
    return (shell, *_wheels(width, 0.48, axles))


def bus(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A city bus: one long body with a band of windows and low skirts."""
    length, width, height = size
    half, paint = 0.49 * width, draw_paint(rng)
    lower = loft([(s * 0.496 * length, 0.32, 0.42 * height, half, half) for s in (-1, 1)], paint)
    band = loft(
        [(s * 0.494 * length, 0.42 * height, 0.86 * height, 0.985 * half, 0.97 * half) for s in (-1, 1)],
        GLASS,
    )
    roof = loft([(s * 0.5 * length, 0.86 * height, height, half, 0.9 * half) for s in (-1, 1)], paint)
    posts = [
        cuboid((x, side * 0.985 * half, 0.64 * height), (0.14, 0.03 * half, 0.45 * height), paint)
        for x in np.linspace(-0.46, 0.46, 8) * length
        for side in (-1, 1)
    ]
    shell = body([lower, band, roof, *posts, *_lamps(length, width, 0.75), *_plates(length, 1.8)])
    return (shell, *_wheels(width, 0.48, (-0.28 * length, 0.3 * length)))


def trailer(size: Size, rng: np.random.Generator) -> tuple[Part, ...]:
    """A semi-trailer: box, tank or curtain sides high over three axles at the back."""
    length, width, height = size
    half = 0.48 * width
    cargo = _cargo(0.12 - length / 2, length / 2, half, height, rng)
    frame = cuboid((0, 0, 1.0), (0.96 * length, 0.38 * width, 0.3), PLASTIC)
    legs = [cuboid((0.24 * length, s * 0.6 * half, 0.5), (0.15, 0.12, 0.9), METAL) for s in (-1, 1)]
    guard = cuboid((-length / 2 + 0.06, 0, 0.5), (0.08, 0.9 * width, 0.12), METAL)
    tails = _lamps(length, width, 0.95)[2:]
    axles = [-0.40 * length + offset for offset in (0.0, 1.15, 2.3)]
    shell = body([cargo, frame, *legs, guard, *tails, _plates(length, 1.9)[0]])
    return (shell, *_wheels(width, 0.48, axles))


def _cargo(back: float, front: float, half: float, height: float, rng: np.random.Generator) -> Mesh:
    shade = rng.uniform(0.35, 1.25)
    red, green, blue = np.clip(np.array([190, 190, 186]) * shade * rng.uniform(0.8, 1.1, 3), 20, 245)
    stuff = METAL.painted((int(red), int(green), int(blue)))
    if rng.random() < 0.2:  # a tank
        middle, third = (0.95 + height) / 2, (height - 0.95) / 2
        levels = [(-1.0, 0.35), (-0.6, 0.85), (0.0, 1.0), (0.6, 0.85), (1.0, 0.35)]
        rings = [
            loft(
                [(x, middle + a * third, middle + b * third, w * half, v * half) for x in (back, front)],
                stuff,
            )
            for (a, w), (b, v) in zip(levels, levels[1:])
        ]
        from mm_fusion.simulation.shapes import join

        return join(rings)
    return loft([(x, 0.95, height, half * 1.04, half * 1.04) for x in (back, front)], stuff)


def _wheels(width: float, radius: float, axles: tuple[float, ...] | list[float]) -> list[Part]:
    breadth = 0.115 * width
    places = [(x, side * (0.49 * width - breadth / 2), radius) for x in axles for side in (-1, 1)]
    return [wheel(place, radius, breadth) for place in places]


def _lamps(length: float, width: float, height: float) -> list[Mesh]:
    """Two head lamps, then two tail lamps."""
    head = [
        cuboid((0.492 * length, s * 0.34 * width, height), (0.016 * length, 0.13 * width, 0.13), LAMP)
        for s in (-1, 1)
    ]
    tail = [
        cuboid(
            (-0.494 * length, s * 0.37 * width, height + 0.12), (0.012 * length, 0.1 * width, 0.16), TAIL_LAMP
        )
        for s in (-1, 1)
    ]
    return [*head, *tail]


def _plates(length: float, height: float) -> list[Mesh]:
    """The rear plate, then the front one."""
    return [
        cuboid((s * 0.496 * length, 0, 0.3 * height), (0.008 * length, 0.5, 0.12), PLATE) for s in (-1, 1)
    ]
