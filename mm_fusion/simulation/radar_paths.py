"""The ways on which a radar's wave comes back: straight, by a mirror, to and fro, and through the clutter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.radar_units import RadarUnit
from mm_fusion.simulation.scene import Hits, Scene
from mm_fusion.simulation.world import World

GHOST = -2
"""Owner of a return where there is nothing: mirror image, double bounce, interference, false alarm."""
PATCH_DEPTH = 1.5
SAMPLED_RANGE, SAMPLED_SHARE = 22.0, (0.4, 1.7)
"""Aims at an actor grow with its range within this share: a detector takes few peaks close together, while
far away their number is bounded by the noise.
"""
LOW_SHARE = 0.3
"""Share of rays aimed at the lowest half metre, where waves pass under the car in front."""
MIRRORS = 4
MIRROR_VOTES = 5
RAYS_PER_IMAGE = 16
WALL_MIRROR, ROAD_MIRROR = 0.5, 0.3
"""Power kept by one reflection on a perfectly smooth wall or rail, and on the road at grazing angles."""
INNER_SHARE, INNER_LOSS, INNER_DEPTH = 0.85, 0.12, 0.9
"""Waves that bounce under and inside a vehicle: share of hits, power kept, mean of the added way (m)."""
BOUNCE_LOSS, BOUNCE_REACH = 2e-4, 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Scatterers:
    """Point targets as the radar would see them one by one, (N,) each.

    distance: half of the whole way, m. ray: (N, 3) unit, world axes, where the wave comes from. velocity:
    receding m/s as measured from the moving sensor. section: m^2, losses on the way taken off. owner: actor,
    -1 static, -2 ghost.
    """

    distance: Float64
    ray: Float64
    velocity: Float64
    section: Float64
    owner: NDArray[np.int32]


def join(parts: list[Scatterers]) -> Scatterers:
    """All scatterers of several lists."""
    return Scatterers(
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.ray for part in parts]),
        np.concatenate([part.velocity for part in parts]),
        np.concatenate([part.section for part in parts]),
        np.concatenate([part.owner for part in parts]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A radar at one moment: the scene, its pose and velocity (3,) in the world, and its unit."""

    world: World
    scene: Scene
    time_s: float
    world_from_radar: Float64
    velocity: Float64
    unit: RadarUnit

    @property
    def origin(self) -> Float64:
        """(3,) m, world."""
        return self.world_from_radar[:3, 3]


def scatterers_of(view: View, rng: np.random.Generator) -> Scatterers:
    """Everything that may answer in one cycle, by all ways."""
    rays, solid = _field_rays(view, rng)
    hits = view.scene.cast(view.origin, rays)
    aims = _aims(view, rng)
    direct = _direct(view, aims)
    parts = [_clutter(view, hits, rays, solid, rng), direct, _inside(direct, rng), _to_and_fro(direct)]
    parts += [_mirrored(view, mirror, aims, rng) for mirror in _mirrors(hits)]
    return join(parts)


