"""Who is on the map at the start: traffic on its lanes, parked vehicles, people who wait, road works."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mm_fusion.measurements import Float64
from mm_fusion.simulation.bodies import Size, draw_size
from mm_fusion.simulation.ego import make_ego
from mm_fusion.simulation.maps import Lane, Map
from mm_fusion.simulation.traffic import Mover

_ROAD_MIX = {
    "car": 0.74,
    "truck": 0.1,
    "train": 0.05,
    "bus": 0.04,
    "motorcycle": 0.06,
    "construction_vehicle": 0.01,
}
_PARKED_MIX = {"car": 0.86, "truck": 0.04, "motorcycle": 0.05, "bicycle": 0.05}
CLEARANCE = 0.7


@dataclass(frozen=True, slots=True)
class Rider:
    """Somebody who moves. trailer: the size of what it tows, if anything."""

    class_name: str
    size: Size
    mover: Mover
    trailer: Size | None = None


@dataclass(frozen=True, slots=True)
class Stander:
    """Somebody or something that stays where it is: x, y, yaw."""

    class_name: str
    size: Size
    place: tuple[float, float, float]


@dataclass(slots=True)
class Population:
    """Everybody. riders[0] stands for nobody: mover 0 is the own car."""

    ego: Mover
    riders: list[Rider] = field(default_factory=list)
    standers: list[Stander] = field(default_factory=list)
    discs: list[Float64] = field(default_factory=list)

    def take(self, discs: Float64) -> bool:
        """Whether (D, 3) discs x, y, radius are free; they are taken then."""
        if self.discs:
            there = np.concatenate(self.discs)
            far = np.hypot(*(discs[:, None, :2] - there[None, :, :2]).transpose(2, 0, 1))
            if (far < discs[:, None, 2] + there[None, :, 2] + 0.3).any():
                return False
        self.discs.append(discs)
        return True


def populate(plan: Map, traffic: float, rng: np.random.Generator) -> Population:
    """Everybody at the start, none in another's place; `traffic` scales how many there are."""
    lane = plan.lanes[0]
    people = Population(make_ego(plan.ego_start, lane.speed))
    people.take(_discs(lane, people.ego, extra=4.0))
    _close_lanes(plan, people, rng)
    _park(plan, people, traffic, rng)
    for index, lane in enumerate(plan.lanes):
        for _ in range(int(rng.poisson(lane.density * traffic * lane.path.length))):
            _enter(index, lane, people, rng)
    _wait(plan, people, traffic, rng)
    return people


def _enter(index: int, lane: Lane, people: Population, rng: np.random.Generator) -> None:
    """One more on a lane, where there is room within a few tries."""
    rider = _draw_rider(index, lane, rng)
    room = rider.mover.front + rider.mover.back
    if lane.path.length < room + 10:
        return
    for _ in range(4):
        s = float(
            rng.uniform(rider.mover.back + 1, min(lane.path.length - rider.mover.front - 5, lane.enter_until))
        )
        mover = _at(rider.mover, s)
        if people.take(
            _discs(lane, mover, extra=0.3 + 1.2 * mover.speed if mover.walks else 1.5 + 0.5 * mover.speed)
        ):
            people.riders.append(Rider(rider.class_name, rider.size, mover, rider.trailer))
            return


def _at(mover: Mover, s: float) -> Mover:
    from dataclasses import replace

    return replace(mover, s=s)


def _draw_rider(index: int, lane: Lane, rng: np.random.Generator) -> Rider:
    match lane.kind:
        case "walk":
            size = draw_size("pedestrian", rng)
            pace = float(lane.speed * rng.uniform(0.7, 1.3))
            half = size[0] / 2
            mover = Mover(
                index,
                0,
                pace,
                pace,
                half,
                half,
                size[1],
                walks=True,
                offset=float(rng.uniform(-0.04, 0.04)),
                time_gap=0.5,
            )
            return Rider("pedestrian", size, mover)
        case "cycle":
            return _vehicle("bicycle", index, lane, rng)
        case "aisle":
            return _vehicle("car", index, lane, rng)
        case _:
            name = _draw(_ROAD_MIX, rng)
            # Diggers keep off motorways.
            name = "truck" if name == "construction_vehicle" and lane.speed > 18 else name
            return _vehicle(name, index, lane, rng)


