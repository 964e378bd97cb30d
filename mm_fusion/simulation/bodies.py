"""Road users built of parts: a body, wheels that roll, limbs that swing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mm_fusion.simulation.shapes import RIM, RUBBER, Mesh, join, ring, tube

Size = tuple[float, float, float]

SIZES: dict[str, tuple[Size, Size, tuple[Size, Size]]] = {
    "car": ((4.6, 1.9, 1.65), (0.35, 0.09, 0.15), ((3.5, 1.6, 1.35), (5.6, 2.15, 2.1))),
    "truck": ((7.2, 2.5, 3.0), (1.4, 0.15, 0.4), ((5.2, 2.1, 2.3), (11.0, 2.6, 3.9))),
    "bus": ((11.2, 2.75, 3.3), (1.2, 0.15, 0.2), ((8.0, 2.4, 2.8), (13.5, 3.0, 3.9))),
    "trailer": ((11.5, 2.6, 3.8), (1.3, 0.1, 0.2), ((7.5, 2.4, 3.3), (13.7, 2.75, 4.1))),
    "construction_vehicle": ((6.4, 2.7, 3.1), (0.7, 0.15, 0.2), ((5.0, 2.3, 2.7), (8.0, 3.0, 3.6))),
    "pedestrian": ((0.75, 0.66, 1.74), (0.1, 0.06, 0.1), ((0.5, 0.5, 1.2), (1.0, 0.8, 1.98))),
    "motorcycle": ((2.1, 0.78, 1.6), (0.12, 0.06, 0.07), ((1.75, 0.65, 1.45), (2.4, 0.95, 1.8))),
    "bicycle": ((1.75, 0.6, 1.68), (0.07, 0.04, 0.07), ((1.55, 0.5, 1.5), (1.95, 0.72, 1.85))),
    "traffic_cone": ((0.4, 0.4, 0.78), (0.04, 0.04, 0.14), ((0.3, 0.3, 0.5), (0.5, 0.5, 1.05))),
    "barrier": ((0.5, 2.3, 1.0), (0.06, 0.3, 0.08), ((0.35, 1.6, 0.8), (0.65, 3.0, 1.15))),
}
"""Mean, spread and limits of length, width, height (m), near the nuScenes boxes of these classes."""


_BARE = {"bicycle": 0.63, "motorcycle": 0.73}
"""Height without a rider, relative to that with one."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A rigid piece of an actor. mesh: relative to `pivot` (3,) m in the actor's axes.

    It turns about y through the pivot by `travelled / radius` (a wheel) or by
    `swing sin(2 pi travelled / stride + phase)` rad (a limb); radius and swing 0: fixed to the body.
    """

    name: str
    mesh: Mesh
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radius: float = 0.0
    swing: float = 0.0
    stride: float = 1.0
    phase: float = 0.0


def draw_size(class_name: str, rng: np.random.Generator, ridden: bool = True) -> Size:
    """(length, width, height) m of one object, drawn about its class's mean; big cars are big all over.

    ridden: whether somebody sits on a two-wheeler, which is lower otherwise.
    """
    mean, spread, (low, high) = SIZES[class_name]
    shared = rng.normal()
    z = 0.7 * shared + 0.71 * rng.normal(size=3)
    length, width, height = np.clip(np.array(mean) + np.array(spread) * z, low, high).round(2)
    height *= 1.0 if ridden else _BARE.get(class_name, 1.0)
    return float(length), float(width), round(float(height), 2)


def build(class_name: str, size: Size, rng: np.random.Generator, moving: bool = True) -> tuple[Part, ...]:
    """The parts of one road user inside its box.

    `moving`: two-wheelers have a rider, limbs of people swing.
    Raises `KeyError` for a class that is none of the ten.
    """
    from mm_fusion.simulation import people, things, vehicles

    match class_name:
        case "car":
            return vehicles.car(size, rng)
        case "truck":
            return vehicles.truck(size, rng)
        case "bus":
            return vehicles.bus(size, rng)
        case "trailer":
            return vehicles.trailer(size, rng)
        case "construction_vehicle":
            return things.construction_vehicle(size, rng)
        case "pedestrian":
            return people.pedestrian(size, rng, moving)
        case "motorcycle":
            return people.motorcycle(size, rng, moving)
        case "bicycle":
            return people.bicycle(size, rng, moving)
        case "traffic_cone":
            return things.traffic_cone(size, rng)
        case "barrier":
            return things.barrier(size, rng)
        case _:
            raise KeyError(class_name)


def body(meshes: Sequence[Mesh], name: str = "body") -> Part:
    """A part fixed to its actor."""
    return Part(name, join(meshes))


def wheel(centre: Sequence[float], radius: float, width: float, sides: int = 10) -> Part:
    """A wheel about y: a tyre and a smaller, brighter hub that stays within the tyre's width."""
    tyre = tube((0, -0.46 * width, 0), (0, 0.46 * width, 0), radius, RUBBER, sides)
    hub = tube((0, -0.5 * width, 0), (0, 0.5 * width, 0), 0.6 * radius, RIM, 6)
    x, y, z = (float(value) for value in centre)
    return Part("wheel", join([tyre, hub]), (x, y, z), radius=radius)


def spoked(centre: Sequence[float], radius: float, width: float) -> Part:
    """A bicycle's wheel about y: a thin tyre and three crossing pairs of spokes, mostly air."""
    spokes = [
        tube((-c, 0, -s), (c, 0, s), 0.012, RIM, 4)
        for c, s in (
            0.95 * radius * np.array([np.cos(a), np.sin(a)]) for a in (0.0, np.pi / 3, 2 * np.pi / 3)
        )
    ]
    x, y, z = (float(value) for value in centre)
    return Part(
        "wheel", join([ring(radius, width, 0.12 * radius, RUBBER), *spokes]), (x, y, z), radius=radius
    )
