"""Faults in LiDAR sweeps and radar scans, with the actor of each point kept beside it (-1: none)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float64, LidarSweep, RadarScan
from mm_fusion.simulation.fault_images import COVERED, ROWS_GONE, VIEW_GONE, VISIBILITY_M
from mm_fusion.simulation.faults import Fault

Actors = NDArray[np.int32]

LIDAR_NOISE_M = (0.05, 0.15, 0.4)
CROSSTALK = (60, 200, 600)
RADAR_NOISE_M = (0.3, 0.8, 2.0)
RADAR_NOISE_MPS = (0.2, 0.5, 1.5)
BLIND_BEYOND_M = (40.0, 20.0, 8.0)
BLIND_SECTOR = (0.1, 0.25, 0.5)
DROWNED_DB = (4.0, 9.0, 16.0)
DIRT_DB = (3.0, 8.0, 15.0)
FOG_DB = (0.5, 1.0, 2.0)
GHOSTS = (1, 3, 8)
GHOST_POINTS = {"lidar": 40, "radar": 6}
BURST_SHARE = 0.5
"""Of the messages in which ghosts appear."""
BACKSCATTER_M = 12.0
BEARINGS = 24
"""Into how many beams a radar's view is cut where some of them fail."""


def spoil_lidar(
    sweep: LidarSweep, actor: Actors, fault: Fault, fixed: np.random.Generator, rng: np.random.Generator
) -> tuple[LidarSweep, Actors]:
    """The sweep with `fault`. fixed: what stays during the fault; rng: what differs in each sweep."""
    match fault.fault:
        case "beam_loss":
            return _lidar_part(sweep, actor, ~_lost_rings(sweep, fault.level(ROWS_GONE), fixed))
        case "view_loss":
            return _lidar_part(sweep, actor, ~_in_sector(sweep.xyz, fault.level(VIEW_GONE), fixed))
        case "blinding":
            return _lidar_part(sweep, actor, ~_in_sector(sweep.xyz, fault.level(BLIND_SECTOR), fixed))
        case "dirt":
            behind = _in_sector(sweep.xyz, fault.level(COVERED), fixed)
            weak = behind & (rng.random(len(behind)) < np.minimum(1, _ranges(sweep.xyz) / 25))
            return _lidar_part(sweep, actor, ~weak)
        case "fog":
            return _fog(sweep, actor, fault.level(VISIBILITY_M), rng)
        case "noise":
            return _range_noise(sweep, fault.level(LIDAR_NOISE_M), rng), actor
        case "interference":
            return _crosstalk(sweep, actor, int(fault.level(CROSSTALK)), rng)
        case "ghosts":
            return _lidar_ghosts(sweep, actor, int(fault.level(GHOSTS)), fixed, rng)
    return sweep, actor


def spoil_radar(
    scan: RadarScan, actor: Actors, fault: Fault, fixed: np.random.Generator, rng: np.random.Generator
) -> tuple[RadarScan, Actors]:
    """The scan with `fault`. fixed: what stays during the fault; rng: what differs in each scan."""
    match fault.fault:
        case "beam_loss":
            return _radar_part(scan, actor, ~_lost_bearings(scan.xyz, fault.level(ROWS_GONE), fixed))
        case "view_loss":
            return _radar_part(scan, actor, ~_in_view_part(scan.xyz, fault.level(VIEW_GONE), fixed))
        case "blinding":
            return _radar_part(scan, actor, _ranges(scan.xyz) < fault.level(BLIND_BEYOND_M))
        case "dirt":
            return _weaker(scan, actor, fault.level(DIRT_DB))
        case "fog":
            return _weaker(scan, actor, fault.level(FOG_DB))
        case "noise":
            return _radar_noise(scan, fault, rng), actor
        case "interference":
            weak = _weaker(scan, actor, fault.level(DROWNED_DB))
            return _false_returns(*weak, int(fault.level(CROSSTALK)), rng)
        case "ghosts":
            return _radar_ghosts(scan, actor, int(fault.level(GHOSTS)), fixed, rng)
    return scan, actor


def _lidar_part(sweep: LidarSweep, actor: Actors, keep: NDArray) -> tuple[LidarSweep, Actors]:
    return sweep.select(keep), actor[keep]


def _radar_part(scan: RadarScan, actor: Actors, keep: NDArray) -> tuple[RadarScan, Actors]:
    return scan.select(keep), actor[keep]


def _ranges(xyz: NDArray) -> Float64:
    return np.linalg.norm(xyz.astype(np.float64), axis=1)


def _azimuth(xyz: NDArray) -> Float64:
    return np.arctan2(xyz[:, 1].astype(np.float64), xyz[:, 0].astype(np.float64))


