"""The own car: how it drives, brakes, sways and shakes."""

from __future__ import annotations

import numpy as np

from mm_fusion.measurements import Float64
from mm_fusion.simulation.maps import Lane
from mm_fusion.simulation.motion_table import STEP_S
from mm_fusion.simulation.roads import Ground
from mm_fusion.simulation.traffic import Mover, on_ground

LENGTH, WIDTH, HEIGHT = 4.1, 1.75, 1.6
AXLE = 1.3
"""From the middle of the car back to its rear axle, where `base_link` is."""
WHEELBASE = 2.6


def make_ego(start: float, speed: float) -> Mover:
    """The own car on lane 0."""
    return Mover(0, start, 0.9 * speed, speed, LENGTH / 2, LENGTH / 2, WIDTH, axle=AXLE, time_gap=1.6)


def brake_plan(steps: int, rng: np.random.Generator) -> Float64:
    """(steps,) upper limits of the own car's acceleration: it brakes for a second or two now and then."""
    limit = np.full(steps, 10.0)
    at = float(rng.uniform(2, 14))
    while at < steps * STEP_S:
        start, stop = int(at / STEP_S), int((at + rng.uniform(0.8, 2.2)) / STEP_S)
        limit[start:stop] = -rng.uniform(0.8, 4.0)
        at += float(rng.uniform(9, 25))
    return limit


def ego_motion(ground: Ground, lane: Lane, mover: Mover, s: Float64, rng: np.random.Generator) -> Float64:
    """(K, 7) knots of `base_link`: rear axle on the ground, weaving in its lane, shaken by the road."""
    axle = s - mover.axle
    sway, slope = _waves(axle, ((35.0, 0.02), (60.0, 0.05), (110.0, 0.1)), rng)
    direction = lane.path.direction(axle)
    left = np.column_stack([-direction[:, 1], direction[:, 0]])
    xy, heading = lane.path.at(axle, sway), direction + slope[:, None] * left
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    knots = on_ground(ground, xy, heading, s, WHEELBASE, 1.5, walks=False)
    knots[:, 4] += np.radians(_waves(axle, ((6.0, 0.03), (14.0, 0.06), (31.0, 0.08)), rng)[0])
    knots[:, 5] += np.radians(_waves(axle, ((5.0, 0.03), (11.0, 0.06), (27.0, 0.08)), rng)[0])
    return knots


def _waves(
    s: Float64, waves: tuple[tuple[float, float], ...], rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """A sum of waves of given lengths (m) and sizes at distances `s`, and its slope."""
    total, slope = np.zeros_like(s), np.zeros_like(s)
    for length, size in waves:
        k, amplitude, phase = 2 * np.pi / length, size * rng.uniform(0.3, 1.0), rng.uniform(0, 2 * np.pi)
        total += amplitude * np.sin(k * s + phase)
        slope += amplitude * k * np.cos(k * s + phase)
    return total, slope
