"""Faults on request: what can break, in which sensors, when and how badly; and those of time and place.

Each has a start, an end and a severity of 1 to 3, and works on any sensor. What it does to pixels and points
stands in `fault_images.py` and `fault_points.py`, to whole messages in `fault_messages.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import Field, model_validator

from mm_fusion.config import Section, VehicleConfig, find_file, load_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import Float64
from mm_fusion.simulation.clocks import SensorClock, Tick, nearest_index, random_of, tick_at

FaultName = Literal[
    "drop",
    "freeze",
    "delay",
    "jitter",
    "clock_offset",
    "clock_jump",
    "other_frame",
    "rotation",
    "translation",
    "beam_loss",
    "view_loss",
    "blinding",
    "dirt",
    "fog",
    "noise",
    "interference",
    "ghosts",
    "corruption",
]
FAULT_NAMES: tuple[str, ...] = get_args(FaultName)
KINDS = ("camera", "lidar", "radar")

DESCRIPTIONS: dict[str, str] = {
    "drop": "messages that never come: 30, 70, 100 % of them",
    "freeze": "the same payload under new stamps, renewed each 0.5 s, each 1.5 s, never",
    "delay": "rightly stamped and 80, 250, 600 ms late",
    "jitter": "rightly stamped and late by a random 0 to 50, 120, 300 ms",
    "clock_offset": "on time and stamped 30, 100, 300 ms off",
    "clock_jump": "on time and stamped 0.8 s back, 5 s back, 37 s ahead",
    "other_frame": "payload of another moment, up to 3 s before or after, in 30, 60, 100 % of messages",
    "rotation": "sensor turned by 0.5, 1.5, 4 degrees against its calibration",
    "translation": "sensor moved by 0.05, 0.15, 0.4 m against its calibration",
    "beam_loss": "25, 50, 80 % of LiDAR rings, image rows or radar bearings gone",
    "view_loss": "20, 45, 75 % of the field of view gone, as one sector",
    "blinding": "glare: image washed out; LiDAR sector blind; radar hears nothing beyond 40, 20, 8 m",
    "dirt": "8, 25, 60 % covered: blurred dark blots; LiDAR and radar weak behind them",
    "fog": "visibility 150, 60, 25 m for camera and LiDAR; radar nearly as before",
    "noise": "grain 12, 30, 70 of 255; range 0.05, 0.15, 0.4 m; Doppler 0.2, 0.5, 1.5 m/s",
    "interference": "60, 200, 600 false radar returns and weak ones drowned; LiDAR crosstalk; image bands",
    "ghosts": "1, 3, 8 objects that are not there, in bursts; lens reflections in images",
    "corruption": "30, 60, 100 % of messages cut short or overwritten",
}
"""What each does at severity 1, 2, 3; the documented list."""

DROP_SHARE = (0.3, 0.7, 1.0)
HOLD_S = (0.5, 1.5, float("inf"))
DELAY_S = (0.08, 0.25, 0.6)
JITTER_S = (0.05, 0.12, 0.3)
CLOCK_OFFSET_S = (0.03, 0.1, 0.3)
CLOCK_JUMP_S = (-0.8, -5.0, 37.0)
OTHER_SHARE = (0.3, 0.6, 1.0)
OTHER_WITHIN_S = (0.4, 3.0)
ROTATION_DEG = (0.5, 1.5, 4.0)
TRANSLATION_M = (0.05, 0.15, 0.4)


class Fault(Section):
    """One fault of some sensors from `start_s` until before `end_s`, seconds from the start of the drive."""

    fault: FaultName
    sensor: str | list[str] = Field(description="sensor names, kinds (camera, lidar, radar), or all")
    start_s: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    end_s: Annotated[float, Field(gt=0, le=1e6)] = 1e6
    severity: Annotated[int, Field(ge=1, le=3)] = 2

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Fault:
        if self.end_s <= self.start_s:
            raise ValueError(f"end_s {self.end_s} must be after start_s {self.start_s}")
        return self

    def level(self, values: Sequence[float]) -> float:
        """The value of this severity."""
        return values[self.severity - 1]

    def active(self, time_ns: int) -> bool:
        """Whether a measurement at `time_ns` from the start has it."""
        return self.start_s * 1e9 <= time_ns < self.end_s * 1e9


class FaultPlan(Section):
    """All faults of a drive."""

    faults: list[Fault] = []


def load_faults(name: str) -> FaultPlan:
    """The faults in a file, or of a shipped one by name; raises `ConfigurationError` naming what is wrong."""
    return load_config(find_file("config/faults", name), FaultPlan)


def faults_by_sensor(plan: FaultPlan, vehicle: VehicleConfig) -> dict[str, tuple[tuple[int, Fault], ...]]:
    """(number in the plan, fault) of each sensor that has any, in order.

    Raises `ConfigurationError` for a fault of a sensor that the vehicle does not carry.
    """
    found: dict[str, list[tuple[int, Fault]]] = {}
    for number, fault in enumerate(plan.faults):
        for name in _sensors_of(number, fault, vehicle):
            found.setdefault(name, []).append((number, fault))
    return {name: tuple(entries) for name, entries in found.items()}


def _sensors_of(number: int, fault: Fault, vehicle: VehicleConfig) -> list[str]:
    wanted = [fault.sensor] if isinstance(fault.sensor, str) else fault.sensor
    measuring = {name: s.kind for name, s in vehicle.sensors.items() if s.kind in KINDS}
    chosen: set[str] = set()
    for word in wanted:
        named = {name for name, kind in measuring.items() if word in (name, kind, "all")}
        if not named:
            has = ", ".join(f"{name} ({kind})" for name, kind in measuring.items())
            raise ConfigurationError(
                f"faults.{number}.sensor: {word!r} is no sensor of this vehicle and no kind of one; "
                f"it has {has}"
            )
        chosen |= named
    return [name for name in measuring if name in chosen]


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A measurement as faults leave it. content: the measurement whose payload it carries.

    spoilt: (number, fault) of those that change its payload. mount_error: sensor_from_moved (4, 4) or None.
    """

    tick: Tick
    content: Tick
    stamp_ns: int
    receipt_ns: int
    dropped: bool = False
    mount_error: Float64 | None = None
    spoilt: tuple[tuple[int, Fault], ...] = ()


