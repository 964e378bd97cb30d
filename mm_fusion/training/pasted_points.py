"""Points of objects taken out of one frame and laid into another, each at its measured range and bearing.

Points are carried on the ground of the frame's reference time, so that mounts, stamps and ego motion of the
two frames may differ; a moving object's points are kept where the object was at that time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.detections import Detections
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.boxes import boxes_of, points_in_boxes
from mm_fusion.geometry.motion import base_ref_from_base, deskew, rays_of, velocity_at, wrap_velocity
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import Float32, Float64, LidarSweep, RadarScan

Points = LidarSweep | RadarScan
LIDAR_MARGIN = (0.1, 0.1, 0.2)
RADAR_MARGIN = (1.0, 1.0, 20.0)
"""What is added to length, width and height when points are taken out, m: elevation of a radar is weak."""
SHADOW = 0.95
"""Share of a box, in each direction, that nothing behind can be seen through."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """One object's points in one sweep of one sensor.

    sweep: 0 the newest, 1 the one before. points: as the sensor gave them. xyz: (N, 3) f32 m, on the ground
    at the reference time, where the object was then. over_ground: (N,) f32 m/s of a radar, not wrapped.
    """

    sensor: str
    sweep: int
    points: Points
    xyz: Float32
    over_ground: Float32 | None


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """One sweep of one LiDAR or radar on the ground at the frame's time.

    sweep: 0 the newest. xyz: (N, 3) f32 m as if all stood still. seconds: (N,) from the frame's time. origin:
    (3,) where the sensor was.
    """

    sensor: str
    sweep: int
    points: Points
    xyz: Float32
    seconds: Float64
    origin: Float64

    @property
    def is_lidar(self) -> bool:
        """Whether light made it, which nothing lets through."""
        return isinstance(self.points, LidarSweep)


def clouds_of(frame: Frame, most: Mapping[str, int] | None = None) -> list[Cloud]:
    """Every sweep of every calibrated LiDAR and radar; most: earlier ones taken, by kind."""
    clouds = []
    for name, newest in frame.measurements.items():
        kind = frame.kinds[name]
        if kind in ("lidar", "radar") and name in frame.calibration.base_from_sensor:
            earlier = frame.earlier.get(name, ())
            for number, item in enumerate((newest, *earlier[: None if most is None else most[kind]])):
                found = decoded(item)
                if isinstance(found, (LidarSweep, RadarScan)):
                    clouds.append(_cloud(frame, name, number, found))
    return clouds


def _cloud(frame: Frame, name: str, number: int, item: Points) -> Cloud:
    seconds = seconds_of(frame, item)
    return Cloud(name, number, item, on_ground(frame, name, item), seconds, origin_of(frame, name, item))


def times_ns(frame: Frame, item: Points) -> NDArray[np.int64]:
    """(N,) times of points from the frame's own."""
    since = item.stamp_ns - frame.stamp_ns
    if isinstance(item, LidarSweep):
        return item.time_offset_ns.astype(np.int64) + since
    return np.full(len(item.xyz), since, np.int64)


def seconds_of(frame: Frame, item: Points) -> Float64:
    """(N,) times of points from the frame's own, s."""
    return np.asarray(times_ns(frame, item) * 1e-9, np.float64)


def on_ground(frame: Frame, name: str, item: Points) -> Float32:
    """Points (N, 3) in `base_link` at the frame's time, as if all stood still."""
    xyz = transform_points(frame.calibration.base_from_sensor[name], item.xyz)
    return xyz if frame.ego is None else deskew(xyz, times_ns(frame, item), frame.ego)


def as_seen(frame: Frame, name: str, item: Points, xyz: Float32) -> Float32:
    """Points (N, 3) on the ground as sensor `name` sees them at the times of `item`: undoes `on_ground`."""
    then = xyz if frame.ego is None else deskew(xyz, -times_ns(frame, item), frame.ego)
    return transform_points(inverse(frame.calibration.base_from_sensor[name]), then)


def origin_of(frame: Frame, name: str, item: Points) -> Float64:
    """Where a sensor was (3,) at the stamp of a sweep, in `base_link` at the frame's time."""
    place = frame.calibration.base_from_sensor[name][:3, 3]
    if frame.ego is None:
        return place
    moved = base_ref_from_base(frame.ego, item.stamp_ns, frame.stamp_ns)
    return np.asarray(moved[:3, :3] @ place + moved[:3, 3])


