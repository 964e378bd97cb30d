"""The lamps of vehicles at night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float64
from mm_fusion.simulation.ego import AXLE, LENGTH, WIDTH
from mm_fusion.simulation.world import World

LIT = ("car", "truck", "bus", "motorcycle", "construction_vehicle")
WHITE, RED = (1.0, 0.95, 0.85), (1.0, 0.08, 0.05)
HEAD_POWER, TAIL_POWER = 900.0, 4.0
"""Relative light on a surface one metre away, ahead of a head lamp and behind a tail lamp."""
HEAD_CONE, TAIL_CONE = np.cos(np.radians(28.0)), 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Lights:
    """L lamps. position, direction (L, 3) in the world; colour (L, 3) 0..1.

    power (L,): falls with distance squared; cone (L,): cosine of the angle to `direction` beyond which it
    is dark; actor (L,): whose it is, -1 for the own car.
    """

    position: Float64
    direction: Float64
    colour: Float64
    power: Float64
    cone: Float64
    actor: NDArray[np.int64]


def lights(world: World, time_s: float, reach: float = 60.0) -> Lights:
    """The own car's lamps first, then those of moving vehicles within `reach` m; a pair is two lamps."""
    base = world.world_from_base(time_s)
    rows = [_lamps(base, (AXLE + LENGTH / 2, WIDTH, 0.65), AXLE - LENGTH / 2, -1)]
    poses = world.actor_poses(time_s)
    for index in range(world.moving_count):
        actor = world.actors[index]
        if actor.class_name in LIT and np.linalg.norm(poses[index, :3, 3] - base[:3, 3]) < reach:
            length, width, height = actor.size
            rows.append(
                _lamps(poses[index], (length / 2, width, min(0.46 * height, 0.9)), -length / 2, index)
            )
    table = np.concatenate(rows)
    return Lights(
        table[:, :3], table[:, 3:6], table[:, 6:9], table[:, 9], table[:, 10], table[:, 11].astype(np.int64)
    )


def _lamps(pose: Float64, front: tuple[float, float, float], back: float, actor: int) -> Float64:
    """(4, 12) rows of two head lamps and two tail lamps; front: x of the nose, width, height of the lamps."""
    x, width, z = front
    rows = []
    for side in (-1, 1):
        down = np.array([0.999, 0.0, -0.035])
        for place, aim, colour, power, cone in (
            ((x + 0.02, side * 0.34 * width, z), down, WHITE, HEAD_POWER, HEAD_CONE),
            ((back - 0.02, side * 0.37 * width, z + 0.1), np.array([-1.0, 0, 0]), RED, TAIL_POWER, TAIL_CONE),
        ):
            position = pose[:3, :3] @ np.array(place) + pose[:3, 3]
            rows.append([*position, *(pose[:3, :3] @ aim), *colour, power, cone, actor])
    return np.array(rows)