def _field_rays(view: View, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Unit rays (N, 3) over the field of view, denser towards the horizon, where most of the far is, and the
    solid angle (N,) that each stands for.
    """
    unit = view.unit
    across = int(np.sqrt(unit.rays * unit.azimuth_deg / unit.elevation_deg))
    down = unit.rays // across
    azimuth, elevation = np.meshgrid(np.arange(across), np.arange(down), indexing="ij")
    u = 2 * (azimuth + rng.random(azimuth.shape)).ravel() / across - 1
    v = 2 * (elevation + rng.random(elevation.shape)).ravel() / down - 1
    wide, high = np.radians(unit.azimuth_deg), np.radians(unit.elevation_deg)
    a, e = u * wide, (0.2 * v + 0.8 * v**3) * high
    solid = 4 * wide * high / len(v) * (0.2 + 2.4 * v**2)
    local = np.column_stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    return local @ view.world_from_radar[:3, :3].T, solid


@dataclass(frozen=True, slots=True, eq=False)
class Aims:
    """Places (M, 3) inside actors' boxes to look for them, the actor (M,) and the area (M,) m^2 of each."""

    points: Float64
    actor: NDArray[np.int64]
    area: Float64


def _aims(view: View, rng: np.random.Generator) -> Aims:
    """Random places in all actors in the field; areas of an actor add up to its silhouette."""
    points, actors, areas = [np.zeros((0, 3))], [np.zeros(0, np.int64)], [np.zeros(0)]
    poses = view.world.actor_poses(view.time_s)
    for index in np.flatnonzero(_in_field(view, poses[:, :3, 3], view.world.sizes[:, 0])):
        pose, (length, width, height) = poses[index], view.world.sizes[index]
        to_radar = pose[:3, :3].T @ (view.origin - pose[:3, 3])
        away = float(np.linalg.norm(to_radar)) / SAMPLED_RANGE
        count = int(view.unit.rays_per_actor * np.clip(away, *SAMPLED_SHARE))
        inside = rng.uniform(-0.5, 0.5, (count, 3)) * (length, width, height) + (0, 0, height / 2)
        low = rng.random(count) < LOW_SHARE
        inside[low, 2] = rng.uniform(0.1, 0.5, int(low.sum()))
        flat = np.abs(to_radar[:2]) / max(float(np.hypot(*to_radar[:2])), 1e-6)
        points.append(inside @ pose[:3, :3].T + pose[:3, 3])
        actors.append(np.full(count, index))
        areas.append(np.full(count, height * (flat[0] * width + flat[1] * length) / count))
    return Aims(np.concatenate(points), np.concatenate(actors), np.concatenate(areas))


def _in_field(view: View, position: Float64, margin: Float64) -> NDArray[np.bool_]:
    there = (position - view.origin) @ view.world_from_radar[:3, :3]
    distance = np.hypot(there[:, 0], there[:, 1])
    wide = np.radians(view.unit.azimuth_deg) + margin / np.maximum(distance, margin)
    inside: NDArray[np.bool_] = np.abs(np.arctan2(there[:, 1], there[:, 0])) < wide
    return inside & (distance - margin < view.unit.reach)


def _direct(view: View, aims: Aims) -> Scatterers:
    """Actors' surfaces seen straight: diffuse by the cosine, panels flashing where they face the radar.

    A ray that another actor stops is that one's affair: it has rays of its own.
    """
    rays = _unit(aims.points - view.origin)
    hits = view.scene.cast(view.origin, rays)
    keep = np.flatnonzero((hits.actor == aims.actor) & np.isfinite(hits.distance))
    ray = rays[keep]
    section = aims.area[keep] * hits.rcs[keep] * _lobe(hits, rays)[keep]
    velocity = ((hits.velocity[keep] - view.velocity) * ray).sum(1)
    return Scatterers(
        hits.distance[keep].astype(np.float64), ray, velocity, section, hits.actor[keep].astype(np.int32)
    )


def _lobe(hits: Hits, rays: Float64) -> Float64:
    facing = np.abs((hits.normal * rays).sum(1)).clip(0.02, 1)
    smooth = 1 - hits.roughness
    lobe: Float64 = 2.0 * facing + smooth * 16.0 * np.exp(-((1 - facing) / 0.03))
    return lobe.astype(np.float64)


def _clutter(view: View, hits: Hits, rays: Float64, solid: Float64, rng: np.random.Generator) -> Scatterers:
    """What stands: each ray answers for the patch it covers, some spots (manholes, joints) far brighter.

    A patch is several scatterers at random places within it, since it is larger than a cell.
    """
    keep = np.repeat(np.flatnonzero((hits.actor < 0) & np.isfinite(hits.distance)), view.unit.per_patch)
    facing = np.abs((hits.normal[keep] * rays[keep]).sum(1)).clip(0.05, 1)
    distance = hits.distance[keep].astype(np.float64)
    across = np.sqrt(solid[keep])
    patch = solid[keep] * distance**2 / facing / view.unit.per_patch
    lobe = 3.0 * facing**2 + (1 - hits.roughness[keep]) * 16.0 * np.exp(-((1 - facing) / 0.03))
    shift = rng.uniform(-0.5, 0.5, (len(keep), 2))
    deep = distance + shift[:, 0] * np.minimum(across * distance / facing, PATCH_DEPTH)
    left = np.column_stack([-rays[keep, 1], rays[keep, 0], np.zeros(len(keep))])
    ray = _unit(rays[keep] + (across * shift[:, 1])[:, None] * left)
    velocity = ((hits.velocity[keep] - view.velocity) * ray).sum(1)
    section = patch * hits.rcs[keep] * lobe * _spots(hits.point[keep])
    return Scatterers(deep.clip(0.3), ray, velocity, section, np.full(len(keep), -1, np.int32))


def _spots(point: Float32) -> Float64:
    """Factor (N,) that belongs to the place: log-normal by cells of 0.4 m, the same from scan to scan."""
    cell = np.floor(point / 0.4).astype(np.int64)
    key = (cell * np.array([73856093, 19349663, 83492791])).sum(1).astype(np.uint64)
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        key = (key ^ (key >> np.uint64(shift))) * np.uint64(factor)
    u = ((key >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53
    # Logistic for normal: 7 dB of spread, cheap to invert.
    return np.exp(1.6 / 1.81 * np.log(u / (1 - u)))


def _inside(direct: Scatterers, rng: np.random.Generator) -> Scatterers:
    """Echoes that went on under or inside the vehicle: the same bearing and motion, a longer way."""
    chosen = np.flatnonzero(rng.random(len(direct.distance)) < INNER_SHARE)
    longer = rng.exponential(INNER_DEPTH, len(chosen))
    return Scatterers(
        direct.distance[chosen] + longer,
        direct.ray[chosen],
        direct.velocity[chosen],
        direct.section[chosen] * INNER_LOSS * np.exp(rng.normal(0, 1, len(chosen))),
        direct.owner[chosen],
    )


def _to_and_fro(direct: Scatterers) -> Scatterers:
    """Radar, target, own bumper, target, radar: twice the distance at twice the velocity."""
    chosen = np.flatnonzero((direct.distance < BOUNCE_REACH) & (direct.section > 0.05))
    return Scatterers(
        2 * direct.distance[chosen],
        direct.ray[chosen],
        2 * direct.velocity[chosen],
        direct.section[chosen] * BOUNCE_LOSS * 16,
        np.full(len(chosen), GHOST, np.int32),
    )


def _mirrors(hits: Hits) -> list[Float64]:
    """The smooth planes around, as (4,) normal and offset: the road first, then walls, rails by votes."""
    facing = hits.normal
    usable = (hits.actor < 0) & np.isfinite(hits.distance)
    flat = np.abs(facing[:, 2]) < 0.2
    walls = _voted(hits.world_point, facing, usable & flat & (hits.roughness < 0.85), MIRRORS)
    return _voted(hits.world_point, facing, usable & (facing[:, 2] > 0.95), 1) + walls


def _voted(place: Float32, facing: Float32, usable: NDArray[np.bool_], most: int) -> list[Float64]:
    chosen = np.flatnonzero(usable)
    if not len(chosen):
        return []
    normal = facing[chosen].astype(np.float64)
    offset = (normal * place[chosen]).sum(1)
    heading = np.round(np.degrees(np.arctan2(normal[:, 1], normal[:, 0])) / 4) * (np.abs(normal[:, 2]) < 0.9)
    keys, first, group, votes = np.unique(
        np.column_stack([heading, np.round(offset / 0.5)]),
        axis=0, return_index=True, return_inverse=True, return_counts=True,
    )  # fmt: skip
    best = np.argsort(-votes, kind="stable")[:most]
    return [np.append(normal[first[i]], offset[first[i]]) for i in best if votes[i] >= MIRROR_VOTES]


def _mirrored(view: View, mirror: Float64, aims: Aims, rng: np.random.Generator) -> Scatterers:
    """Targets seen in a mirror: where its image is, with the Doppler of the broken way.

    On the road's mirror the image lies under the target and belongs to it; on a wall's there is nothing.
    """
    normal, offset = mirror[:3], mirror[3]
    every = max(1, view.unit.rays_per_actor // RAYS_PER_IMAGE)
    chosen = np.arange(int(rng.integers(every)), len(aims.points), every)
    points = aims.points[chosen]
    image = points - 2 * ((points @ normal) - offset)[:, None] * normal
    out = _unit(image - view.origin)
    first = view.scene.cast(view.origin, out)
    on_plane = np.abs(first.world_point @ normal - offset) < 0.3
    ok = np.flatnonzero((first.actor < 0) & np.isfinite(first.distance) & on_plane)
    out, way, place = out[ok], first.distance[ok].astype(np.float64), first.world_point[ok]
    back = out - 2 * (out @ normal)[:, None] * normal
    second = view.scene.cast((place + 0.02 * back).astype(np.float32), back)
    hit = np.flatnonzero((second.actor == aims.actor[chosen][ok]) & np.isfinite(second.distance))
    road = normal[2] > 0.9
    kept = ROAD_MIRROR if road else WALL_MIRROR * (1 - first.roughness[ok][hit].astype(np.float64))
    velocity = (second.velocity[hit] * back[hit]).sum(1) - out[hit] @ view.velocity
    section = aims.area[chosen][ok][hit] * every * second.rcs[hit] * _lobe(second, back)[hit] * kept**2
    return Scatterers(
        way[hit] + second.distance[hit],
        out[hit],
        velocity,
        section,
        second.actor[hit].astype(np.int32) if road else np.full(len(hit), GHOST, np.int32),
    )


def _unit(vectors: Float64) -> Float64:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-9)
