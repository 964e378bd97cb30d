"""Frames of training drawn from random drives: what a pipeline would have had at a reference time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import Mount, SensorConfig, VehicleConfig
from mm_fusion.frame import Calibration, Frame
from mm_fusion.measurements import CameraImage, Measurement
from mm_fusion.simulation.clocks import nearest_index, random_of, tick_at
from mm_fusion.simulation.faults import Fault, FaultPlan, deliver
from mm_fusion.simulation.odometry import PERIOD_NS, Odometry
from mm_fusion.simulation.rig import Measured, Picture, RigOptions
from mm_fusion.simulation.simulator import Simulator
from mm_fusion.simulation.truth_frames import Sightings, truth_frame

FIRST_S, STEP_S = 1.0, 1.7
"""Frames of one drive are so far apart that they differ."""


@dataclass(frozen=True)
class SplitRule:
    """What a split is drawn from. height_m, yaw_deg: how far mounts are from the vehicle file's, either way.

    ghosts: chance of radar ghosts in a drive; dropped: chance that a camera, LiDAR or radar is not mounted.
    """

    maps: tuple[str, ...]
    weathers: tuple[str, ...]
    height_m: tuple[float, float]
    yaw_deg: tuple[float, float]
    ghosts: tuple[float, float]
    dropped: tuple[float, float]


SPLITS: dict[str, SplitRule] = {
    "train": SplitRule(
        ("straight", "curve", "intersection", "highway"), ("clear", "clear", "rain", "night"),
        (0.0, 0.10), (0.0, 2.0), (0.0, 0.2), (0.0, 0.05),
    ),
    "val": SplitRule(("parking",), ("clear", "rain"), (0.10, 0.18), (2.0, 3.5), (0.2, 0.3), (0.05, 0.1)),
    "test": SplitRule(("roundabout",), ("clear", "fog"), (0.18, 0.30), (3.5, 6.0), (0.3, 0.5), (0.1, 0.2)),
}  # fmt: skip
"""Maps, layouts and ghost rates of a split stand in no other; rain is in two, fog in `test` alone."""


def varied_vehicle(vehicle: VehicleConfig, rule: SplitRule, rng: np.random.Generator) -> VehicleConfig:
    """The vehicle with its sensors elsewhere by what `rule` says, and some of several cameras or radars gone.

    At least one sensor of each kind stays, and all references.
    """
    kept = dict(vehicle.sensors)
    chance = rng.uniform(*rule.dropped)
    for name, sensor in vehicle.sensors.items():
        others = sum(s.kind == sensor.kind for s in kept.values()) - 1
        if rng.random() < chance and others > 0 and name not in vehicle.alignment.reference[:1]:
            del kept[name]
    sensors = {name: _moved(sensor, rule, rng) for name, sensor in kept.items()}
    reference = [name for name in vehicle.alignment.reference if name in sensors]
    alignment = vehicle.alignment.model_copy(update={"reference": reference})
    return vehicle.model_copy(update={"sensors": sensors, "alignment": alignment})


def _moved(sensor: SensorConfig, rule: SplitRule, rng: np.random.Generator) -> SensorConfig:
    if sensor.mount is None:
        return sensor
    up, turn = (rng.uniform(*limits) * rng.choice((-1, 1)) for limits in (rule.height_m, rule.yaw_deg))
    (x, y, z), (roll, pitch, yaw) = sensor.mount.xyz, sensor.mount.rpy_deg
    shifted = (x + rng.uniform(-0.1, 0.1), y + rng.uniform(-0.05, 0.05), max(0.2, z + up))
    turned = (roll + rng.normal(0, 0.3), pitch + rng.normal(0, 0.3), yaw + turn)
    return sensor.model_copy(update={"mount": Mount(xyz=shifted, rpy_deg=turned)})


def draw_drive(
    vehicle: VehicleConfig, rule: SplitRule, seed: int, frames: int, options: RigOptions
) -> tuple[Simulator, dict[str, str]]:
    """A random drive of a split, long enough for `frames`, and what was drawn, for its description."""
    rng = random_of(seed, "drive")
    scenario, weather = str(rng.choice(rule.maps)), str(rng.choice(rule.weathers))
    ghosts = rng.random() < rng.uniform(*rule.ghosts)
    radars = any(sensor.kind == "radar" for sensor in vehicle.sensors.values())
    faults = [Fault(fault="ghosts", sensor="radar", severity=int(rng.integers(1, 4)))]
    plan = FaultPlan(faults=faults if ghosts and radars else [])
    simulator = Simulator(
        varied_vehicle(vehicle, rule, rng), scenario, seed, weather, plan, options=options,
        duration_s=FIRST_S + frames * STEP_S + 1.0,
    )  # fmt: skip
    return simulator, {"scenario": scenario, "weather": weather, "ghosts": str(bool(plan.faults))}


def samples_of(simulator: Simulator, frames: int) -> Iterator[tuple[Frame, TruthFrame]]:
    """`frames` frames of a drive, each with the measurements nearest to a reference measurement."""
    drive = Odometry(simulator.world, simulator.seed)
    clock = simulator.clocks[simulator.reference]
    for number in range(frames):
        index = nearest_index(clock, round((FIRST_S + number * STEP_S) * 1e9))
        tick = tick_at(simulator.reference, clock, index, simulator.seed)
        yield _sample(simulator, drive, tick.time_ns, simulator.start_ns + tick.stamp_ns)


def _sample(simulator: Simulator, drive: Odometry, time_ns: int, stamp_ns: int) -> tuple[Frame, TruthFrame]:
    sightings = Sightings()
    found: dict[str, list[Measurement]] = {}
    for name in simulator.rig.sensors:
        found[name] = _measured(simulator, name, time_ns, sightings)
    rig = simulator.rig
    ego = drive.at(round(time_ns / PERIOD_NS), simulator.start_ns)
    frame = Frame(
        stamp_ns=stamp_ns,
        measurements={name: items[0] for name, items in found.items()},
        kinds={name: sensor.kind for name, sensor in rig.sensors.items()},
        available=dict.fromkeys(rig.sensors, True),
        age_ns={name: stamp_ns - items[0].stamp_ns for name, items in found.items()},
        calibration=Calibration(rig.mounts, rig.models),
        ego=ego,
        earlier={name: tuple(items[1:]) for name, items in found.items() if len(items) > 1},
    )
    truth = truth_frame(simulator.world, rig, simulator.clocks, sightings, time_ns, stamp_ns)
    return frame, truth


def _measured(simulator: Simulator, name: str, time_ns: int, sightings: Sightings) -> list[Measurement]:
    """The measurement nearest to `time_ns` and as many before it as the vehicle file wants, newest first."""
    clock, sensor = simulator.clocks[name], simulator.rig.sensors[name]
    newest = nearest_index(clock, time_ns)
    items = []
    for index in range(newest, max(-1, newest - sensor.sweeps - 1), -1):
        tick = tick_at(name, clock, index, simulator.seed)
        delivery = deliver(tick, clock, simulator.faults.get(name, ()), simulator.seed)
        stamp_ns = simulator.start_ns + delivery.stamp_ns
        measured = simulator.rig.measure(simulator.world, delivery, stamp_ns)
        if index == newest:
            sightings.add(name, tick.time_ns, measured)
        items.append(_record(measured, stamp_ns, simulator.rig.frame_of(name), sensor))
    return items


def _record(measured: Measured, stamp_ns: int, frame_id: str, sensor: SensorConfig) -> Measurement:
    payload = measured.payload
    if isinstance(payload, Picture):
        row_time_ns = round(sensor.row_time_us * 1e3)
        return CameraImage(stamp_ns, frame_id, encoded=payload.jpeg, format="jpeg", row_time_ns=row_time_ns)
    return payload