def cut_out(frame: Frame, clouds: Sequence[Cloud], box7: Float64, velocity: Float32) -> list[Cut]:
    """An object's points in every sweep that has some; velocity: (2,) m/s."""
    cuts = []
    for cloud in clouds:
        margin = LIDAR_MARGIN if cloud.is_lidar else RADAR_MARGIN
        drift = float(np.abs(velocity).max() * np.abs(cloud.seconds).max(initial=0))
        reach = float(np.hypot(box7[3], box7[4])) / 2 + max(margin[:2]) + drift
        near = points_near(cloud.xyz, box7, reach, box7[5] / 2 + margin[2])
        moved = at_reference(cloud.xyz[near], cloud.seconds[near], velocity)
        inside = points_in_boxes(moved, grown(box7[None], margin)) == 0
        if inside.any():
            points = cloud.points.select(near[inside])
            cuts.append(_cut(frame, cloud.sensor, cloud.sweep, points, moved[inside]))
    return cuts


def _cut(frame: Frame, name: str, number: int, points: Points, xyz: Float32) -> Cut:
    over_ground = None
    if isinstance(points, RadarScan):
        own = _own_velocity(frame, name, points)
        over_ground = (points.radial_velocity + own).astype(np.float32)
    return Cut(name, number, points, xyz, over_ground)


def _own_velocity(frame: Frame, name: str, scan: RadarScan) -> Float64:
    """What ego motion takes from each return's velocity (N,): 0 where a driver did so already."""
    if scan.compensated or frame.ego is None:
        return np.zeros(len(scan.xyz))
    mount = frame.calibration.base_from_sensor[name]
    return np.asarray(rays_of(scan.xyz, mount) @ velocity_at(frame.ego, mount[:3, 3]))


def still_where_unknown(velocity: Float32) -> Float32:
    """Velocities (N, 2) with 0 for what is not known."""
    return np.nan_to_num(velocity)


def at_reference(xyz: Float32, seconds: Float64, velocity: Float32) -> Float32:
    """Points of an object where it was at the reference time."""
    moved = xyz.copy()
    moved[:, :2] -= (seconds[:, None] * velocity).astype(np.float32)
    return moved


def grown(boxes7: Float64, margin: Sequence[float]) -> Float64:
    """Boxes with `margin` added to length, width and height."""
    larger = boxes7.copy()
    larger[:, 3:6] += margin
    return larger


def laid_in(
    frame: Frame,
    clouds: Sequence[Cloud],
    objects: Detections,
    cuts: Sequence[Sequence[Cut]],
    others: Detections,
) -> Frame:
    """The frame, whose `clouds` are given, with `objects` (N) among its points, in depth order.

    Scene points in and behind the objects go, and points of the objects behind each other and behind
    `others`, the objects that were there before.
    """
    boxes, there = boxes_of(objects), boxes_of(others)
    velocities = still_where_unknown(objects.velocity)
    sweeps: dict[str, list[Points]] = {}
    for cloud in clouds:
        parts = [cloud.points.select(~_covered(cloud, boxes))]
        for row, of_object in enumerate(cuts):
            nearer = np.concatenate([np.delete(boxes, row, 0), there])
            for cut in of_object:
                if (cut.sensor, cut.sweep) == (cloud.sensor, cloud.sweep):
                    parts.append(_laid(frame, cloud, cut, velocities[row], nearer))
        sweeps.setdefault(cloud.sensor, []).append(joined(parts))
    newest = {name: items[0] for name, items in sweeps.items()}
    earlier = {
        name: (*items[1:], *frame.earlier[name][len(items) - 1 :])
        for name, items in sweeps.items()
        if len(items) > 1
    }
    return replace(frame, measurements={**frame.measurements, **newest}, earlier={**frame.earlier, **earlier})


def _covered(cloud: Cloud, boxes: Float64) -> NDArray[np.bool_]:
    """Which scene points give way: in a box and, for a LiDAR, behind one. A radar looks past and under."""
    if cloud.is_lidar:
        return hidden(cloud.xyz, cloud.origin, boxes, SHADOW)
    return np.asarray(points_in_boxes(cloud.xyz, grown(boxes, (0.0, 0.0, RADAR_MARGIN[2]))) >= 0)


