"""All radars' returns as a raster over the grid, by footprint: their elevation is not trusted.

Channels (`network_config.RADAR_CHANNELS`): `count` ln(1 + returns) / ln(32); `strength` mean and `strongest`,
normalised by kind and range (`StrengthNorm`), -3..3; `velocity` over ground along the ray of the strongest
return that has one, 10 m/s; `doppler_cos`, `doppler_sin` mean place of that velocity in the ambiguity
interval; `velocity_valid` share of returns with a velocity; `velocity_spread` circular standard deviation,
10 m/s; `interval` 10 m/s over the ambiguity interval; `age` mean, 0.1 s; `height` mean, 10 m, 0 where the
radar measures none. Empty cells are zero throughout.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.config import EgoBox
from mm_fusion.frame import Frame
from mm_fusion.geometry.motion import ground_radial_velocity
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.inputs.sweep_motion import AGE_UNIT_S, grid_from_base, sweeps_of
from mm_fusion.measurements import Float32, Float64, RadarScan
from mm_fusion.network_config import RADAR_CHANNELS, LearnedConfig, StrengthNorm

VELOCITY_UNIT_MPS = 10.0
"""Velocities in the network's inputs are multiples of this."""
HEIGHT_UNIT = 10.0
"""Heights of radar returns are divided by this, m: a weak channel on purpose."""
FARTHEST = 2000.0
"""Coordinates beyond this, m, are no measurements; NaN is neither."""
FULL_COUNT = 32.0
STRENGTH_LIMIT = 3.0
LEAST_RESULTANT = 1e-3
"""Mean resultant length at which the spread of velocity is cut off: evenly over the interval."""
(_X, _Y, _STRENGTH, _VELOCITY, _INTERVAL, _AGE, _HEIGHT) = range(7)


class RadarRaster:
    """Builds the radar raster."""

    def __init__(self, config: LearnedConfig, ego_box: EgoBox | None = None) -> None:
        _, self._x, self._y = config.radar_shape
        self._grid, self._radar, self._box = config.grid, config.radar, ego_box

    def build(self, frame: Frame, scene_from_base: Float64 | None = None) -> Float32:
        """The raster (C, X, Y) f32 of all calibrated radars, zeros where there are none."""
        rows = [np.zeros((0, 7), np.float32)]
        found = sweeps_of(frame, "radar", self._radar.sweeps)
        scans = [(name, scan) for name, scan in found if isinstance(scan, RadarScan)]
        for (name, *_), group in groupby(scans, _alike):
            alike = [scan for _, scan in group]
            rows.append(self._returns(frame, name, alike, scene_from_base))
        per_metre = self._radar.scale / self._grid.cell
        origin = np.array([self._grid.x_min, self._grid.y_min])
        return np.asarray(raster_of_returns(np.concatenate(rows), origin, per_metre, self._x, self._y))

    def _returns(self, frame: Frame, name: str, scans: list[RadarScan], scene: Float64 | None) -> Float32:
        """(N, 7) f32 of a radar's scans: place on the grid, strength, velocity (NaN unknown), interval, age,
        height.
        """
        base_from_radar = frame.calibration.base_from_sensor[name]
        scan, number = joined(scans)
        usable = self._usable(scan, base_from_radar)
        scan, number = scan.select(usable), number[usable]
        # a scene that grows has its speeds grow too, in unchanged places of a grown interval
        growth = 1.0 if scene is None else float(np.sqrt(abs(np.linalg.det(scene[:2, :2]))))
        interval = scan.ambiguity_mps or self._radar.interval_mps
        rows = np.empty((len(scan.xyz), 7), np.float32)
        rows[:, _STRENGTH] = normalised_strength(scan, self._radar.strength[scan.strength_kind])
        rows[:, _VELOCITY] = _velocity_over_ground(frame, scan, base_from_radar) * growth
        rows[:, _INTERVAL] = interval * growth
        ends = np.searchsorted(number, np.arange(len(scans) + 1))
        for one, begin, end in zip(scans, ends, ends[1:]):
            xyz, part = scan.xyz[begin:end], rows[begin:end]
            grid_from_radar = grid_from_base(frame, one.stamp_ns, scene) @ base_from_radar
            part[:, :2] = transform_points(grid_from_radar, xyz)[:, :2]
            part[:, _AGE] = (frame.stamp_ns - one.stamp_ns) * 1e-9
            part[:, _HEIGHT] = _heights(xyz, base_from_radar)
        return rows

    def _usable(self, scan: RadarScan, base_from_radar: Float64) -> np.ndarray:
        """Which returns are plausible and not the car itself; its box is where it was at the scan."""
        usable = (np.abs(scan.xyz) < FARTHEST).all(axis=1)
        if self._box is not None:
            xyz = transform_points(base_from_radar, scan.xyz)
            usable &= ~((xyz >= self._box.min) & (xyz <= self._box.max)).all(axis=1)
        return np.asarray(usable)


