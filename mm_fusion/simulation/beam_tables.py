"""Where and when each laser of a LiDAR fires: beam tables of real units as shots in firing order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import Float32, Float64

LIDAR_UNITS = ("vlp16", "hdl32", "hdl64", "beams128", "solid_state")
_GUARD = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LidarUnit:
    """A unit's optics. elevation_deg (B,) by ring, from below; column_s: time between two firings of a laser.

    reach: m, where a Lambertian surface of reflectivity `reach_reflectivity`, seen square on, is detected in
    half of the shots. divergence: full angle of the beam, rad. width_deg: horizontal field, 360 for a turn.
    """

    name: str
    elevation_deg: Float64
    column_s: float
    reach: float
    reach_reflectivity: float
    max_range: float
    range_sigma: float
    divergence: float
    width_deg: float = 360.0


@dataclass(frozen=True, slots=True, eq=False)
class Shots:
    """One scan in firing order, C columns of B beams.

    direction: (C, B, 3) f32 unit, sensor frame. time_s: (C, B) f64 from the middle of the scan.
    """

    direction: Float32
    time_s: Float64

    @property
    def rings(self) -> NDArray[np.int16]:
        """(C, B) int16: the beam, counted from below."""
        columns, beams = self.time_s.shape
        return np.broadcast_to(np.arange(beams, dtype=np.int16), (columns, beams))


def lidar_unit(name: str | None) -> LidarUnit:
    """The unit of a vehicle file's `unit`; raises `ConfigurationError` with the names there are.

    Sources: Velodyne's manuals of VLP-16 (63-9243), HDL-32E (63-9113), HDL-64E S3 and Alpha Prime (128
    beams, its dense middle rounded to three steps); the solid-state unit is a raster like those of MEMS
    scanners.
    """
    match name:
        case "vlp16":
            return LidarUnit(name, np.linspace(-15, 15, 16), 55.296e-6, 56.0, 0.1, 130.0, 0.02, 3e-3)
        case "hdl32":
            return LidarUnit(name, np.linspace(-30.67, 10.67, 32), 46.08e-6, 52.0, 0.1, 100.0, 0.02, 2.8e-3)
        case "hdl64":
            upper, lower = np.linspace(-8.33, 2.0, 32), np.linspace(-24.33, -8.83, 32)
            return LidarUnit(name, np.concatenate([lower, upper]), 48.0e-6, 65.0, 0.1, 120.0, 0.015, 2e-3)
        case "beams128":
            return LidarUnit(name, _dense_middle(), 53.3e-6, 110.0, 0.1, 245.0, 0.015, 1.5e-3)
        case "solid_state":
            rows = np.linspace(-12.5, 12.5, 80)
            return LidarUnit(name, rows, 166.7e-6, 90.0, 0.1, 200.0, 0.02, 2e-3, width_deg=120.0)
        case _:
            raise ConfigurationError(
                f"LiDAR unit {name!r}: the simulator knows {', '.join(LIDAR_UNITS)}; set unit to one of them"
            )


def _dense_middle() -> Float64:
    below = np.linspace(-25, -6.5, 24, endpoint=False)
    above = np.linspace(15, 3.5, 20, endpoint=False)[::-1]
    return np.concatenate([below, np.linspace(-6.5, 3.5, 84), above])


def shots_of(unit: LidarUnit, duration_s: float) -> Shots:
    """All shots of one scan: a turn clockwise from straight behind, or a raster from left to right.

    Lasers of a column fire one after another, and the head turns on meanwhile.
    """
    columns = max(2, int(duration_s / unit.column_s + _GUARD))
    beams = len(unit.elevation_deg)
    # Even lasers fire first, so that neighbours do not blind each other.
    order = np.argsort(np.argsort(np.arange(beams) % 2 * beams + np.arange(beams)))
    step_s = duration_s / columns
    since_start = np.arange(columns)[:, None] * step_s + order[None] * (step_s / beams)
    width = np.radians(unit.width_deg)
    azimuth = width / 2 - since_start / duration_s * width
    elevation = np.radians(unit.elevation_deg)[None]
    level = np.cos(elevation)
    direction = np.stack(
        [np.cos(azimuth) * level, np.sin(azimuth) * level, np.broadcast_to(np.sin(elevation), azimuth.shape)],
        axis=2,
    )
    return Shots(direction.astype(np.float32), since_start - duration_s / 2)