def _laid(frame: Frame, cloud: Cloud, cut: Cut, velocity: Float32, nearer: Float64) -> Points:
    """A cut as the sensor of `cloud` would have given it."""
    points = replace(cut.points, stamp_ns=cloud.points.stamp_ns, frame_id=cloud.points.frame_id)
    xyz = at_reference(cut.xyz, -seconds_of(frame, points), velocity)
    points = replace(points, xyz=as_seen(frame, cut.sensor, points, xyz))
    if isinstance(points, RadarScan) and cut.over_ground is not None:
        own = _own_velocity(frame, cut.sensor, points)
        raw = wrap_velocity((cut.over_ground - own).astype(np.float32), points.ambiguity_mps)
        return replace(points, radial_velocity=raw)
    return points.select(~hidden(xyz, cloud.origin, nearer, SHADOW))


def joined(parts: Sequence[Points]) -> Points:
    """Points of one sweep, put together; the first part says all that is not a row of its own."""
    first = parts[0]
    if isinstance(first, LidarSweep):
        sweeps = [part for part in parts if isinstance(part, LidarSweep)]
        return replace(
            first,
            xyz=np.concatenate([part.xyz for part in sweeps]),
            intensity=np.concatenate([part.intensity for part in sweeps]),
            time_offset_ns=np.concatenate([part.time_offset_ns for part in sweeps]),
            ring=None if first.ring is None else np.concatenate([_rings(part) for part in sweeps]),
        )
    scans = [part for part in parts if isinstance(part, RadarScan)]
    return replace(
        first,
        xyz=np.concatenate([part.xyz for part in scans]),
        radial_velocity=np.concatenate([part.radial_velocity for part in scans]),
        strength_db=np.concatenate([part.strength_db for part in scans]),
    )


def _rings(sweep: LidarSweep) -> NDArray[np.int16]:
    return np.full(len(sweep.xyz), -1, np.int16) if sweep.ring is None else sweep.ring


def points_near(xyz: Float32, place: Float64, reach: float, depth: float) -> NDArray[np.int64]:
    """Indices of points (N, 3) within `reach` of a place (x, y, z) along x and y, and `depth` along z."""
    return np.asarray(_near(np.ascontiguousarray(xyz), place[0], place[1], place[2], reach, depth))


@njit(cache=True, nogil=True)
def _near(xyz: Float32, x: float, y: float, z: float, reach: float, depth: float) -> NDArray[np.int64]:
    found, count = np.empty(len(xyz), np.int64), 0
    for i in range(len(xyz)):
        if abs(xyz[i, 0] - x) <= reach and abs(xyz[i, 1] - y) <= reach and abs(xyz[i, 2] - z) <= depth:
            found[count] = i
            count += 1
    return found[:count].copy()


def hidden(xyz: Float32, origin: Float64, boxes7: Float64, share: float = 1.0) -> NDArray[np.bool_]:
    """(N,): points in one of the boxes, made smaller to `share`, or behind it as seen from `origin` (3,)."""
    smaller = np.array(boxes7, np.float64).reshape(-1, 7)
    smaller[:, 3:6] *= share
    return np.asarray(_hidden(np.ascontiguousarray(xyz), np.asarray(origin, np.float64), smaller))


@njit(cache=True, nogil=True)
def _hidden(xyz: Float32, origin: Float64, boxes: Float64) -> NDArray[np.bool_]:
    out = np.zeros(len(xyz), np.bool_)
    start, along = np.empty(3), np.empty(3)
    for j in range(len(boxes)):
        c, s = np.cos(boxes[j, 6]), np.sin(boxes[j, 6])
        ox, oy = origin[0] - boxes[j, 0], origin[1] - boxes[j, 1]
        start[0], start[1], start[2] = c * ox + s * oy, c * oy - s * ox, origin[2] - boxes[j, 2]
        for i in range(len(xyz)):
            if out[i] or not np.isfinite(xyz[i, 0] + xyz[i, 1] + xyz[i, 2]):
                continue
            dx, dy = xyz[i, 0] - origin[0], xyz[i, 1] - origin[1]
            along[0], along[1], along[2] = c * dx + s * dy, c * dy - s * dx, xyz[i, 2] - origin[2]
            # slabs: between which shares of the way to the point is the ray inside (Kay and Kajiya, 1986)
            enters, leaves = 0.0, 1.0
            for k in range(3):
                half = boxes[j, 3 + k] / 2
                if abs(along[k]) < 1e-9:
                    if abs(start[k]) > half:
                        leaves = -1.0
                    continue
                low, high = (-half - start[k]) / along[k], (half - start[k]) / along[k]
                enters, leaves = max(enters, min(low, high)), min(leaves, max(low, high))
            out[i] = enters <= leaves
    return out
