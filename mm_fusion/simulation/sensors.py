"""What a camera, a LiDAR and a radar of the vehicle file measure in the street."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.geometry.cameras import unproject
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import CameraModel, Float64, LidarSweep, RadarScan
from mm_fusion.simulation.casting import Caster
from mm_fusion.simulation.street import Street

SUN = np.array([0.35, -0.5, 0.79])
LIDAR_SLICES = 8
"""In how many pieces a turn is cast: others move on between them, the sensor itself with every column."""
BEAM_ELEVATIONS_DEG = {"vlp16": np.linspace(-15, 15, 16), "hdl32": np.linspace(-30.67, 10.67, 32)}
RADAR_FIELD_DEG = 60.0
RADAR_REACH = 90.0
DOPPLER_SIGMA = 0.08
LIDAR_SIGMA = 0.02
LIDAR_REACH = 70.0


def camera_rays(model: CameraModel) -> Float64:
    """(H * W, 3) unit rays of all pixels, row by row, in the optical frame."""
    columns, rows = np.meshgrid(
        np.arange(model.width_px, dtype=float), np.arange(model.height_px, dtype=float)
    )
    return unproject(model, np.column_stack([columns.ravel(), rows.ravel()]))


def render(
    caster: Caster, world_from_camera: Float64, model: CameraModel, rays: Float64, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: sun and sky light on coloured surfaces, haze with distance, sensor noise."""
    directions = rays @ world_from_camera[:3, :3].T
    hits = caster.cast(world_from_camera[:3, 3], directions)
    seen = np.isfinite(hits.distance)
    facing = np.where((hits.normal * directions).sum(1) > 0, -1, 1)
    light = 0.45 + 0.55 * np.clip(facing * (hits.normal @ SUN), 0, 1)
    sky = np.clip(np.array([196, 212, 232]) - 90 * directions[:, 2:3].clip(0, 1), 0, 255)
    haze = 1 - np.exp(-np.where(seen, hits.distance, 0) / 220)[:, None]
    colour = np.where(seen[:, None], hits.colour * light[:, None] * (1 - haze) + sky * haze, sky)
    noisy = colour + rng.normal(0, 3, colour.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8).reshape(model.height_px, model.width_px, 3)


def scan_lidar(
    street: Street,
    base_from_lidar: Float64,
    unit: str,
    columns: int,
    middle_s: float,
    duration_s: float,
    rng: np.random.Generator,
) -> tuple[Float64, NDArray[np.float32], Float64, NDArray[np.int16], NDArray[np.int32]]:
    """One turn: points (N, 3) in the sensor's frame, intensity, seconds from the middle, ring, actor."""
    elevations = np.radians(BEAM_ELEVATIONS_DEG[unit])
    parts = [
        _cast_columns(street, base_from_lidar, elevations, part, columns, middle_s, duration_s, rng)
        for part in np.array_split(np.arange(columns), LIDAR_SLICES)
    ]
    xyz, intensity, times, ring, actor = (np.concatenate(column) for column in zip(*parts))
    return xyz, intensity.astype(np.float32), times, ring.astype(np.int16), actor.astype(np.int32)


