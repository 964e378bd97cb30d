"""A street with traffic, as a function of time: what stands, what moves, and where the car itself is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mm_fusion.geometry.motion import exp_twist
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import Float64
from mm_fusion.simulation.meshes import Colour, Mesh, car, cuboid, cyclist, join, pedestrian, truck, upright

ROAD: Colour = (92, 92, 96)
PAINT: Colour = (225, 225, 220)
PAVEMENT: Colour = (138, 132, 124)
LANE_Y = -1.8
"""Middle of the car's own lane; traffic keeps right."""
_PAINTS: tuple[Colour, ...] = (
    (176, 28, 32),
    (34, 66, 140),
    (200, 202, 206),
    (44, 48, 52),
    (30, 110, 74),
    (208, 160, 40),
)
_SIZES: dict[str, tuple[float, float, float]] = {
    "car": (4.5, 1.85, 1.5),
    "truck": (8.2, 2.5, 3.3),
    "pedestrian": (0.6, 0.65, 1.75),
    "bicycle": (1.8, 0.6, 1.7),
}
_SHAPES: dict[str, Callable[[Sequence[float], Colour], Mesh]] = {
    "car": car,
    "truck": truck,
    "pedestrian": pedestrian,
    "bicycle": cyclist,
}


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A road user that goes straight ahead. start: x, y, yaw in the world at time 0; size l, w, h."""

    track_id: int
    class_name: str
    size: tuple[float, float, float]
    start: tuple[float, float, float]
    speed: float
    mesh: Mesh

    def pose(self, time_s: float) -> Float64:
        """(4, 4) world_from_actor, its origin on the ground below the middle."""
        x, y, yaw = self.start
        gone = self.speed * time_s
        return from_rpy_deg((0, 0, np.degrees(yaw)), (x + gone * np.cos(yaw), y + gone * np.sin(yaw), 0))

    def velocity(self) -> Float64:
        """(3,) m/s in the world."""
        yaw = self.start[2]
        return self.speed * np.array([np.cos(yaw), np.sin(yaw), 0])


@dataclass(frozen=True, slots=True, eq=False)
class Street:
    """The whole scene. linear and angular: the car's constant twist in its own axes."""

    fixed: Mesh
    actors: tuple[Actor, ...]
    linear: Float64 = field(default_factory=lambda: np.array([8.0, 0, 0]))
    angular: Float64 = field(default_factory=lambda: np.array([0, 0, 0.006]))
    start: Float64 = field(default_factory=lambda: from_rpy_deg((0, 0, -1.0), (0, LANE_Y, 0)))

    def world_from_base(self, time_s: float) -> Float64:
        """(4, 4) pose of the car at a time."""
        return self.start @ exp_twist(self.linear, self.angular, time_s)


def make_street(seed: int) -> Street:
    """A street of two lanes and pavements with parked cars, traffic both ways, people and houses."""
    rng = np.random.default_rng(seed)
    return Street(_surroundings(rng), tuple(_traffic(rng)))


def _surroundings(rng: np.random.Generator) -> Mesh:
    parts = [cuboid((60, 0, -0.05), (400, 10.4, 0.1), ROAD, 0.12)]
    parts += [cuboid((60, side * 35.2, -0.02), (400, 60, 0.28), PAVEMENT, 0.2) for side in (-1, 1)]
    parts += [cuboid((x, 0, 0.0), (3, 0.14, 0.012), PAINT, 0.7) for x in range(-60, 180, 9)]
    for side in (-1, 1):
        x = -70.0
        while x < 180:
            length, depth, height = rng.uniform(9, 20), rng.uniform(8, 12), rng.uniform(4, 11)
            shade = int(rng.integers(110, 190))
            tint = (shade, int(shade * rng.uniform(0.75, 1)), int(shade * rng.uniform(0.6, 1)))
            parts.append(
                cuboid(
                    (x + length / 2, side * (10 + depth / 2), height / 2), (length, depth, height), tint, 0.4
                )
            )
            x += length + rng.uniform(1, 7)
        for x in np.arange(-60, 180, 17.0) + rng.uniform(0, 8):
            parts.append(upright((x, side * 6.4), 0.09, 0, 5.5, (96, 98, 100), 0.5))
    return join(parts)


def _traffic(rng: np.random.Generator) -> list[Actor]:
    plans: list[tuple[str, float, float, float, float]] = [
        ("car", 16, LANE_Y, 0.0, 9.5),
        ("truck", 38, LANE_Y, 0.0, 7.0),
        ("car", 62, 1.8, np.pi, 10.0),
        ("car", 95, 1.8, np.pi, 11.0),
        ("car", -14, LANE_Y, 0.0, 8.5),
        ("bicycle", 24, -3.6, 0.0, 4.5),
        ("pedestrian", 30, 5.4, np.pi, 1.3),
        ("pedestrian", 46, -5.6, 0.0, 1.5),
        ("pedestrian", 14, 5.2, 0.0, 1.1),
    ]
    plans += [("car", x, 4.2, np.pi, 0.0) for x in (8.0, 21.0, 27.5, 52.0, 71.0)]
    plans += [("car", x, -4.2, 0.0, 0.0) for x in (58.0, 65.0)]
    return [_actor(rng, index, *plan) for index, plan in enumerate(plans)]


def _actor(
    rng: np.random.Generator, track_id: int, class_name: str, x: float, y: float, yaw: float, speed: float
) -> Actor:
    length, width, height = np.round(np.array(_SIZES[class_name]) * rng.normal(1, 0.05, 3).clip(0.9, 1.1), 2)
    size = (float(length), float(width), float(height))
    mesh = _SHAPES[class_name](size, _PAINTS[int(rng.integers(len(_PAINTS)))])
    return Actor(track_id, class_name, size, (x, y, yaw), speed, mesh)
