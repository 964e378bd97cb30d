"""What a frame says of a place where an object might be pasted: ground, room, and what stands before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import Detections, concatenate_detections
from mm_fusion.frame import Frame
from mm_fusion.geometry.boxes import bev_corners, boxes_of, iou_bev, points_in_boxes
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import Float32, Float64
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.pasted_images import Camera
from mm_fusion.training.pasted_points import Cloud, Cut, clouds_of, grown, points_near, still_where_unknown

ROOM = 0.6
"""What is added to a box in which no other may stand, m."""
GROUND_REACH, GROUND_DEPTH, GROUND_POINTS = 3.0, 0.7, 5
"""Ground: 5 points or more up to 3 m beside a box and 0.7 m above and below its bottom."""
STUFF_HEIGHT, STUFF_POINTS = 0.4, 5
"""A place is taken by something unlabelled with more than 5 points higher than 0.4 m above its bottom."""
BLOCKED = 0.5
"""No object may take more than this share of the bearings of another behind it."""
BIN_DEG = (0.5, 1.0)
"""Azimuth and elevation of the directions in which a return hides what is farther."""
BEHIND = (1.0, 0.03)
"""What is farther than a return by more than 1 m and 3 % is hidden by it."""
RETURN_DEG = (0.5, 2.0)
"""Width and height of what one LiDAR return before an object hides in an image: beams are 2 degrees apart."""
LOW = 0.5
"""Returns lower than this above `base_link` hide nothing: they are the road."""


class PastingScene:
    """A frame's clouds and objects, looked at for many objects; cameras are looked into when asked for."""

    def __init__(self, frame: Frame, objects: Detections, config: LearnedConfig) -> None:
        self.frame, self.objects, self._config = frame, objects, config
        used = {"lidar": config.lidar.sweeps, "radar": config.radar.sweeps}
        self.clouds = clouds_of(frame, used)
        self._cameras: dict[str, Camera] = {}
        self._nearest: dict[tuple[str, int], Float32] = {}
        newest = [cloud.xyz for cloud in self.clouds if cloud.is_lidar and cloud.sweep == 0]
        self._points = np.concatenate([np.zeros((0, 3), np.float32), *newest])

    def add(self, objects: Detections) -> None:
        """Take objects in that were just pasted."""
        self.objects = concatenate_detections([self.objects, objects])

    def ground_near(self, box7: Float64) -> float | None:
        """Height of the ground beside a box, m in `base_link`; None where too few points tell."""
        reach = float(np.hypot(box7[3], box7[4])) / 2 + GROUND_REACH
        bottom = np.array([box7[0], box7[1], box7[2] - box7[5] / 2])
        near = self._points[points_near(self._points, bottom, reach, GROUND_DEPTH)]
        beside = near[points_in_boxes(near, grown(box7[None], (0.3, 0.3, 2.0))) < 0]
        return None if len(beside) < GROUND_POINTS else float(np.percentile(beside[:, 2], 20))

    def has_room(self, one: Detections) -> bool:
        """Whether an object (one row) touches no other, and neither hides one nor is hidden by one."""
        box, there = boxes_of(one), boxes_of(self.objects)
        near = iou_bev(grown(box, (ROOM, ROOM, 0)), grown(there, (ROOM, ROOM, 0)))
        return not near.any() and not _blocks(box[0], there)

    def is_empty(self, box7: Float64) -> bool:
        """Whether nothing unlabelled stands where a box would."""
        near = self._points[points_near(self._points, box7, float(np.hypot(box7[3], box7[4])) / 2, box7[5])]
        above = near[near[:, 2] > box7[2] - box7[5] / 2 + STUFF_HEIGHT]
        inside = points_in_boxes(above, box7[None] * [1, 1, 1, 0.9, 0.9, 1, 1]) >= 0
        return bool(np.count_nonzero(inside) <= STUFF_POINTS)

    def in_sight(self, cut: Cut) -> NDArray[np.bool_]:
        """(N,): which points of an object no return of the scene hides from a LiDAR; a radar sees all."""
        found = [c for c in self.clouds if (c.sensor, c.sweep) == (cut.sensor, cut.sweep) and c.is_lidar]
        if not found:
            return np.ones(len(cut.xyz), bool)
        key = cut.sensor, cut.sweep
        if key not in self._nearest:
            self._nearest[key] = _range_image(found[0])
        bins, ranges = _directions(cut.xyz, found[0].origin)
        return np.asarray(self._nearest[key][bins] + BEHIND[0] + BEHIND[1] * ranges > ranges)

    def camera(self, name: str) -> Camera:
        """A camera of the frame."""
        if name not in self._cameras:
            self._cameras[name] = Camera(self.frame, name, self._config)
        return self._cameras[name]

    def rectangles_before(self, camera: str, one: Detections) -> Float64:
        """Rectangles (N, 4) in an image of what is nearer than `one` (one row): objects, LiDAR returns."""
        far = float(np.linalg.norm(one.center[0, :2]))
        rows = np.flatnonzero(np.linalg.norm(self.objects.center[:, :2], axis=1) < far)
        boxes, velocities = boxes_of(self.objects), still_where_unknown(self.objects.velocity)
        seen = self.camera(camera)
        found = [seen.rectangle(boxes[row], velocities[row]) for row in rows]
        objects = np.array([each for each in found if each is not None], np.float64).reshape(-1, 4)
        return np.concatenate([objects, self._returns_before(camera, one, far)])

    def _returns_before(self, camera: str, one: Detections, far: float) -> Float64:
        """A small rectangle around each return of a pole, a tree or a wall before an object."""
        seen = self.camera(camera)
        rectangle = seen.rectangle(boxes_of(one)[0], still_where_unknown(one.velocity[0]))
        high = self._points[self._points[:, 2] > LOW]
        near = high[np.hypot(high[:, 0], high[:, 1]) * (1 + BEHIND[1]) + BEHIND[0] + one.size[0, 0] / 2 < far]
        if rectangle is None or not len(near):
            return np.zeros((0, 4))
        pixels = seen.pixels_of(near)
        half = np.array([0.5 * np.radians(spacing) for spacing in RETURN_DEG]) * seen.focal_px
        low, top = rectangle[:2] - half, rectangle[2:] + half
        inside = pixels[((pixels >= low) & (pixels <= top)).all(axis=1)]
        return np.concatenate([inside - half, inside + half], axis=1)


