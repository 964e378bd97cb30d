"""The rasters of LiDAR and radar in NumPy alone: `np.bincount` and `np.minimum.at`, points moved by SciPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mm_fusion.benchmarking.plain_decoding import PlainCloud
from mm_fusion.config import EgoBox
from mm_fusion.frame import Frame
from mm_fusion.measurements import Float32, Float64
from mm_fusion.network_config import LearnedConfig, StrengthNorm

Clouds = Sequence[tuple[str, PlainCloud]]


def plain_deskew(
    xyz_base: np.ndarray, time_ns_from_ref: np.ndarray, linear: np.ndarray, angular: np.ndarray
) -> np.ndarray:
    """Each point turned and shifted (straight) by its own time, vectorised with scipy's rotations."""
    from scipy.spatial.transform import Rotation

    seconds = time_ns_from_ref[:, None] * 1e-9
    turned = Rotation.from_rotvec(angular * seconds).apply(xyz_base)
    return np.asarray(turned + linear * seconds, np.float32)


def plain_lidar_raster(clouds: Clouds, frame: Frame, config: LearnedConfig, box: EgoBox | None) -> Float32:
    """The raster (C, X, Y) of `inputs.lidar_raster`, of clouds with columns intensity and t (ns)."""
    channels, size_x, size_y = config.lidar_shape
    edges, total = np.array(config.lidar.slice_edges, np.float32), size_x * size_y
    xyz, intensity, age = _moved(clouds, frame, box)
    per_metre = config.lidar.scale / config.grid.cell
    place = np.floor((xyz[:, :2] - [config.grid.x_min, config.grid.y_min]) * per_metre).astype(np.int64)
    z = xyz[:, 2]
    keep = ((place >= 0) & (place < [size_x, size_y])).all(axis=1) & (z >= edges[0]) & (z < edges[-1])
    cell, z, intensity, age = place[keep, 0] * size_y + place[keep, 1], z[keep], intensity[keep], age[keep]
    slices, raster = len(edges) - 1, np.zeros((channels, total), np.float32)
    flat = (np.searchsorted(edges, z, side="right") - 1) * total + cell
    count = np.bincount(flat, minlength=slices * total).reshape(slices, total)
    raster[:slices] = np.log1p(count) / np.log(32.0)
    sums = np.bincount(flat, intensity, minlength=slices * total).reshape(slices, total)
    raster[slices : 2 * slices] = sums / np.maximum(count, 1)
    raster[2 * slices :] = _columns(cell, z, age, total)
    return raster.reshape(channels, size_x, size_y)


def _columns(cell: np.ndarray, z: np.ndarray, age: np.ndarray, total: int) -> np.ndarray:
    """Lowest, highest, mean height, spread and age (5, cells), zero in empty ones."""
    count = np.bincount(cell, minlength=total)
    some = np.maximum(count, 1)
    lowest, highest = np.full(total, np.inf, np.float32), np.full(total, -np.inf, np.float32)
    np.minimum.at(lowest, cell, z)
    np.maximum.at(highest, cell, z)
    mean = np.bincount(cell, z, minlength=total) / some
    square = np.bincount(cell, z.astype(np.float64) ** 2, minlength=total) / some
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    ages = np.bincount(cell, age, minlength=total) / some / 0.1
    columns = np.stack([lowest, highest, mean, spread, ages])
    columns[:, count == 0] = 0
    return columns


