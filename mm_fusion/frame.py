"""A set of measurements around one reference time, with the calibration and ego motion of that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mm_fusion.measurements import CameraModel, Deferred, EgoMotion, Float32, Float64, Measurement, SensorKind


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Where sensors are and how cameras see, at a frame's time; an absent key is an uncalibrated sensor.

    base_from_sensor: (4, 4) float64 by sensor name. camera_models: by camera name.
    """

    base_from_sensor: Mapping[str, Float64] = field(default_factory=dict)
    camera_models: Mapping[str, CameraModel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SensorHealth:
    """What diagnostics know of a sensor: coverage 0..1 by azimuth sector of the sensor, and named remarks.

    sector_coverage: (S,) float32, S equal azimuth sectors from -pi to pi around the sensor in `base_link`
    axes; 1 is healthy, 0 sees nothing.
    """

    sector_coverage: Float32 = field(default_factory=lambda: np.ones(1, np.float32))
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Measurements by sensor name around `stamp_ns`, each on its own time and in its own frame.

    measurements: only what is available; still `Deferred` as the collector releases them, decoded when a
    detector gets the frame (`Pipeline.detect` sees to it). earlier: older sweeps, newest first. kinds: of
    every configured sensor. available and age_ns (stamp_ns minus measurement's time): by sensor name, every
    configured sensor in `available`. ego: twist at `stamp_ns`, None where no source is alive.
    """

    stamp_ns: int
    measurements: Mapping[str, Measurement | Deferred]
    kinds: Mapping[str, SensorKind]
    available: Mapping[str, bool]
    age_ns: Mapping[str, int]
    calibration: Calibration
    ego: EgoMotion | None = None
    earlier: Mapping[str, tuple[Measurement | Deferred, ...]] = field(default_factory=dict)
    health: Mapping[str, SensorHealth] = field(default_factory=dict)

    def of_kind(self, kind: SensorKind) -> dict[str, Measurement]:
        """The decoded measurements of one kind of sensor by name, in the order of configuration."""
        names = [name for name, k in self.kinds.items() if k == kind and name in self.measurements]
        return {name: decoded(self.measurements[name]) for name in names}


def decoded(item: Measurement | Deferred) -> Measurement:
    """The measurement itself; raises `MeasurementError` where a deferred payload is unusable."""
    return item.get() if isinstance(item, Deferred) else item
