"""Where each kind of sensor can see: field of view, liveness, health and age of each physical sensor.

An empty cell that is covered and a cell that nobody looks at differ; a cell is available to a kind of sensor
where its coverage is above zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mm_fusion.config import VehicleConfig
from mm_fusion.frame import Frame, SensorHealth
from mm_fusion.measurements import Float32, Float64, LidarSweep, RadarScan
from mm_fusion.network_config import LearnedConfig

HALF_AGE_S = 0.2
"""Age at which a sensor's coverage is half of a fresh one's."""
LIDAR_SECTORS = 72
"""Azimuth sectors of a LiDAR, 5 degrees each; one without returns beside it is not looked into."""
LIDAR_SAMPLE = 4096
"""Points of a sweep that are enough to tell which sectors it looks into."""

Share = NDArray[np.floating]
Grid = tuple[float, float, float, int, int]
"""x_min, y_min, cell, and the numbers of cells."""


def coverage(
    frame: Frame,
    vehicle: VehicleConfig,
    config: LearnedConfig,
    camera_coverage: Float32,
    scene_from_base: Float64 | None = None,
) -> Float32:
    """(1, 3, X, Y) f32 in 0..1 of camera, LiDAR and radar.

    camera_coverage: (X, Y) as the lift table of the same frame has it (`LiftTable.coverage`).
    """
    out = np.zeros((1, 3, *config.grid.shape), np.float32)
    out[0, 0] = camera_coverage
    out[0, 1] = _lidar_coverage(frame, vehicle, config, scene_from_base)
    out[0, 2] = _radar_coverage(frame, vehicle, config, scene_from_base)
    return out


def camera_shares(
    frame: Frame, names: Sequence[str], config: LearnedConfig, scene_from_base: Float64 | None = None
) -> Float32:
    """(C, X Y) f32: what is left of each camera towards each cell by its age and health."""
    size_x, size_y = config.grid.shape
    shares = np.empty((len(names), size_x * size_y), np.float32)
    for number, name in enumerate(names):
        shares[number] = fresh_share(frame, name)
        if not _is_whole(frame.health.get(name)):
            azimuth, _ = cell_directions(frame, name, config, scene_from_base)
            shares[number] *= healthy_share(frame.health.get(name), azimuth).ravel()
    return shares


def fresh_share(frame: Frame, name: str) -> float:
    """1 for a measurement at the frame's own time, falling with its distance from it, never 0."""
    return 1 / (1 + abs(frame.age_ns.get(name, 0)) * 1e-9 / HALF_AGE_S)


def healthy_share(health: SensorHealth | None, azimuth: Float32) -> Float32:
    """The healthy share of a sensor in directions `azimuth` rad around it in `base_link` axes."""
    if health is None or not len(health.sector_coverage):
        return np.ones(azimuth.shape, np.float32)
    count = len(health.sector_coverage)
    return np.asarray(health.sector_coverage[_sector(azimuth, count)], np.float32)


def cell_directions(
    frame: Frame, name: str, config: LearnedConfig, scene_from_base: Float64 | None = None
) -> tuple[Float32, Float32]:
    """Azimuth rad in `base_link` axes and distance m (X, Y) f32 of cells as seen from a sensor."""
    if scene_from_base is None:
        return _kept_directions(_grid_of(config), _place_of(frame, name))
    m = np.asarray(np.linalg.inv(scene_from_base), np.float64)
    return _directions(_grid_of(config), m, m[:2, 3] - frame.calibration.base_from_sensor[name][:2, 3])


def _grid_of(config: LearnedConfig) -> Grid:
    return (config.grid.x_min, config.grid.y_min, config.grid.cell, *config.grid.shape)


def _place_of(frame: Frame, name: str) -> tuple[float, float]:
    x, y = (0.0 - frame.calibration.base_from_sensor[name][:2, 3]).tolist()
    return x, y


@lru_cache(maxsize=32)
def _kept_directions(grid: Grid, place: tuple[float, float]) -> tuple[Float32, Float32]:
    """Those of a mount that stays where it is: the same in every frame of a vehicle."""
    return _directions(grid, np.eye(4), np.array(place))


def _directions(grid: Grid, m: Float64, place: Float64) -> tuple[Float32, Float32]:
    x_min, y_min, cell, size_x, size_y = grid
    x = (x_min + (np.arange(size_x, dtype=np.float32) + 0.5) * cell)[:, None]
    y = (y_min + (np.arange(size_y, dtype=np.float32) + 0.5) * cell)[None, :]
    offset = np.stack([m[i, 0] * x + m[i, 1] * y + place[i] for i in (0, 1)]).astype(np.float32)
    azimuth, distance = np.arctan2(offset[1], offset[0]), np.hypot(*offset)
    for array in (azimuth, distance):
        array.setflags(write=False)
    return azimuth, distance