def _range_image(cloud: Cloud) -> Float32:
    """The range of the nearest return in each direction, infinite where there is none."""
    high = cloud.xyz[np.isfinite(cloud.xyz).all(axis=1) & (cloud.xyz[:, 2] > LOW)]
    bins, ranges = _directions(high, cloud.origin)
    nearest = np.full(_BINS[0] * _BINS[1], np.inf, np.float32)
    np.minimum.at(nearest, bins, ranges)
    return nearest


_BINS = (round(360 / BIN_DEG[0]), round(180 / BIN_DEG[1]))


def _directions(xyz: Float32, origin: Float64) -> tuple[NDArray[np.int64], Float32]:
    """Flat number of each point's direction as seen from `origin`, and its range."""
    away = xyz - origin.astype(np.float32)
    ranges = np.maximum(np.linalg.norm(away, axis=1), 1e-3)
    azimuth = np.degrees(np.arctan2(away[:, 1], away[:, 0])) + 180
    elevation = np.degrees(np.arcsin(np.clip(away[:, 2] / ranges, -1, 1))) + 90
    columns = np.minimum((azimuth / BIN_DEG[0]).astype(np.int64), _BINS[0] - 1)
    rows = np.minimum((elevation / BIN_DEG[1]).astype(np.int64), _BINS[1] - 1)
    return columns * _BINS[1] + rows, ranges.astype(np.float32)


def _blocks(box7: Float64, there: Float64) -> bool:
    """Whether the object takes, or loses, too many bearings to one of those that are there."""
    if not len(there):
        return False
    boxes = np.concatenate([box7[None], there])
    middle, half = _bearings(boxes)
    far = np.hypot(boxes[:, 0], boxes[:, 1])
    apart = np.abs(wrap_angle(middle[1:] - middle[0]))
    shared = np.clip(half[1:] + half[0] - apart, 0, 2 * np.minimum(half[1:], half[0]))
    behind = np.where(far[1:] > far[0], half[1:], half[0])
    return bool((shared > BLOCKED * 2 * behind).any())


def _bearings(boxes7: Float64) -> tuple[Float64, Float64]:
    """Bearing of each box and half the angle that it takes, as seen from `base_link`."""
    middle = np.arctan2(boxes7[:, 1], boxes7[:, 0])
    xy = bev_corners(boxes7)
    turned = wrap_angle(np.arctan2(xy[..., 1], xy[..., 0]) - middle[:, None])
    return middle, np.abs(turned).max(axis=1)