def _cast_columns(
    street: Street,
    base_from_lidar: Float64,
    elevations: Float64,
    columns: NDArray[np.int64],
    turn: int,
    middle_s: float,
    duration_s: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    times = ((columns + 0.5) / turn - 0.5) * duration_s
    caster = Caster(street, middle_s + float(times.mean()))
    azimuth = -2 * np.pi * columns / turn
    level = np.cos(elevations)
    local = np.stack(
        [
            np.cos(azimuth)[:, None] * level,
            np.sin(azimuth)[:, None] * level,
            np.broadcast_to(np.sin(elevations), (len(columns), len(elevations))),
        ],
        axis=2,
    )
    poses = np.stack([street.world_from_base(middle_s + t) @ base_from_lidar for t in times])
    directions = np.einsum("cij,cbj->cbi", poses[:, :3, :3], local)
    origins = np.broadcast_to(poses[:, None, :3, 3], directions.shape)
    hits = caster.cast(origins.reshape(-1, 3), directions.reshape(-1, 3))
    keep = (hits.distance < LIDAR_REACH) & (rng.random(len(hits.distance)) > 0.02)
    distance = hits.distance[keep] + rng.normal(0, LIDAR_SIGMA, int(keep.sum()))
    column, beam = np.divmod(np.flatnonzero(keep), len(elevations))
    xyz = local[column, beam] * distance[:, None]
    incidence = np.abs((hits.normal[keep] * directions.reshape(-1, 3)[keep]).sum(1))
    intensity = np.clip(hits.reflectivity[keep] * incidence + rng.normal(0, 0.02, len(distance)), 0, 1)
    return xyz, intensity, times[column], beam, hits.actor[keep]


def scan_radar(
    street: Street,
    base_from_radar: Float64,
    time_s: float,
    stamp_ns: int,
    frame_id: str,
    rng: np.random.Generator,
) -> tuple[RadarScan, NDArray[np.int32]]:
    """One cycle of a flat radar (no elevation) with raw Doppler, and the actor of each return.

    One return for each resolved cell of 0.4 m and 1 degree on a road user, a few from what stands.
    """
    world_from_radar = street.world_from_base(time_s) @ base_from_radar
    azimuth, elevation = np.meshgrid(
        np.radians(np.arange(-RADAR_FIELD_DEG, RADAR_FIELD_DEG, 0.5)), np.radians([-2.0, 0.0, 2.0])
    )
    azimuth, elevation = azimuth.ravel(), elevation.ravel()
    local = np.column_stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    hits = Caster(street, time_s).cast(world_from_radar[:3, 3], local @ world_from_radar[:3, :3].T)
    chance = np.where(hits.actor >= 0, 0.5, 0.12) * (np.abs(hits.normal[:, 2]) < 0.5)
    chosen = np.flatnonzero((hits.distance < RADAR_REACH) & (rng.random(len(chance)) < chance))
    cells = np.column_stack(
        [(hits.distance[chosen] / 0.4).astype(int), np.degrees(azimuth[chosen]).astype(int)]
    )
    chosen = chosen[np.unique(cells, axis=0, return_index=True)[1]]
    velocity = _raw_doppler(
        street, base_from_radar, time_s, local[chosen] @ base_from_radar[:3, :3].T, hits.actor[chosen]
    )
    distance = hits.distance[chosen] + rng.normal(0, 0.1, len(chosen))
    bearing = azimuth[chosen] + np.radians(rng.normal(0, 0.4, len(chosen)))
    xyz = np.column_stack([distance * np.cos(bearing), distance * np.sin(bearing), np.zeros(len(chosen))])
    strength = 25 * hits.reflectivity[chosen] - 5 + rng.normal(0, 3, len(chosen))
    noisy = velocity + rng.normal(0, DOPPLER_SIGMA, len(chosen))
    scan = RadarScan(
        stamp_ns,
        frame_id,
        xyz.astype(np.float32),
        noisy.astype(np.float32),
        strength.astype(np.float32),
        "rcs",
    )
    return scan, hits.actor[chosen]


def _raw_doppler(
    street: Street, base_from_radar: Float64, time_s: float, rays_base: Float64, actor: NDArray[np.int32]
) -> Float64:
    """Receding-positive: the target's velocity less the sensor's, along the ray, in base axes."""
    base_from_world = inverse(street.world_from_base(time_s))
    velocities = np.array([a.velocity() for a in street.actors] + [np.zeros(3)])
    target = velocities[actor] @ base_from_world[:3, :3].T
    own = street.linear + np.cross(street.angular, base_from_radar[:3, 3])
    return ((target - own) * rays_base).sum(1)


def truth_boxes(street: Street, time_s: float) -> tuple[Float64, Float64]:
    """(N, 7) boxes and (N, 2) velocities over ground of all actors in `base_link` at a time."""
    base_from_world = inverse(street.world_from_base(time_s))
    boxes, velocities = np.empty((len(street.actors), 7)), np.empty((len(street.actors), 2))
    for index, actor in enumerate(street.actors):
        base_from_actor = base_from_world @ actor.pose(time_s)
        centre = transform_points(base_from_actor, np.array([[0, 0, actor.size[2] / 2]]))[0]
        boxes[index] = (*centre, *actor.size, np.arctan2(base_from_actor[1, 0], base_from_actor[0, 0]))
        velocities[index] = (base_from_world[:3, :3] @ actor.velocity())[:2]
    return boxes, velocities


def lidar_sweep(
    stamp_ns: int,
    frame_id: str,
    xyz: Float64,
    intensity: NDArray[np.float32],
    times_s: Float64,
    ring: NDArray[np.int16],
) -> LidarSweep:
    """The scan as a record; coordinates on a grid of 1/256 m, as a unit that counts them would give."""
    grid = (np.round(xyz * 256) / 256).astype(np.float32)
    steps = (np.round(intensity * 255) / 255).astype(np.float32)
    return LidarSweep(stamp_ns, frame_id, grid, steps, np.round(times_s * 1e9).astype(np.int32), ring)