def _vehicle(name: str, index: int, lane: Lane, rng: np.random.Generator) -> Rider:
    trailer = draw_size("trailer", rng) if name == "train" else None
    class_name = "truck" if trailer else name
    size = draw_size(class_name, rng)
    if trailer:
        size = (min(size[0], 6.3), size[1], size[2])
    slow = {"truck": 0.85, "bus": 0.85, "construction_vehicle": 0.5}.get(class_name, 1.0)
    wish = float(lane.speed * slow * rng.uniform(0.85, 1.15))
    front = size[0] / 2
    mover = Mover(
        index,
        0.0,
        0.85 * wish,
        wish,
        front,
        front + (trailer[0] + CLEARANCE if trailer else 0.0),
        max(size[1], trailer[1] if trailer else 0.0),
        axle=0.3 * size[0],
        offset=float(rng.uniform(-0.2, 0.2)),
        time_gap=float(rng.uniform(1.0, 2.0)),
        acceleration=float(rng.uniform(1.0, 2.2)),
        braking=float(rng.uniform(1.6, 3.0)),
    )
    return Rider(class_name, size, mover, trailer)


def _park(plan: Map, people: Population, traffic: float, rng: np.random.Generator) -> None:
    for x, y, yaw in plan.slots:
        if rng.random() > min(0.55 * traffic, 0.95):
            continue
        name = _draw(_PARKED_MIX, rng)
        size = draw_size(name, rng, ridden=False)
        if size[0] > 6.8:
            continue
        turned = yaw + (np.pi if rng.random() < 0.1 else 0.0) + rng.normal(0, 0.02)
        _stand(
            people,
            name,
            size,
            (x + rng.normal(0, 0.15) * np.cos(yaw), y + rng.normal(0, 0.15) * np.sin(yaw), turned),
        )


def _close_lanes(plan: Map, people: Population, rng: np.random.Generator) -> None:
    """Road works: barriers across, cones in a row along the traffic's side, an excavator behind them."""
    for works in plan.works:
        things = [("barrier", 0.5, 0.0, 0.0), ("construction_vehicle", 10.0, -0.3, float(rng.normal(0, 0.1)))]
        things += [("traffic_cone", along, 1.3, 0.0) for along in np.arange(2.5, 20, 2.6)]
        things += [("barrier", along, 0.6, np.pi / 2) for along in np.arange(17.0, 25.0, 3.2)]
        for name, along, aside, turn in things:
            (x, y), (dx, dy) = works.at(np.array(along), aside), works.direction(np.array(along))
            place = (float(x), float(y), float(np.arctan2(dy, dx)) + turn)
            _stand(people, name, draw_size(name, rng), place)


def _wait(plan: Map, people: Population, traffic: float, rng: np.random.Generator) -> None:
    """People who stand and talk at the far side of the pavements."""
    for road in plan.ground.roads:
        if road.pavement < 3.5:
            continue
        for _ in range(int(rng.poisson(0.012 * traffic * road.centre.length))):
            s, side = rng.uniform(2, road.centre.length - 2), rng.choice([-1.0, 1.0])
            for _ in range(int(rng.integers(1, 4))):
                away = side * (road.half_width + rng.uniform(3.3, 3.55))
                at = road.centre.at(np.array(s + rng.normal(0, 0.9)), away)
                if plan.ground.edge(at[None])[0] > 3.2:
                    place = (float(at[0]), float(at[1]), float(rng.uniform(-np.pi, np.pi)))
                    _stand(people, "pedestrian", draw_size("pedestrian", rng), place)


def _stand(people: Population, name: str, size: Size, place: tuple[float, float, float]) -> None:
    if people.take(footprint(place, size)):
        people.standers.append(Stander(name, size, place))


def _draw(mix: dict[str, float], rng: np.random.Generator) -> str:
    shares = np.array(list(mix.values()))
    return list(mix)[int(rng.choice(len(mix), p=shares / shares.sum()))]


def footprint(place: tuple[float, float, float], size: Size) -> Float64:
    """(D, 3) discs x, y, radius that cover a box on the ground."""
    x, y, yaw = place
    length, width, turn = size[0], size[1], 0.0
    if width > length:
        length, width, turn = width, length, np.pi / 2
    along = np.linspace(-1, 1, max(int(np.ceil(1.5 * length / width)), 1)) * (length - width) / 2
    radius = 0.62 * width
    return np.column_stack(
        [x + along * np.cos(yaw + turn), y + along * np.sin(yaw + turn), np.full(len(along), radius)]
    )


def _discs(lane: Lane, mover: Mover, extra: float) -> Float64:
    """(D, 3) discs that cover somebody on a lane, trailer and `extra` m ahead and behind included."""
    s = np.arange(
        mover.s - mover.back - extra, mover.s + mover.front + extra + 0.5, max(0.6 * mover.width, 0.4)
    )
    xy = lane.path.at(s, mover.offset)
    return np.column_stack([xy, np.full(len(xy), 0.6 * mover.width)])
