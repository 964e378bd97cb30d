"""When each point was measured: the unit and origin of a cloud's time column, guessed where not given."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mm_fusion.config import SensorConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.messages.header import SensorHeader

UNITS_NS: dict[str, float] = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
MAX_OFFSET_NS = 1_000_000_000
"""A point further than this from the middle of its scan has no usable time."""

LONGEST_SCAN_NS = 0.5e9
"""What a scan may last at most when its unit is guessed; the largest unit that keeps to it is taken."""

_SAME_CLOCK_NS = 1e9
_CLOCKS_DIFFER_FROM_NS = 10_000_000_000
_INTEGER_DATATYPES = range(1, 7)


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How a raw time becomes ns from the middle of the scan: (raw - origin) * unit_ns + shift_ns."""

    origin: float
    unit_ns: float
    shift_ns: float


AT_STAMP = TimeRule(0.0, 0.0, 0.0)
"""Every point at the stamp: a cloud without times."""


def half_scan_ns(sensor: SensorConfig) -> int:
    """The middle of the scan minus the instant that the stamp means."""
    half = round(sensor.duration_ms * 5e5)
    return {"start": half, "middle": 0, "end": -half}[sensor.stamp_at]


def time_rule(low: float, high: float, datatype: int, header: SensorHeader, sensor: SensorConfig) -> TimeRule:
    """The rule for raw times between `low` and `high` of a column of PointField `datatype`.

    Relative times count from the stamp as sent, absolute ones on the header's clock likewise. Times on a
    clock of their own (GPS week, power-on), or with stamps by receipt, are laid so that their first, middle
    or last is at the stamp, as `stamp_at` says. `fields: {time: "t:ns"}` in the vehicle file gives the unit.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return AT_STAMP
    shift = -float(half_scan_ns(sensor))
    given = _given_unit(sensor)
    same_clock = [u for u in _units(given) if _on_header_clock((low + high) / 2 * u, header, sensor)]
    if same_clock:
        return TimeRule(header.header_ns / same_clock[0], same_clock[0], shift)
    unit = given or _guess_unit(high - low, max(abs(low), abs(high)), datatype, sensor.duration_ms * 1e6)
    if sensor.stamp_source == "header" and max(abs(low), abs(high)) * unit <= MAX_OFFSET_NS:
        return TimeRule(0.0, unit, shift)
    anchor = {"start": low, "middle": (low + high) / 2, "end": high}[sensor.stamp_at]
    return TimeRule(anchor, unit, shift)


def _given_unit(sensor: SensorConfig) -> float | None:
    _, colon, unit = sensor.fields.get("time", "").partition(":")
    if not colon:
        return None
    if unit not in UNITS_NS:
        raise MeasurementError(
            f"expected one of the units {', '.join(UNITS_NS)} after the colon of `fields: time`, got "
            f"{unit!r}; "
            "correct the vehicle file"
        )
    return UNITS_NS[unit]


def _units(given: float | None) -> tuple[float, ...]:
    return tuple(UNITS_NS.values()) if given is None else (given,)


def _on_header_clock(time_ns: float, header: SensorHeader, sensor: SensorConfig) -> bool:
    if sensor.stamp_source != "header" or header.header_ns < _CLOCKS_DIFFER_FROM_NS:
        return False
    return abs(time_ns - header.header_ns) < _SAME_CLOCK_NS


def _guess_unit(span: float, extreme: float, datatype: int, duration_ns: float) -> float:
    """The unit in ns: nearest to the known duration, else the largest with which the scan is not too long."""
    length = span or extreme
    units = [1e3, 1.0] if datatype in _INTEGER_DATATYPES else list(UNITS_NS.values())
    if length <= 0:
        return units[-1]
    if duration_ns > 0:
        return min(units, key=lambda unit: abs(math.log(length * unit / duration_ns)))
    return next((unit for unit in units if length * unit <= LONGEST_SCAN_NS), units[-1])