def _lost_rings(sweep: LidarSweep, share: float, fixed: np.random.Generator) -> NDArray[np.bool_]:
    """Points of rings that are gone; without rings, of slices of elevation."""
    if sweep.ring is not None:
        ring = sweep.ring.astype(np.int64)
    else:
        level = np.hypot(sweep.xyz[:, 0], sweep.xyz[:, 1])
        ring = (np.degrees(np.arctan2(sweep.xyz[:, 2], level)) + 90).astype(np.int64)
    count = 1 << int(ring.max(initial=0)).bit_length()
    return np.isin(ring, fixed.permutation(count)[: round(share * count)])


def _in_sector(xyz: NDArray, share: float, fixed: np.random.Generator) -> NDArray[np.bool_]:
    """Points in a sector of `share` of the circle."""
    centre = fixed.uniform(-np.pi, np.pi)
    away = np.abs((_azimuth(xyz) - centre + np.pi) % (2 * np.pi) - np.pi)
    return away < share * np.pi


def _in_view_part(xyz: NDArray, share: float, fixed: np.random.Generator) -> NDArray[np.bool_]:
    """Returns in `share` of a radar's view of 120 degrees, from its left or right edge on."""
    side = 1 if fixed.random() < 0.5 else -1
    return side * _azimuth(xyz) > np.radians(60 - 120 * share)


def _lost_bearings(xyz: NDArray, share: float, fixed: np.random.Generator) -> NDArray[np.bool_]:
    beam = ((_azimuth(xyz) + np.pi) * BEARINGS * 1.5 / np.pi).astype(np.int64) % BEARINGS
    return np.isin(beam, fixed.permutation(BEARINGS)[: round(share * BEARINGS)])


def _fog(
    sweep: LidarSweep, actor: Actors, visibility_m: float, rng: np.random.Generator
) -> tuple[LidarSweep, Actors]:
    """Most far returns are lost; some of the lost come back from droplets near by."""
    distance = _ranges(sweep.xyz)
    lost = rng.random(len(distance)) > np.exp(-3 * np.maximum(distance - 3, 0) / visibility_m)
    near = lost & (rng.random(len(distance)) < 0.15)
    back = np.minimum(rng.gamma(2.0, BACKSCATTER_M / 4, len(distance)) + 1, distance)
    scale = np.where(near, back / np.maximum(distance, 1e-6), 1.0)[:, None]
    xyz = (sweep.xyz * scale).astype(np.float32)
    faint = np.where(near, np.float32(0.03), sweep.intensity).astype(np.float32)
    kept = ~lost | near
    misty = replace(sweep, xyz=xyz, intensity=faint)
    return _lidar_part(misty, np.where(near, -1, actor).astype(np.int32), kept)


def _range_noise(sweep: LidarSweep, sigma: float, rng: np.random.Generator) -> LidarSweep:
    distance = np.maximum(_ranges(sweep.xyz), 1e-6)
    scale = 1 + rng.normal(0, sigma, len(distance)) / distance
    return replace(sweep, xyz=(sweep.xyz * scale[:, None]).astype(np.float32))


def _crosstalk(
    sweep: LidarSweep, actor: Actors, count: int, rng: np.random.Generator
) -> tuple[LidarSweep, Actors]:
    """Points at false ranges along rays that were really cast."""
    count = min(count, len(sweep.xyz))
    chosen = rng.permutation(len(sweep.xyz))[:count]
    xyz, owner = sweep.xyz.copy(), actor.copy()
    scale = rng.uniform(1.5, 80, count) / np.maximum(_ranges(xyz[chosen]), 1e-6)
    xyz[chosen] = xyz[chosen] * scale[:, None]
    owner[chosen] = -1
    return replace(sweep, xyz=xyz), owner


def _ghost_centres(
    count: int, fixed: np.random.Generator, rng: np.random.Generator
) -> tuple[Float64, Float64]:
    """Where (C, 2) ghosts are now, wandering about their places, and their speeds; none between bursts."""
    radius, bearing = fixed.uniform(6, 45, count), np.radians(fixed.uniform(-55, 55, count))
    speed = fixed.uniform(-12, 12, count)
    if rng.random() >= BURST_SHARE:
        return np.empty((0, 2)), np.empty(0)
    shift = rng.normal(0, 0.5, (count, 2))
    return np.column_stack([radius * np.cos(bearing), radius * np.sin(bearing)]) + shift, speed


