"""A drive that never happened, as a function of time: weather, ground, everybody on it and the own car."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.transforms import inverse
from mm_fusion.measurements import Float64
from mm_fusion.simulation.bodies import Part, Size, build
from mm_fusion.simulation.ego import brake_plan, ego_motion
from mm_fusion.simulation.maps import SCENARIOS, Map, make_map
from mm_fusion.simulation.motion_table import LEAD_S, MotionTable, body_rates, poses, rotations
from mm_fusion.simulation.population import CLEARANCE, Population, Rider, Stander, populate
from mm_fusion.simulation.traffic import body_motion, on_ground, simulate, step_count, tilt
from mm_fusion.simulation.weather import Weather, make_weather

if TYPE_CHECKING:
    from mm_fusion.simulation.lights import Lights
    from mm_fusion.simulation.scene import Geometry

LONGEST_S = 300.0
URBAN = ("straight", "curve", "intersection")


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A road user or a thing among them. size: length, width, height (m) of its box; its parts lie inside.

    Its own axes: x forward, y left, z up, the origin on the ground below the middle of the box.
    """

    track_id: int
    class_name: str
    size: Size
    parts: tuple[Part, ...]
    moving: bool


class World:
    """Everything at any time from `-LEAD_S` to `duration_s + LEAD_S`.

    actors: those that can move first (`moving_count` of them), then what stays where it is.
    """

    def __init__(
        self,
        scenario: str,
        seed: int,
        weather: Weather,
        plan: Map,
        actors: tuple[Actor, ...],
        motion: MotionTable,
        standing: Float64,
        duration_s: float,
    ) -> None:
        self.scenario, self.seed, self.weather, self.map = scenario, seed, weather, plan
        self.actors, self.duration_s = actors, duration_s
        self.moving_count = motion.count - 1
        self._motion, self._standing = motion, standing
        self.cache: dict[str, Any] = {}
        self.sizes = np.array([actor.size for actor in actors]).reshape(-1, 3)

    def world_from_base(self, time_s: float) -> Float64:
        """(4, 4) pose of the own car's `base_link`: rear axle on the ground, tilted as the car is."""
        return poses(self._motion.state(time_s)[0][-1:])[0]

    def twist(self, time_s: float) -> tuple[Float64, Float64]:
        """Linear (3,) m/s and angular (3,) rad/s velocity of `base_link` in its own axes."""
        state, rate = self._motion.state(time_s)
        return rotations(state[-1:])[0].T @ rate[-1, :3], body_rates(state[-1:], rate[-1:])[0]

    def actor_pose(self, index: int, time_s: float) -> Float64:
        """(4, 4) world_from_actor of one actor."""
        return self.actor_poses(time_s)[index]

    def actor_poses(self, time_s: float) -> Float64:
        """(N, 4, 4) world_from_actor of all actors."""
        return np.concatenate([poses(self._motion.state(time_s)[0][:-1]), self._standing])

    def actor_velocity(self, index: int, time_s: float) -> Float64:
        """(3,) m/s of one actor's origin, world axes."""
        return self.actor_velocities(time_s)[index]

    def actor_velocities(self, time_s: float) -> Float64:
        """(N, 3) m/s of all actors' origins, world axes."""
        rate = self._motion.state(time_s)[1][:-1, :3]
        return np.concatenate([rate, np.zeros((len(self._standing), 3))])

    def motion(self, time_s: float) -> tuple[Float64, Float64]:
        """(M, 7) values and rates of the moving actors: x, y, z, yaw, pitch, roll, distance travelled."""
        state, rate = self._motion.state(time_s)
        return state[:-1], rate[:-1]

    def boxes(self, time_s: float) -> Float64:
        """(N, 7) x, y, z, length, width, height, yaw of all actors in `base_link` at that time."""
        in_base = inverse(self.world_from_base(time_s)) @ self.actor_poses(time_s)
        centres = in_base[:, :3, 3] + 0.5 * self.sizes[:, 2:3] * in_base[:, :3, 2]
        return np.column_stack([centres, self.sizes, np.arctan2(in_base[:, 1, 0], in_base[:, 0, 0])])

    def velocities(self, time_s: float) -> Float64:
        """(N, 2) m/s over ground of all actors' box centres, in `base_link` axes."""
        state, rate = self.motion(time_s)
        turns = np.einsum("nij,nj->ni", rotations(state), body_rates(state, rate))
        heights = 0.5 * self.sizes[: len(state), 2:3] * rotations(state)[:, :, 2]
        centres = rate[:, :3] + np.cross(turns, heights)
        velocity = np.concatenate([centres, np.zeros((len(self._standing), 3))])
        return (velocity @ self.world_from_base(time_s)[:3, :3])[:, :2]

    def lights(self, time_s: float, reach: float = 60.0) -> Lights:
        """Head and tail lamps of the own car and of moving vehicles within `reach` m."""
        from mm_fusion.simulation.lights import lights

        return lights(self, time_s, reach)

    @cached_property
    def geometry(self) -> Geometry:
        """What `Scene` casts rays at, made once (`scene.Geometry`)."""
        from mm_fusion.simulation.scene import Geometry

        return Geometry(self)


