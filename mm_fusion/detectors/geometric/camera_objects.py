"""Objects of a 2D detector put into space: at the range of what is seen there, else where they meet the
ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import UNKNOWN_CLASS_ID, Detections, empty_detections, make_detections
from mm_fusion.detectors.geometric.class_claims import PriorTable
from mm_fusion.frame import Frame
from mm_fusion.geometry.boxes import boxes_of, corners
from mm_fusion.geometry.cameras import project, unproject
from mm_fusion.geometry.motion import base_ref_from_base
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import CameraModel, Float64, ImageDetections
from mm_fusion.model_config import CameraObjectsConfig

NO_CLASS_SIZE = (1.0, 1.0, 1.5)
"""Length, width, height of a 2D object whose class has no prior, m."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A camera at its own exposure: how it sees, and base_from_camera (4, 4) at the frame's time."""

    model: CameraModel
    base_from_camera: Float64


def view_of(frame: Frame, name: str, stamp_ns: int) -> View | None:
    """The view of a camera (or of the 2D detector on it), None where it is not calibrated."""
    model = frame.calibration.camera_models.get(name)
    base_from_camera = frame.calibration.base_from_sensor.get(name)
    if model is None or base_from_camera is None:
        return None
    if frame.ego is not None:
        base_from_camera = base_ref_from_base(frame.ego, stamp_ns, frame.stamp_ns) @ base_from_camera
    return View(model, base_from_camera)


def camera_objects(
    seen: ImageDetections, view: View, candidates: Detections, priors: PriorTable, config: CameraObjectsConfig
) -> Detections:
    """Each 2D object in space, its class from the camera; `candidates` are what LiDAR and radar see.

    A 2D object takes the range of the candidate whose projection overlaps it best; that range is not believed
    as if it were measured again: its variance stays that of the ground point's.
    """
    usable = np.isfinite(seen.box_px).all(axis=1) & (seen.score >= config.min_score)
    usable &= (seen.box_px[:, 2:] > seen.box_px[:, :2]).all(axis=1)
    boxes, score = seen.box_px[usable].astype(np.float64), np.minimum(seen.score[usable], 1.0)
    named = (seen.class_id[usable] >= 0) & (seen.class_id[usable] < UNKNOWN_CLASS_ID)
    class_id = np.where(named, seen.class_id[usable], UNKNOWN_CLASS_ID).astype(np.int16)
    if not len(boxes):
        return empty_detections()
    size = _prior_sizes(class_id, priors)
    ray, distance, sigma = _ground_points(boxes, size, view, config)
    partner = _partners(boxes, view, candidates, config.min_overlap)
    eye = view.base_from_camera[:2, 3]
    has = partner >= 0
    yaw = np.arctan2(ray[:, 1], ray[:, 0])
    base_z = np.zeros(len(boxes))
    if has.any():
        other = candidates.select(partner[has])
        distance[has] = np.hypot(*(other.center[:, :2] - eye).T)
        yaw[has] = other.yaw
        base_z[has] = other.center[:, 2] - other.size[:, 2] / 2
    keep = np.flatnonzero(has | (distance < config.reach))
    center = np.column_stack([eye + ray * distance[:, None], base_z + size[:, 2] / 2])
    return make_detections(
        len(boxes),
        center=center,
        size=size,
        yaw=yaw,
        position_cov=_along_ray(ray, sigma, _bearing_sigma(view, config) * distance + 0.2),
        variance=np.tile([0.25, 1.0, 0.1, 0.1, 1.0], (len(boxes), 1)),
        score=score,
        class_id=class_id,
        contribution=np.tile([1.0, 0.0, 0.0], (len(boxes), 1)),
    ).select(keep)


