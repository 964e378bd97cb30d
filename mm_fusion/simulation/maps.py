"""Small maps: roads, the lanes and walks on them, places to park, and everything that stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import Float64
from mm_fusion.simulation.roads import Ground, Path
from mm_fusion.simulation.shapes import Mesh

SCENARIOS = ("straight", "curve", "intersection", "highway", "parking", "roundabout", "urban")
LANE = 3.5


@dataclass(frozen=True, slots=True)
class GiveWay:
    """At `s` along its lane one waits while others are, or within `horizon_s` will be, in a circle."""

    s: float
    x: float
    y: float
    radius: float
    horizon_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Signal:
    """A stop line at `s`, green in one of two phases (0, 1) that alternate."""

    s: float
    phase: int


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """A line that traffic follows. kind: `road`, `aisle` (cars alone), `cycle`, `walk`.

    density: road users per metre at normal traffic; slow: (s, speed) from which on another speed is wished;
    enter_until: nobody starts further along than this.
    """

    path: Path
    speed: float
    density: float
    kind: str = "road"
    give_ways: tuple[GiveWay, ...] = ()
    signals: tuple[Signal, ...] = ()
    slow: tuple[tuple[float, float], ...] = ()
    enter_until: float = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Everything that does not move. lanes[0] is where the own car drives from `ego_start` m on.

    slots (M, 3): x, y, yaw of parking places; works: lines along which there are road works.
    """

    ground: Ground
    mesh: Mesh
    lanes: tuple[Lane, ...]
    ego_start: float
    slots: Float64 = field(default_factory=lambda: np.zeros((0, 3)))
    works: tuple[Path, ...] = ()
    signal_period_s: float = 24.0


def make_map(scenario: str, rng: np.random.Generator, duration_s: float) -> Map:
    """One map of that kind, long enough for the time; `ConfigurationError` for a kind that does not exist."""
    from mm_fusion.simulation import map_junctions, map_layouts

    match scenario:
        case "straight":
            return map_layouts.straight(rng, duration_s)
        case "curve":
            return map_layouts.curve(rng, duration_s)
        case "highway":
            return map_layouts.highway(rng, duration_s)
        case "parking":
            return map_layouts.parking(rng, duration_s)
        case "intersection":
            return map_junctions.intersection(rng, duration_s)
        case "roundabout":
            return map_junctions.roundabout(rng, duration_s)
        case _:
            raise ConfigurationError(f"scenario: expected one of {', '.join(SCENARIOS)}, got {scenario!r}")


def rows(poses: Sequence[tuple[float, float, float]]) -> Float64:
    """(N, 3) of x, y, yaw, also for none."""
    return np.array(poses, np.float64).reshape(-1, 3)