def make_world(
    scenario: str, seed: int, weather: str = "clear", traffic: float = 1.0, duration_s: float = 30.0
) -> World:
    """The world of a scenario, always the same for the same arguments.

    traffic: how many road users relative to usual; duration_s: up to `LONGEST_S`. Raises `ConfigurationError`
    for a scenario or weather that does not exist and for a time that is too long.
    """
    if scenario not in SCENARIOS:
        raise ConfigurationError(f"scenario: expected one of {', '.join(SCENARIOS)}, got {scenario!r}")
    if not 0 < duration_s <= LONGEST_S:
        raise ConfigurationError(
            f"world: expected a duration of at most {LONGEST_S:g} s, got {duration_s:g}; chain several worlds"
        )
    streams = [np.random.default_rng((seed, SCENARIOS.index(scenario), part)) for part in range(5)]
    sky = make_weather(weather, streams[0])
    place = str(streams[1].choice(URBAN)) if scenario == "urban" else scenario
    plan = make_map(place, streams[2], duration_s + 2 * LEAD_S)
    people = populate(plan, traffic, streams[3])
    moving, motion = _move(plan, people, duration_s, streams[4])
    standing = _standing_poses(plan, people.standers)
    named = [*moving, *((stander.class_name, stander.size, False) for stander in people.standers)]
    actors = tuple(
        Actor(index, name, size, build(name, size, np.random.default_rng((seed, index, 5)), moves), moves)
        for index, (name, size, moves) in enumerate(named)
    )
    return World(scenario, seed, sky, plan, actors, motion, standing, duration_s)


def _move(
    plan: Map, people: Population, duration_s: float, rng: np.random.Generator
) -> tuple[list[tuple[str, Size, bool]], MotionTable]:
    """Class and size of everybody who moves, and their motion with the own car's as the last."""
    steps = step_count(duration_s)
    movers = [people.ego, *(rider.mover for rider in people.riders)]
    obstacles = [disc for disc in people.discs[1:]]
    fixed = _obstacles(people.standers) if obstacles else np.zeros((0, 3))
    along = simulate(plan, movers, fixed, brake_plan(steps, rng), steps)
    named: list[tuple[str, Size, bool]] = []
    knots: list[Float64] = []
    for rider, s in zip(people.riders, along.T[1:]):
        lane, mover = plan.lanes[rider.mover.lane], rider.mover
        knots.append(body_motion(plan.ground, lane, mover, s, rider.size[0], mover.axle))
        named.append((rider.class_name, rider.size, True))
        if rider.trailer is not None:
            knots.append(_towed(plan, rider, rider.trailer, knots[-1], s))
            named.append(("trailer", rider.trailer, True))
    knots.append(ego_motion(plan.ground, plan.lanes[0], people.ego, along[:, 0], rng))
    return named, MotionTable(np.stack(knots, axis=1))


def _towed(plan: Map, rider: Rider, trailer: Size, truck: Float64, s: Float64) -> Float64:
    """Knots of a trailer: its axle follows the lane, its nose the truck's tail."""
    lane, half = plan.lanes[rider.mover.lane], trailer[0] / 2
    forward = np.column_stack([np.cos(truck[:, 3]), np.sin(truck[:, 3])])
    hitch = truck[:, :2] - rider.size[0] / 2 * forward
    axle = lane.path.at(s - rider.size[0] / 2 - CLEARANCE - 0.8 * trailer[0], rider.mover.offset)
    direction = hitch - axle
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return on_ground(
        plan.ground, hitch - (CLEARANCE + half) * direction, direction, s, trailer[0], trailer[1], False
    )


def _obstacles(standers: list[Stander]) -> Float64:
    from mm_fusion.simulation.population import footprint

    discs = [footprint(stander.place, stander.size) for stander in standers]
    return np.concatenate(discs) if discs else np.zeros((0, 3))


def _standing_poses(plan: Map, standers: list[Stander]) -> Float64:
    if not standers:
        return np.zeros((0, 4, 4))
    places, sizes = np.array([stander.place for stander in standers]), np.array([s.size for s in standers])
    direction = np.column_stack([np.cos(places[:, 2]), np.sin(places[:, 2])])
    z, pitch, roll = tilt(plan.ground, places[:, :2], direction, sizes[:, 0], sizes[:, 1])
    level = np.array([stander.class_name in ("pedestrian", "traffic_cone") for stander in standers])
    pitch, roll = np.where(level, 0, pitch), np.where(level, 0, roll)
    return poses(np.column_stack([places[:, :2], z, places[:, 2], pitch, roll, z]))
