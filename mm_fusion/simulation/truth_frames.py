"""What was really there: boxes, velocities, and how much of each object every kind of sensor got."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.recording import truncation
from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import CLASSES, Detections, make_detections
from mm_fusion.geometry.transforms import inverse, wrap_angle
from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.clocks import SensorClock
from mm_fusion.simulation.rig import Actors, Measured, Picture, Rig

if TYPE_CHECKING:
    from mm_fusion.simulation.world import World

REACH_M = 100.0
MOVING_FROM = 0.5
REMEMBERED = 32
EYE_HEIGHT = 1.8
VISIBILITY_EDGES = (0.4, 0.6, 0.8)
"""Visible shares from which on nuScenes' level is 2, 3, 4."""
OCCLUSION_EDGES = (0.75, 0.4, 0.1)


class Sightings:
    """What the sensors delivered lately, by actor."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[int, Measured]]] = {}

    def add(self, sensor: str, time_ns: int, measured: Measured) -> None:
        """Remember what `sensor` delivered of `time_ns`."""
        self._seen.setdefault(sensor, deque(maxlen=REMEMBERED)).append((time_ns, measured))

    def nearest(self, sensor: str, time_ns: int, within_ns: float) -> Measured | None:
        """What it delivered of the moment nearest to `time_ns`."""
        near = min(self._seen.get(sensor, ()), key=lambda entry: abs(entry[0] - time_ns), default=None)
        return near[1] if near is not None and abs(near[0] - time_ns) <= within_ns else None


def truth_frame(
    world: World,
    rig: Rig,
    clocks: Mapping[str, SensorClock],
    sightings: Sightings,
    time_ns: int,
    stamp_ns: int,
) -> TruthFrame:
    """The objects within `REACH_M` at `time_ns` (from the drive's start), stamped `stamp_ns`."""
    boxes = np.asarray(world.boxes(time_ns / 1e9), np.float64).reshape(-1, 7)
    near = np.flatnonzero(np.hypot(boxes[:, 0], boxes[:, 1]) < REACH_M)
    counts = {
        kind: _counts(rig, clocks, sightings, time_ns, kind, len(boxes))
        for kind in ("lidar", "radar", "camera")
    }
    extra = {
        **seen_shares(world, rig, time_ns / 1e9, near),
        "truncation": _truncation(rig, boxes[near]),
        "num_lidar_points": counts["lidar"][near],
        "num_radar_points": counts["radar"][near],
        "num_camera_pixels": counts["camera"][near],
    }
    velocities = np.asarray(world.velocities(time_ns / 1e9), np.float64).reshape(-1, 2)
    return TruthFrame(
        stamp_ns,
        rig.vehicle.base_frame,
        _objects(world, boxes, velocities, near),
        {name: np.asarray(column, np.float32) for name, column in extra.items()},
    )


def _objects(world: World, boxes: Float64, velocities: Float64, near: NDArray[np.int64]) -> Detections:
    count = len(near)
    velocity = velocities[near]
    return make_detections(
        count,
        center=boxes[near, :3],
        size=boxes[near, 3:6],
        yaw=wrap_angle(boxes[near, 6]),
        velocity=velocity,
        position_cov=np.zeros((count, 3)),
        velocity_cov=np.zeros((count, 3)),
        variance=np.zeros((count, 5)),
        score=np.ones(count),
        class_id=np.array([CLASSES.index(world.actors[i].class_name) for i in near], np.int16),
        moving=(np.hypot(velocity[:, 0], velocity[:, 1]) > MOVING_FROM).astype(np.float32),
        track_id=np.array([world.actors[i].track_id for i in near], np.int64),
    )


def _counts(
    rig: Rig,
    clocks: Mapping[str, SensorClock],
    sightings: Sightings,
    time_ns: int,
    kind: str,
    actors: int,
) -> Float32:
    """(actors,) points or pixels on each, in what every sensor of `kind` delivered nearest to the moment."""
    total = np.zeros(actors)
    for name, sensor in rig.sensors.items():
        if sensor.kind == kind:
            measured = sightings.nearest(name, time_ns, 0.75 * clocks[name].period_ns)
            if measured is not None:
                total += _of_actors(measured, actors)
    return total.astype(np.float32)


def _of_actors(measured: Measured, actors: int) -> Float64:
    owner: Actors = measured.actor
    weights = measured.payload.pixels[owner >= 0] if isinstance(measured.payload, Picture) else None
    counts: Float64 = np.bincount(owner[owner >= 0], weights, minlength=actors)[:actors].astype(np.float64)
    return counts


def _truncation(rig: Rig, boxes: Float64) -> Float32:
    """(N,) share outside the image of the camera that has most of each box; 0 without cameras."""
    shares = [truncation(boxes, model, inverse(rig.mounts[name])) for name, model in rig.models.items()]
    return np.min(shares, axis=0) if shares else np.zeros(len(boxes), np.float32)


def seen_shares(world: World, rig: Rig, t_s: float, near: NDArray[np.int64]) -> dict[str, Float32]:
    """Columns `occlusion` (0..3, as in KITTI) and `visibility` (nuScenes level) of the objects `near`.

    Each as the camera sees it that has most of it, and as from above the car where no camera looks.
    """
    from mm_fusion.simulation.scene import Scene
    from mm_fusion.simulation.visibility import seen_by_camera, seen_from

    scene, world_from_base = Scene(world, t_s), world.world_from_base(t_s)
    around = seen_from(scene, (world_from_base @ [0, 0, EYE_HEIGHT, 1])[:3], REACH_M)
    visible, inside = around.visible.copy(), np.zeros(len(around.visible), np.float32)
    for name, model in rig.models.items():
        seen = seen_by_camera(scene, world_from_base @ rig.mounts[name], model, REACH_M)
        better = seen.inside > inside
        visible[better], inside[better] = seen.visible[better], seen.inside[better]
    share = visible[near]
    level = np.where(share > 0, 1 + np.digitize(share, VISIBILITY_EDGES), 0)
    return {"occlusion": occlusion_of(share), "visibility": level.astype(np.float32)}


def occlusion_of(share: Float32) -> Float32:
    """(N,) 0 free, 1 partly, 2 largely hidden, 3 as good as hidden, of visible shares."""
    return (share[:, None] < np.array(OCCLUSION_EDGES)).sum(1).astype(np.float32)
