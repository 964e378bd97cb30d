"""When each sensor measures, what its clock says then, and when its message is received."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mm_fusion.config import SensorConfig, VehicleConfig

PERIOD_MS = {"camera": 1000 / 12, "lidar": 100.0, "radar": 1000 / 13}
"""Of a sensor whose vehicle file gives none; those of nuScenes, but 10 Hz for a LiDAR."""
LATENCY_MS = {"camera": 30.0, "lidar": 8.0, "radar": 35.0}
"""p90 from the middle of an exposure or cycle (of a LiDAR: from the end of its scan) to receipt."""
JITTER_MS = {"camera": 0.5, "lidar": 1.0, "radar": 3.0}
CLOCK_SIGMA_MS = 0.3
"""Of a clock that is kept by PTP or the like."""
LONGEST_LATENCY = 2.0
"""No message of a healthy sensor takes longer than this multiple of the p90."""


@dataclass(frozen=True, slots=True)
class SensorClock:
    """One sensor's time. The middle of measurement i is phase + i * period, off by up to `jitter_ns`.

    latency_ns: p90 of receipt minus that middle; floor_ns: what it never falls below. offset_ns: how far its
    clock is ahead of the vehicle's.
    """

    period_ns: int
    phase_ns: int
    jitter_ns: int
    latency_ns: int
    floor_ns: int
    offset_ns: int


@dataclass(frozen=True, slots=True)
class Tick:
    """One measurement to be made. time_ns: its true middle, from the drive's start; stamp_ns: the same by the
    sensor's own clock; receipt_ns: when its message comes, from the drive's start.
    """

    sensor: str
    index: int
    time_ns: int
    stamp_ns: int
    receipt_ns: int


def sensor_key(name: str) -> int:
    """A number for a sensor's name that is the same on every machine."""
    return zlib.crc32(name.encode())


def random_of(*keys: int | str) -> np.random.Generator:
    """The generator of its keys, independent of whatever else was drawn before."""
    return np.random.default_rng([sensor_key(key) if isinstance(key, str) else key for key in keys])


def make_clock(name: str, sensor: SensorConfig, seed: int) -> SensorClock:
    """The clock of a sensor: the vehicle file's period, latency and jitter, else those of its kind."""
    rng = random_of(seed, name, "clock")
    period = _ns(sensor.period_ms or PERIOD_MS[sensor.kind])
    half = _ns(sensor.duration_ms / 2)
    latency = half + _ns(LATENCY_MS[sensor.kind])
    if sensor.latency_ms is not None:
        latency = max(_ns(sensor.latency_ms), half + 1_000_000)
    jitter = _ns(JITTER_MS[sensor.kind] if sensor.jitter_ms is None else sensor.jitter_ms)
    return SensorClock(
        period_ns=period,
        phase_ns=half + jitter + int(rng.integers(period)),
        jitter_ns=min(jitter, period // 3),
        latency_ns=latency,
        floor_ns=half,
        offset_ns=_ns(float(rng.normal(0, CLOCK_SIGMA_MS))),
    )


def make_clocks(vehicle: VehicleConfig, seed: int) -> dict[str, SensorClock]:
    """A clock for each sensor that measures, by name."""
    return {
        name: make_clock(name, sensor, seed)
        for name, sensor in vehicle.sensors.items()
        if sensor.kind in PERIOD_MS
    }


def tick_at(name: str, clock: SensorClock, index: int, seed: int) -> Tick:
    """Measurement number `index`, the same whenever it is asked for."""
    rng = random_of(seed, name, "tick", index)
    shift = int(rng.integers(-clock.jitter_ns, clock.jitter_ns + 1))
    time_ns = clock.phase_ns + index * clock.period_ns + shift
    return Tick(name, index, time_ns, time_ns + clock.offset_ns, time_ns + _latency_ns(clock, rng))


def _latency_ns(clock: SensorClock, rng: np.random.Generator) -> int:
    """Most of it always there, the rest with an exponential tail, so that a tenth takes longer than p90."""
    spare = clock.latency_ns - clock.floor_ns
    tail = float(rng.exponential(0.3 * spare / np.log(10)))
    return clock.floor_ns + round(min(0.7 * spare + tail, LONGEST_LATENCY * spare))


def ticks(name: str, clock: SensorClock, seconds: float, seed: int) -> Iterator[Tick]:
    """All measurements of a sensor whose middle lies within `seconds`, in order of time."""
    index = 0
    while (tick := tick_at(name, clock, index, seed)).time_ns < seconds * 1e9:
        yield tick
        index += 1


def nearest_index(clock: SensorClock, time_ns: int) -> int:
    """The index of the measurement nearest to `time_ns`, 0 where that lies before the first."""
    return max(0, round((time_ns - clock.phase_ns) / clock.period_ns))


def _ns(ms: float) -> int:
    return round(ms * 1e6)