def _moved(clouds: Clouds, frame: Frame, box: EgoBox | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points in `base_link` at the frame's time, their intensity and their age in s."""
    parts = [(np.zeros((0, 3), np.float32), np.zeros(0), np.zeros(0))]
    for name, cloud in clouds:
        base_from_sensor = frame.calibration.base_from_sensor[name]
        time_ns = cloud.stamp_ns + cloud.columns["t"].astype(np.int64) - frame.stamp_ns
        xyz = cloud.xyz @ base_from_sensor[:3, :3].T.astype(np.float32)
        xyz = xyz + base_from_sensor[:3, 3].astype(np.float32)
        keep = _outside(xyz, box)
        if frame.ego is not None:
            ego = frame.ego
            xyz = plain_deskew(xyz, time_ns, ego.linear_velocity, ego.angular_velocity)
        parts.append((xyz[keep], cloud.columns["intensity"][keep], -time_ns[keep] * 1e-9))
    return tuple(np.concatenate(each) for each in zip(*parts))  # type: ignore[return-value]


def _outside(xyz_base: np.ndarray, box: EgoBox | None) -> np.ndarray:
    if box is None:
        return np.ones(len(xyz_base), bool)
    return np.asarray(~((xyz_base >= box.min) & (xyz_base <= box.max)).all(axis=1))


def plain_radar_raster(clouds: Clouds, frame: Frame, config: LearnedConfig, box: EgoBox | None) -> Float32:
    """The raster (C, X, Y) of `inputs.radar_raster`, of clouds with velocity and rcs, snr or power."""
    channels, size_x, size_y = config.radar_shape
    parts = [np.zeros((0, 7))] + [_returns(*each, frame, config, box) for each in clouds]
    rows = np.concatenate(parts)
    per_metre = config.radar.scale / config.grid.cell
    place = np.floor((rows[:, :2] - [config.grid.x_min, config.grid.y_min]) * per_metre).astype(np.int64)
    keep = ((place >= 0) & (place < [size_x, size_y])).all(axis=1)
    cell, rows = place[keep, 0] * size_y + place[keep, 1], rows[keep]
    total = size_x * size_y
    count = np.bincount(cell, minlength=total)
    raster, some = np.zeros((channels, total), np.float64), np.maximum(count, 1)
    raster[0] = np.log1p(count) / np.log(32.0)
    raster[1] = np.bincount(cell, rows[:, 2], minlength=total) / some
    strongest = np.full(total, -np.inf)
    np.maximum.at(strongest, cell, rows[:, 2])
    raster[2] = np.where(count > 0, strongest, 0)
    _velocities(raster, cell, rows, count)
    raster[9] = np.bincount(cell, rows[:, 4], minlength=total) / some / 0.1
    raster[10] = np.bincount(cell, rows[:, 5], minlength=total) / some / 10.0
    return raster.reshape(channels, size_x, size_y).astype(np.float32)


def _velocities(raster: np.ndarray, cell: np.ndarray, rows: np.ndarray, count: np.ndarray) -> None:
    """Fill in the channels of velocity: that of the strongest, circular mean and spread, share, interval."""
    valid = np.isfinite(rows[:, 3])
    cell, rows, total = cell[valid], rows[valid], raster.shape[1]
    number = np.bincount(cell, minlength=total)
    some = np.maximum(number, 1)
    # the strongest is written last; of two equally strong ones the first in the cloud
    order = np.lexsort((-np.arange(len(rows)), rows[:, 2]))
    raster[3, cell[order]] = rows[order, 3] / 10.0
    angle = 2 * np.pi * rows[:, 3] / rows[:, 6]
    inverse = np.bincount(cell, 1 / rows[:, 6], minlength=total) / some
    raster[4] = np.bincount(cell, np.cos(angle), minlength=total) / some
    raster[5] = np.bincount(cell, np.sin(angle), minlength=total) / some
    raster[6] = number / np.maximum(count, 1)
    resultant = np.clip(np.hypot(raster[4], raster[5]), 1e-3, 1)
    spread = np.sqrt(-2 * np.log(resultant)) / (2 * np.pi * np.where(number > 0, inverse, 1)) / 10.0
    raster[7] = np.where(number > 0, spread, 0)
    raster[8] = inverse * 10.0


def _returns(
    name: str, cloud: PlainCloud, frame: Frame, config: LearnedConfig, box: EgoBox | None
) -> np.ndarray:
    """(N, 7): place at the frame's time, strength, velocity over ground, age, height, interval."""
    base_from_radar: Float64 = frame.calibration.base_from_sensor[name]
    there = cloud.xyz @ base_from_radar[:3, :3].T + base_from_radar[:3, 3]
    keep = _outside(there, box)
    xyz, there = cloud.xyz[keep].astype(np.float64), there[keep]
    kind = next(name for name in ("rcs", "snr", "power") if name in cloud.columns)
    speed, strength = cloud.columns["velocity"][keep], cloud.columns[kind][keep]
    interval = np.full(len(xyz), cloud.ambiguity_mps or config.radar.interval_mps)
    age_ns = frame.stamp_ns - cloud.stamp_ns
    velocity, xyz_base = np.full(len(xyz), np.nan), there
    if frame.ego is not None:
        linear, angular = frame.ego.linear_velocity, frame.ego.angular_velocity
        distance = np.maximum(np.linalg.norm(xyz, axis=1, keepdims=True), 1e-9)
        rays = (xyz / distance) @ base_from_radar[:3, :3].T
        velocity = speed + rays @ (linear + np.cross(angular, base_from_radar[:3, 3]))
        if cloud.ambiguity_mps is not None:
            velocity = (velocity + interval / 2) % interval - interval / 2
        xyz_base = plain_deskew(there, np.full(len(there), -age_ns), linear, angular)
    flat = 2 * np.count_nonzero(xyz[:, 2]) <= len(xyz)
    height = np.zeros(len(xyz)) if flat else there[:, 2]
    level = _level(xyz, strength, config.radar.strength[kind])
    age = np.full(len(xyz), age_ns * 1e-9)
    return np.column_stack([xyz_base[:, :2], level, velocity, age, height, interval])


def _level(xyz: np.ndarray, strength: np.ndarray, norm: StrengthNorm) -> np.ndarray:
    ranges = np.maximum(np.linalg.norm(xyz, axis=1), 1.0)
    level = strength + norm.per_decade_db * np.log10(ranges / 20.0) - norm.mean_db
    return np.nan_to_num(np.clip(level / norm.spread_db, -3.0, 3.0))
