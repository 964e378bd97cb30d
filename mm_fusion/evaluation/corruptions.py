"""Frames with a condition: the simulator's faults and the named hard cases, on simulated or recorded frames.

What faults do to points and pixels is done by the simulator's own functions (`corrupted_payloads.py`); faults
of time and place stand here, with other moments of the same drive: measured again where the drive is
simulated, else taken from neighbouring frames. What a frame does not allow leaves it as it is, and is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mm_fusion.config import SensorConfig
from mm_fusion.evaluation.conditions import KINDS, LAG_S, SHIFT_M, TURN_DEG, Condition
from mm_fusion.evaluation.corrupted_payloads import damaged, spoilt
from mm_fusion.evaluation.frame_edits import (
    names_of_groups,
    with_measurement,
    with_mount_error,
    without,
)
from mm_fusion.evaluation.labelled_data import LabelledData
from mm_fusion.evaluation.other_moments import Moments, Replaced
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.motion import exp_twist
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import Float64, Measurement
from mm_fusion.simulation import faults
from mm_fusion.simulation.clocks import random_of

SEED = 20240607


@dataclass(frozen=True, slots=True)
class _Case:
    """One sensor of one frame under a condition. fixed: key of what stays through a drive."""

    number: int
    run: int
    name: str
    item: Measurement

    def rng(self, *keys: int | str) -> np.random.Generator:
        """What differs in each measurement."""
        return random_of(SEED, self.name, self.number, *keys)

    def fixed(self, *keys: int | str) -> np.random.Generator:
        """What stays the same through the drive."""
        return random_of(SEED, self.name, "drive", self.run, *keys)


class Corruptor:
    """Applies one condition to the frames of one folder; the same frame always gets the same."""

    def __init__(self, data: LabelledData, condition: Condition) -> None:
        self._data, self._condition = data, condition
        self._moments = Moments(data)
        self._level = max(0, condition.severity - 1)
        sources = data.vehicle.ego_motion
        self._ego_from_radar = bool(sources) and all(source.kind == "radar" for source in sources)

    def apply(self, number: int) -> tuple[Frame, int, int]:
        """Frame `number` with the condition; how many of its sensors it struck, and how many it should."""
        frame = self._moments.frame(number)
        run = int(self._data.run[number])
        kinds = self._struck(frame, run)
        if self._condition.fault == "lost":
            names = names_of_groups(frame, kinds)
            return without(frame, names, self._ego_from_radar), len(names), len(names)
        names = [name for name in frame.measurements if frame.kinds[name] in kinds]
        done = 0
        for name in names:
            case = _Case(number, run, name, decoded(frame.measurements[name]))
            changed = self._changed(frame, case)
            done += changed is not None
            frame = frame if changed is None else changed
        return frame, done, len(names)

    def _struck(self, frame: Frame, run: int) -> list[str]:
        kind = self._condition.kind
        there = [each for each in KINDS if each in frame.kinds.values()]
        if kind == "all":
            return there
        return [kind] if kind else [there[run % len(there)]] if there else []

    def _changed(self, frame: Frame, case: _Case) -> Frame | None:
        """The frame with one sensor struck; None where nothing could be done to it."""
        match self._condition.fault:
            case "turned":
                return with_mount_error(frame, case.name, _turn(TURN_DEG, case.fixed("mount")))
            case "shifted":
                return with_mount_error(frame, case.name, _shift(SHIFT_M, case.fixed("mount")))
            case "decalibrated":
                turn, shift = _turn(TURN_DEG, case.fixed("mount")), _shift(SHIFT_M, case.fixed("shift"))
                return with_mount_error(frame, case.name, turn @ shift)
            case "rotation":
                error = _turn(faults.ROTATION_DEG[self._level], case.fixed("mount"))
                return with_mount_error(frame, case.name, error)
            case "translation":
                error = _shift(faults.TRANSLATION_M[self._level], case.fixed("mount"))
                return with_mount_error(frame, case.name, error)
            case "drop":
                return self._dropped(frame, case)
            case "corruption":
                return self._corrupted(frame, case)
            case "clock_jump":
                # far outside `max_age_ms`: the collector drops it as late or from the future
                return without(frame, [case.name], self._ego_from_radar)
        if self._condition.fault in faults.FAULT_NAMES and self._condition.fault not in TIME_FAULTS:
            return self._spoilt(frame, case)
        return self._of_another_moment(frame, case)

    def _of_another_moment(self, frame: Frame, case: _Case) -> Frame | None:
        found = self._moment(case)
        if found is None:
            return None
        if abs(frame.stamp_ns - found.item.stamp_ns) > _max_age_ns(self._data.vehicle.sensors.get(case.name)):
            return without(frame, [case.name], self._ego_from_radar)
        return with_measurement(frame, case.name, found.item, found.earlier)

    def _moment(self, case: _Case) -> Replaced | None:
        moments, number, name, now = self._moments, case.number, case.name, case.item.stamp_ns
        match self._condition.fault:
            case "lag":
                return moments.older(number, name, LAG_S)
            case "delay":
                return moments.older(number, name, faults.DELAY_S[self._level])
            case "jitter":
                return moments.older(number, name, case.rng().uniform(0, faults.JITTER_S[self._level]))
            case "clock_offset":
                offset = faults.CLOCK_OFFSET_S[self._level]
                old = moments.older(number, name, offset) or Replaced(case.item)
                return old.restamped(old.item.stamp_ns + round(offset * 1e9))
            case "freeze":
                hold = faults.HOLD_S[self._level]
                held = (
                    moments.older(number, name, case.rng().uniform(0, hold))
                    if np.isfinite(hold)
                    else moments.first_of_drive(number, name)
                )
                return held and held.restamped(now)
            case "other_frame":
                if case.rng("share").random() >= faults.OTHER_SHARE[self._level]:
                    return Replaced(case.item)
                other = moments.neighbour(number, name, faults.OTHER_WITHIN_S[1], case.rng("which"))
                return other and other.restamped(now)
            case "wrong":
                foreign = moments.foreign(number, name)
                return foreign and foreign.restamped(now)
        return None

    def _dropped(self, frame: Frame, case: _Case) -> Frame:
        """The newest of the measurements that came and are not too old; the sensor is absent without any."""
        share = faults.DROP_SHARE[self._level]
        limit = _max_age_ns(self._data.vehicle.sensors.get(case.name))
        items = [case.item, *map(decoded, frame.earlier.get(case.name, ()))]
        for index, item in enumerate(items):
            came = case.rng("drop", index).random() >= share
            if came and abs(frame.stamp_ns - item.stamp_ns) <= limit:
                return with_measurement(frame, case.name, item, tuple(items[index + 1 :]))
        return without(frame, [case.name], self._ego_from_radar)

    def _corrupted(self, frame: Frame, case: _Case) -> Frame:
        """A payload cut short or overwritten; what no decoder takes is absent."""
        if case.rng("share").random() >= faults_share(self._condition.severity):
            return frame
        item = damaged(case.item, case.rng("damage"))
        if item is None:
            return without(frame, [case.name], self._ego_from_radar)
        return with_measurement(frame, case.name, item, frame.earlier.get(case.name, ()))

    def _spoilt(self, frame: Frame, case: _Case) -> Frame:
        fault = faults.Fault(fault=self._condition.fault, sensor=case.name, severity=self._condition.severity)
        newest = spoilt(frame, case.name, case.item, fault, case.fixed(fault.fault), case.rng(0))
        earlier = tuple(
            spoilt(frame, case.name, decoded(item), fault, case.fixed(fault.fault), case.rng(index))
            for index, item in enumerate(frame.earlier.get(case.name, ()), 1)
        )
        return with_measurement(frame, case.name, newest, earlier)


TIME_FAULTS = ("freeze", "delay", "jitter", "clock_offset", "other_frame")
"""Faults that show another moment, or the right one under another stamp."""


def faults_share(severity: int) -> float:
    """Share of messages that `corruption` spoils."""
    from mm_fusion.simulation.fault_messages import CORRUPT_SHARE

    return CORRUPT_SHARE[severity - 1]


def _max_age_ns(sensor: SensorConfig | None) -> int:
    return round(
        (SensorConfig.model_fields["max_age_ms"].default if sensor is None else sensor.max_age_ms) * 1e6
    )


def _turn(degrees: float, rng: np.random.Generator) -> Float64:
    """A rotation of always that size about a drawn axis."""
    return exp_twist(np.zeros(3), np.radians(degrees) * _axis(rng), 1.0)


def _shift(metres: float, rng: np.random.Generator) -> Float64:
    """A translation of always that length along a drawn axis."""
    return from_rpy_deg((0, 0, 0), (_axis(rng) * metres).tolist())


def _axis(rng: np.random.Generator) -> Float64:
    axis = rng.normal(size=3)
    return np.asarray(axis / np.linalg.norm(axis))