def deliver(tick: Tick, clock: SensorClock, faults: Sequence[tuple[int, Fault]], seed: int) -> Delivery:
    """`tick` with every fault that is active at its time, the same whenever it is asked for."""
    found = Delivery(tick, tick, tick.stamp_ns, tick.receipt_ns)
    for number, fault in faults:
        if fault.active(tick.time_ns):
            rng = random_of(seed, tick.sensor, "fault", number, tick.index)
            found = _with_fault(found, number, fault, clock, seed, rng)
    return found


def _with_fault(
    found: Delivery, number: int, fault: Fault, clock: SensorClock, seed: int, rng: np.random.Generator
) -> Delivery:
    match fault.fault:
        case "drop":
            return replace(found, dropped=found.dropped or rng.random() < fault.level(DROP_SHARE))
        case "delay":
            return replace(found, receipt_ns=found.receipt_ns + _ns(fault.level(DELAY_S)))
        case "jitter":
            late = rng.uniform(0, fault.level(JITTER_S))
            return replace(found, receipt_ns=found.receipt_ns + _ns(late))
        case "clock_offset":
            return replace(found, stamp_ns=found.stamp_ns + _ns(fault.level(CLOCK_OFFSET_S)))
        case "clock_jump":
            return replace(found, stamp_ns=found.stamp_ns + _ns(fault.level(CLOCK_JUMP_S)))
        case "freeze":
            held = _held_since(found.tick, fault, clock, seed)
            return replace(found, content=tick_at(found.tick.sensor, clock, held, seed))
        case "other_frame":
            return _other_frame(found, fault, clock, seed, rng)
        case "rotation" | "translation":
            error = _mount_error(fault, random_of(seed, found.tick.sensor, "mount", number))
            before = np.eye(4) if found.mount_error is None else found.mount_error
            return replace(found, mount_error=before @ error)
    return replace(found, spoilt=(*found.spoilt, (number, fault)))


def _held_since(tick: Tick, fault: Fault, clock: SensorClock, seed: int) -> int:
    """The measurement that is shown: the last before the fault, or the last at a renewal since."""
    hold = fault.level(HOLD_S)
    begin_s = fault.start_s
    if np.isfinite(hold):
        begin_s += hold * ((tick.time_ns / 1e9 - fault.start_s) // hold)
    index = min(nearest_index(clock, _ns(begin_s)), tick.index)
    while index > 0 and tick_at(tick.sensor, clock, index, seed).time_ns >= begin_s * 1e9:
        index -= 1
    return index


def _other_frame(
    found: Delivery, fault: Fault, clock: SensorClock, seed: int, rng: np.random.Generator
) -> Delivery:
    if rng.random() >= fault.level(OTHER_SHARE):
        return found
    steps = max(1, round(rng.uniform(*OTHER_WITHIN_S) * 1e9 / clock.period_ns))
    earlier, later = found.tick.index - steps, found.tick.index + steps
    index = earlier if earlier >= 0 and rng.random() < 0.5 else later
    return replace(found, content=tick_at(found.tick.sensor, clock, index, seed))


def _mount_error(fault: Fault, rng: np.random.Generator) -> Float64:
    """Always of the stated size; about or along an axis drawn for the whole of the fault."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    if fault.fault == "translation":
        return from_rpy_deg((0, 0, 0), (axis * fault.level(TRANSLATION_M)).tolist())
    from mm_fusion.geometry.motion import exp_twist

    return exp_twist(np.zeros(3), np.radians(fault.level(ROTATION_DEG)) * axis, 1.0)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