def _lidar_coverage(
    frame: Frame, vehicle: VehicleConfig, config: LearnedConfig, scene: Float64 | None
) -> Float32:
    best = np.zeros(config.grid.shape, np.float32)
    for name, sweep in frame.of_kind("lidar").items():
        if name in frame.calibration.base_from_sensor and isinstance(sweep, LidarSweep):
            azimuth, distance = cell_directions(frame, name, config, scene)
            looks = sectors_seen(sweep, frame.calibration.base_from_sensor[name])
            if scene is None:
                sectors = _kept_sectors(_grid_of(config), _place_of(frame, name))
            else:
                sectors = _sector(azimuth, LIDAR_SECTORS)
            share = fresh_share(frame, name) * looks[sectors]
            share = share * (distance <= _reach(vehicle, name))
            best = np.maximum(best, _with_health(share, frame.health.get(name), azimuth))
    return best.astype(np.float32)


def _radar_coverage(
    frame: Frame, vehicle: VehicleConfig, config: LearnedConfig, scene: Float64 | None
) -> Float32:
    best = np.zeros(config.grid.shape, np.float32)
    half = float(np.radians(config.radar.fov_deg)) / 2
    for name, scan in frame.of_kind("radar").items():
        if name in frame.calibration.base_from_sensor and isinstance(scan, RadarScan):
            forward = frame.calibration.base_from_sensor[name][:2, 0]
            cone = float(np.arctan2(forward[1], forward[0])), half
            reach = float(min(config.radar.reach, _reach(vehicle, name)))
            azimuth, distance = cell_directions(frame, name, config, scene)
            if scene is None:
                inside = _kept_view(_grid_of(config), _place_of(frame, name), cone, reach)
            else:
                inside = _in_view(azimuth, distance, cone, reach)
            share = fresh_share(frame, name) * inside
            best = np.maximum(best, _with_health(share, frame.health.get(name), azimuth))
    return best.astype(np.float32)


@lru_cache(maxsize=32)
def _kept_sectors(grid: Grid, place: tuple[float, float]) -> NDArray[np.int64]:
    """Sectors of cells as seen from a LiDAR that stays where it is."""
    return _sector(_kept_directions(grid, place)[0], LIDAR_SECTORS)


@lru_cache(maxsize=32)
def _kept_view(
    grid: Grid, place: tuple[float, float], cone: tuple[float, float], reach: float
) -> NDArray[np.bool_]:
    """Cells in the view of a radar that stays where it is."""
    return _in_view(*_kept_directions(grid, place), cone, reach)


def _in_view(
    azimuth: Float32, distance: Float32, cone: tuple[float, float], reach: float
) -> NDArray[np.bool_]:
    """Whether cells (X, Y) lie within `reach` m and a cone of (middle, half its width) rad."""
    turned = np.abs(_wrapped(azimuth - np.float32(cone[0])))
    return np.asarray((turned <= cone[1]) & (distance <= reach))


def _with_health(share: Share, health: SensorHealth | None, azimuth: Float32) -> Share:
    """What is left of a sensor's share of cells (X, Y) by its health; most are whole."""
    return share if _is_whole(health) else share * healthy_share(health, azimuth)


def sectors_seen(sweep: LidarSweep, base_from_lidar: Float64) -> Float32:
    """(LIDAR_SECTORS,) f32: 1 where a LiDAR has returns in an azimuth sector or beside it, else 0."""
    sample = sweep.xyz[:: max(1, len(sweep.xyz) // LIDAR_SAMPLE)]
    sample = sample[np.isfinite(sample).all(axis=1)] @ base_from_lidar[:3, :3].T.astype(np.float32)
    seen = np.zeros(LIDAR_SECTORS, np.float32)
    seen[_sector(np.arctan2(sample[:, 1], sample[:, 0]), LIDAR_SECTORS)] = 1
    return np.maximum(seen, np.maximum(np.roll(seen, 1), np.roll(seen, -1)))


def _reach(vehicle: VehicleConfig, name: str) -> float:
    sensor = vehicle.sensors.get(name)
    return np.inf if sensor is None else sensor.max_range_m


def _is_whole(health: SensorHealth | None) -> bool:
    return health is None or bool((health.sector_coverage == 1).all())


def _sector(azimuth: Float32, count: int) -> NDArray[np.int64]:
    return np.floor((azimuth + np.pi) / (2 * np.pi) * count).astype(np.int64) % count


def _wrapped(angle: Float32) -> Float32:
    """Angles within two turns brought to [-pi, pi]."""
    return angle - np.float32(2 * np.pi) * np.round(angle / np.float32(2 * np.pi))