def _alike(named: tuple[str, RadarScan]) -> tuple[str, bool, float | None, str]:
    """What scans that are worked on together have in common."""
    name, scan = named
    return name, scan.compensated, scan.ambiguity_mps, scan.strength_kind


def joined(scans: list[RadarScan]) -> tuple[RadarScan, NDArray[np.int64]]:
    """The returns of several scans of a radar as one of the first's stamp, and (N,) the scan each is from."""
    number = np.repeat(np.arange(len(scans)), [len(scan.xyz) for scan in scans])
    if len(scans) == 1:
        return scans[0], number
    one = replace(
        scans[0],
        xyz=np.concatenate([scan.xyz for scan in scans]),
        radial_velocity=np.concatenate([scan.radial_velocity for scan in scans]),
        strength_db=np.concatenate([scan.strength_db for scan in scans]),
    )
    return one, number


def normalised_strength(scan: RadarScan, norm: StrengthNorm) -> Float32:
    """Strengths (N,) without what range and kind do to them, -3..3; 0 where there is none."""
    ranges = np.maximum(np.linalg.norm(scan.xyz, axis=1), 1.0)
    level = scan.strength_db + norm.per_decade_db * np.log10(ranges / 20.0) - norm.mean_db
    share = np.clip(level / norm.spread_db, -STRENGTH_LIMIT, STRENGTH_LIMIT)
    return np.nan_to_num(share, nan=0.0).astype(np.float32)


def _velocity_over_ground(frame: Frame, scan: RadarScan, base_from_radar: Float64) -> Float32:
    """(N,) m/s, receding positive, NaN where the measurement or ego motion is unknown."""
    if scan.compensated:
        return scan.radial_velocity
    if frame.ego is None:
        return np.full(len(scan.xyz), np.nan, np.float32)
    return np.asarray(
        ground_radial_velocity(
            scan.xyz, scan.radial_velocity, base_from_radar, frame.ego, scan.ambiguity_mps
        ),
        np.float32,
    )


def _heights(xyz: Float32, base_from_radar: Float64) -> Float32:
    """Heights (N,) m in `base_link`, zeros from a flat radar, most of whose returns lie in its own plane."""
    if 2 * np.count_nonzero(xyz[:, 2]) <= len(xyz):
        return np.zeros(len(xyz), np.float32)
    return transform_points(base_from_radar, xyz)[:, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def raster_of_returns(rows: Float32, origin: Float64, per_metre: float, size_x: int, size_y: int) -> Float32:
    """The raster (C, X, Y) of returns (N, 7) as `RadarRaster` lists them."""
    raster = np.zeros((len(RADAR_CHANNELS), size_x * size_y), np.float32)
    strongest = np.full(size_x * size_y, -np.inf, np.float32)
    for i in range(len(rows)):
        x, y = (rows[i, 0] - origin[0]) * per_metre, (rows[i, 1] - origin[1]) * per_metre
        if not (x >= 0 and x < size_x and y >= 0 and y < size_y):
            continue
        cell = int(x) * size_y + int(y)
        strength, velocity = rows[i, 2], rows[i, 3]
        raster[2, cell] = strength if raster[0, cell] == 0 else max(raster[2, cell], strength)
        raster[0, cell] += 1
        raster[1, cell] += strength
        raster[9, cell] += rows[i, 5]
        raster[10, cell] += rows[i, 6]
        if np.isfinite(velocity):
            place = 2 * np.pi * velocity / rows[i, 4]
            raster[4, cell] += np.cos(place)
            raster[5, cell] += np.sin(place)
            raster[6, cell] += 1
            raster[8, cell] += 1 / rows[i, 4]
            if strength > strongest[cell]:
                strongest[cell] = strength
                raster[3, cell] = velocity
    for cell in range(size_x * size_y):
        if raster[0, cell] > 0:
            _finish(raster, cell)
    return raster.reshape(len(RADAR_CHANNELS), size_x, size_y)


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(raster: Float32, cell: int) -> None:
    """Sums of one cell to means."""
    count, valid = raster[0, cell], raster[6, cell]
    if valid > 0:
        for channel in (4, 5, 8):
            raster[channel, cell] /= valid
        resultant = np.sqrt(raster[4, cell] ** 2 + raster[5, cell] ** 2)
        # circular standard deviation, Mardia and Jupp 2000, eq. 2.3.11
        angle = np.sqrt(-2 * np.log(min(max(resultant, LEAST_RESULTANT), 1.0)))
        raster[7, cell] = angle / (2 * np.pi * raster[8, cell]) / VELOCITY_UNIT_MPS
        raster[3, cell] /= VELOCITY_UNIT_MPS
        raster[8, cell] *= VELOCITY_UNIT_MPS
    for channel in (1, 6):
        raster[channel, cell] /= count
    raster[9, cell] /= count * AGE_UNIT_S
    raster[10, cell] /= count * HEIGHT_UNIT
    raster[0, cell] = np.log(1 + count) / np.log(FULL_COUNT)
