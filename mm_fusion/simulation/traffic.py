"""Who drives where: traffic simulated along a map's lanes and turned into motion of bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mm_fusion.measurements import Float64
from mm_fusion.simulation.maps import Lane, Map
from mm_fusion.simulation.motion_table import LEAD_S, STEP_S
from mm_fusion.simulation.roads import POINT_STEP, Ground

DIVE = 0.0045
"""Pitch (rad) per m/s^2 of braking."""
HEIGHT_EVERY = 4


@dataclass(frozen=True, slots=True)
class Mover:
    """Somebody on a lane at the start. front, back: m to the ends of the body and trailer.

    axle: m from the lane point back to the axle that follows the lane; offset: m left of the lane.
    """

    lane: int
    s: float
    speed: float
    wish: float
    front: float
    back: float
    width: float
    walks: bool = False
    axle: float = 0.0
    offset: float = 0.0
    time_gap: float = 1.4
    acceleration: float = 1.5
    braking: float = 2.2


def simulate(plan: Map, movers: Sequence[Mover], obstacles: Float64, braking: Float64, steps: int) -> Float64:
    """(steps, N) distance of each mover along its lane, every `STEP_S`.

    obstacles (O, 3): x, y, radius of what stands; braking (steps,): upper limit of mover 0's acceleration.
    """
    from mm_fusion.simulation import traffic_kernels as kernels

    tables = [_points(lane) for lane in plan.lanes]
    counts = np.array([len(table) for table in tables])
    return kernels.drive(
        np.concatenate(tables),
        np.concatenate([[0], np.cumsum(counts)[:-1]]),
        counts,
        POINT_STEP,
        np.array([_row(mover) for mover in movers]),
        np.array([mover.lane for mover in movers]),
        np.array([int(mover.walks) for mover in movers]),
        _table(
            [
                (i, g.s, g.x, g.y, g.radius, g.horizon_s)
                for i, lane in enumerate(plan.lanes)
                for g in lane.give_ways
            ],
            6,
        ),
        _table([(i, g.s, g.phase) for i, lane in enumerate(plan.lanes) for g in lane.signals], 3),
        _table([(i, *slow) for i, lane in enumerate(plan.lanes) for slow in lane.slow], 3),
        obstacles.reshape(-1, 3).astype(np.float64),
        braking,
        plan.signal_period_s,
        steps,
        STEP_S,
    )


def _row(m: Mover) -> tuple[float, ...]:
    return (m.s, m.speed, m.wish, m.front, m.back, m.width, m.time_gap, m.acceleration, m.braking, m.offset)


def _table(rows: list[tuple[float, ...]], width: int) -> Float64:
    return np.array(rows, np.float64).reshape(-1, width)


def _points(lane: Lane) -> Float64:
    s = np.arange(0.0, lane.path.length + POINT_STEP, POINT_STEP)
    return np.column_stack([lane.path.at(s), lane.path.direction(s)])


def body_motion(
    ground: Ground, lane: Lane, mover: Mover, s: Float64, length: float, origin: float
) -> Float64:
    """(K, 7) knots of a body that is towed by its axle along a lane.

    origin: m from the axle forward to the body's origin; length: its wheelbase or so, over which it tilts.
    """
    axle = s - mover.axle
    direction = lane.path.direction(axle)
    xy = lane.path.at(axle, mover.offset) + origin * direction
    return on_ground(ground, xy, direction, s, length, mover.width, mover.walks)


def on_ground(
    ground: Ground,
    xy: Float64,
    direction: Float64,
    travelled: Float64,
    length: float,
    width: float,
    walks: bool,
) -> Float64:
    """(K, 7) knots of a body at points (K, 2) heading along (K, 2): height and tilt of the ground."""
    z, pitch, roll = _settle(ground, xy, direction, length, width)
    if walks:
        pitch, roll = np.zeros_like(pitch), np.zeros_like(roll)
    else:
        pitch = pitch + brake_dive(travelled, DIVE)
    yaw = np.unwrap(np.arctan2(direction[:, 1], direction[:, 0]))
    return np.column_stack([xy, z, yaw, pitch, roll, travelled])


def brake_dive(travelled: Float64, per_acceleration: float) -> Float64:
    """(K,) pitch of a body on its springs, nose down while it brakes."""
    acceleration = np.gradient(np.gradient(travelled, STEP_S), STEP_S)
    kernel = np.hanning(13) / np.hanning(13).sum()
    smooth = np.convolve(np.pad(acceleration, 6, mode="edge"), kernel, mode="valid")
    return -per_acceleration * smooth


def _settle(
    ground: Ground, xy: Float64, direction: Float64, length: float, width: float
) -> tuple[Float64, Float64, Float64]:
    """Height, pitch and roll of a body on four wheels all along its way, from every few steps of it."""
    from scipy.interpolate import CubicSpline

    index = np.unique(np.append(np.arange(0, len(xy), HEIGHT_EVERY), len(xy) - 1))
    some = tilt(ground, xy[index], direction[index], length, width)
    settled = CubicSpline(index, np.column_stack(some))(np.arange(len(xy)))
    return settled[:, 0], settled[:, 1], settled[:, 2]


def tilt(
    ground: Ground, xy: Float64, direction: Float64, length: Float64 | float, width: Float64 | float
) -> tuple[Float64, Float64, Float64]:
    """Height, pitch and roll (N,) of bodies on four wheels that stand at (N, 2), heading along (N, 2)."""
    left = np.column_stack([-direction[:, 1], direction[:, 0]])
    reach = np.broadcast_to(np.maximum(0.3 * np.asarray(length), 0.05), len(xy))
    side = np.broadcast_to(np.maximum(0.4 * np.asarray(width), 0.05), len(xy))
    wheels = [(a * reach[:, None] * direction + b * side[:, None] * left) for a in (1, -1) for b in (1, -1)]
    z = ground.height(np.concatenate([xy + wheel for wheel in wheels])).reshape(4, -1)
    pitch = np.arctan2(z[2] + z[3] - z[0] - z[1], 4 * reach)
    roll = np.arctan2(z[0] + z[2] - z[1] - z[3], 4 * side)
    return z.mean(0), pitch, roll


def step_count(duration_s: float) -> int:
    """How many steps a drive of that length has, leads included."""
    return int(np.ceil((duration_s + 2 * LEAD_S) / STEP_S)) + 1