def _lidar_ghosts(
    sweep: LidarSweep, actor: Actors, count: int, fixed: np.random.Generator, rng: np.random.Generator
) -> tuple[LidarSweep, Actors]:
    centres, _ = _ghost_centres(count, fixed, rng)
    total = len(centres) * GHOST_POINTS["lidar"]
    if total == 0:
        return sweep, actor
    spread = rng.normal(0, (0.8, 0.5), (total, 2))
    level = np.repeat(centres, GHOST_POINTS["lidar"], axis=0) + spread
    xyz = np.column_stack([level, rng.uniform(-1.6, -0.2, total)])
    ring = None if sweep.ring is None else np.concatenate([sweep.ring, np.zeros(total, np.int16)])
    grown = LidarSweep(
        sweep.stamp_ns,
        sweep.frame_id,
        np.concatenate([sweep.xyz, xyz.astype(np.float32)]),
        np.concatenate([sweep.intensity, np.full(total, 0.1, np.float32)]),
        np.concatenate([sweep.time_offset_ns, np.zeros(total, np.int32)]),
        ring,
    )
    return grown, np.concatenate([actor, np.full(total, -1, np.int32)])


def _radar_ghosts(
    scan: RadarScan, actor: Actors, count: int, fixed: np.random.Generator, rng: np.random.Generator
) -> tuple[RadarScan, Actors]:
    centres, speed = _ghost_centres(count, fixed, rng)
    each = GHOST_POINTS["radar"]
    level = np.repeat(centres, each, axis=0) + rng.normal(0, 0.5, (len(centres) * each, 2))
    xyz = np.column_stack([level, rng.normal(0, 0.3, len(level))])
    return _with_returns(scan, actor, xyz, np.repeat(speed, each) + rng.normal(0, 0.1, len(level)), 3.0, rng)


def _false_returns(
    scan: RadarScan, actor: Actors, count: int, rng: np.random.Generator
) -> tuple[RadarScan, Actors]:
    """Returns anywhere in the view with any Doppler, most of them in a few bearings."""
    bearing = np.where(
        rng.random(count) < 0.7,
        rng.normal(rng.uniform(-0.9, 0.9), 0.05, count),
        rng.uniform(-1.05, 1.05, count),
    )
    distance = rng.uniform(1, 90, count)
    xyz = np.column_stack(
        [distance * np.cos(bearing), distance * np.sin(bearing), rng.normal(0, 0.02, count) * distance]
    )
    reach = 0.5 * (scan.ambiguity_mps or 60.0)
    return _with_returns(scan, actor, xyz, rng.uniform(-reach, reach, count), -3.0, rng)


def _with_returns(
    scan: RadarScan, actor: Actors, xyz: Float64, doppler: Float64, above_db: float, rng: np.random.Generator
) -> tuple[RadarScan, Actors]:
    """`scan` and further returns, `above_db` stronger than the usual one."""
    usual = float(np.median(scan.strength_db)) if len(scan.strength_db) else 10.0
    if scan.ambiguity_mps:
        doppler = (doppler + scan.ambiguity_mps / 2) % scan.ambiguity_mps - scan.ambiguity_mps / 2
    strength = usual + above_db + rng.normal(0, 3, len(xyz))
    grown = replace(
        scan,
        xyz=np.concatenate([scan.xyz, xyz.astype(np.float32)]),
        radial_velocity=np.concatenate([scan.radial_velocity, doppler.astype(np.float32)]),
        strength_db=np.concatenate([scan.strength_db, strength.astype(np.float32)]),
    )
    return grown, np.concatenate([actor, np.full(len(xyz), -1, np.int32)])


def _weaker(scan: RadarScan, actor: Actors, loss_db: float) -> tuple[RadarScan, Actors]:
    """Everything weaker by `loss_db`; what falls below the weakest return of before is lost."""
    floor = float(scan.strength_db.min()) if len(scan.strength_db) else 0.0
    dimmed = replace(scan, strength_db=(scan.strength_db - np.float32(loss_db)).astype(np.float32))
    return _radar_part(dimmed, actor, dimmed.strength_db >= floor)


def _radar_noise(scan: RadarScan, fault: Fault, rng: np.random.Generator) -> RadarScan:
    xyz = scan.xyz + rng.normal(0, fault.level(RADAR_NOISE_M), scan.xyz.shape)
    doppler = scan.radial_velocity + rng.normal(0, fault.level(RADAR_NOISE_MPS), len(xyz))
    if scan.ambiguity_mps:
        doppler = (doppler + scan.ambiguity_mps / 2) % scan.ambiguity_mps - scan.ambiguity_mps / 2
    return replace(scan, xyz=xyz.astype(np.float32), radial_velocity=doppler.astype(np.float32))