def projected_rectangles(detections: Detections, view: View) -> tuple[Float64, NDArray[np.bool_]]:
    """Rectangles (N, 4) px (left top right bottom) of what is seen of boxes, and (N,) whether any is."""
    points = corners(boxes_of(detections)).reshape(-1, 3)
    # a box that reaches beside the image is seen by the corners inside and its middle
    points = np.concatenate([points, detections.center.astype(np.float64)])
    pixels, visible = project(view.model, transform_points(inverse(view.base_from_camera), points))
    count = len(detections)
    every = np.concatenate(
        [pixels[: 8 * count].reshape(count, 8, 2), pixels[8 * count :].reshape(count, 1, 2)], axis=1
    )
    seen = np.concatenate([visible[: 8 * count].reshape(count, 8), visible[8 * count :, None]], axis=1)
    seen &= np.isfinite(every).all(axis=2)
    low = np.where(seen[:, :, None], every, np.inf).min(axis=1)
    high = np.where(seen[:, :, None], every, -np.inf).max(axis=1)
    return np.concatenate([low, high], axis=1), np.asarray(seen.any(axis=1))


def _partners(boxes: Float64, view: View, candidates: Detections, least: float) -> NDArray[np.intp]:
    """The candidate (N,) that each 2D box frames best, one to one, -1 for none."""
    partner = np.full(len(boxes), -1, np.intp)
    if not len(candidates):
        return partner
    from scipy.optimize import linear_sum_assignment

    rectangles, seen = projected_rectangles(candidates, view)
    overlap = np.where(seen[None, :], _overlap(boxes, rectangles), 0.0)
    rows, columns = linear_sum_assignment(-overlap)
    good = overlap[rows, columns] >= least
    partner[rows[good]] = columns[good]
    return partner


def _overlap(a: Float64, b: Float64) -> Float64:
    """IoU (N, M) of upright rectangles; 0 where one is empty or not finite."""
    with np.errstate(invalid="ignore"):
        low = np.maximum(a[:, None, :2], b[None, :, :2])
        span = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0)
        area_a, area_b = ((r[:, 2] - r[:, 0]) * (r[:, 3] - r[:, 1]) for r in (a, b))
        both = span.prod(axis=2)
        return np.nan_to_num(
            both / np.maximum(area_a[:, None] + area_b[None] - both, 1e-9), posinf=0.0, neginf=0.0
        )


def _prior_sizes(class_id: NDArray[np.int16], priors: PriorTable) -> Float64:
    sizes = np.tile(np.array(NO_CLASS_SIZE), (len(class_id), 1))
    for known, mean in zip(priors.class_id, priors.mean):
        sizes[class_id == known] = mean
    return sizes


def _ground_points(
    boxes: Float64, size: Float64, view: View, config: CameraObjectsConfig
) -> tuple[Float64, Float64, Float64]:
    """Horizontal unit rays (N, 2) through the boxes' middles, distances (N,) of centres, sigmas (N,).

    By the lower edge on z = 0; for one at or above the horizon by the class's height.
    """
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    rotation, eye = view.base_from_camera[:3, :3], view.base_from_camera[:3, 3]
    feet = unproject(view.model, np.column_stack([middle, boxes[:, 3]])) @ rotation.T
    waist = unproject(view.model, np.column_stack([middle, boxes[:, 1::2].mean(axis=1)])) @ rotation.T
    flat = np.nan_to_num(waist[:, :2])
    ray = flat / np.maximum(np.hypot(flat[:, 0], flat[:, 1]), 1e-9)[:, None]
    slope = np.nan_to_num(-feet[:, 2] / np.maximum(np.hypot(feet[:, 0], feet[:, 1]), 1e-9))
    focal = float(view.model.matrix[1, 1])
    by_height = focal * size[:, 2] / np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
    on_ground = slope > 2 * config.pixel_sigma / focal
    by_ground = np.divide(eye[2], slope, out=by_height.copy(), where=on_ground)
    near_side = np.where(on_ground, by_ground, by_height)
    # how far a wrong edge by pixel_sigma, or a class's spread of height, moves it
    sigma = np.where(
        on_ground, near_side**2 * config.pixel_sigma / (focal * max(eye[2], 0.5)), 0.2 * near_side
    )
    return ray, near_side + size[:, 1] / 2, sigma + 0.5 * size[:, 0]


def _bearing_sigma(view: View, config: CameraObjectsConfig) -> float:
    return config.pixel_sigma / float(view.model.matrix[0, 0])


def _along_ray(ray: Float64, along: Float64, across: Float64) -> Float64:
    x, y = ray.T
    a, b = along**2, across**2
    return np.stack([x * x * a + y * y * b, x * y * (a - b), y * y * a + x * x * b], axis=1)
