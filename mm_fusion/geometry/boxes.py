"""Boxes as (N, 7) rows `x y z l w h yaw` (geometric centre, m and rad): corners, overlap, points inside."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from mm_fusion.detections import Detections
from mm_fusion.geometry.transforms import checked_points
from mm_fusion.measurements import Float64


def boxes_of(detections: Detections) -> Float64:
    """The boxes (N, 7) float64 of detections."""
    return np.column_stack([detections.center, detections.size, detections.yaw]).astype(np.float64)


def bev_corners(boxes7: ArrayLike) -> Float64:
    """Footprint corners (N, 4, 2): front left, rear left, rear right, front right (counter-clockwise)."""
    return _bev_corners(_rows(boxes7))


def corners(boxes7: ArrayLike) -> Float64:
    """Corners (N, 8, 3): four at the bottom in the order of `bev_corners`, then the four above them."""
    boxes = _rows(boxes7)
    out = np.empty((len(boxes), 8, 3))
    out[:, :4, :2] = out[:, 4:, :2] = _bev_corners(boxes)
    out[:, :4, 2] = (boxes[:, 2] - boxes[:, 5] / 2)[:, None]
    out[:, 4:, 2] = (boxes[:, 2] + boxes[:, 5] / 2)[:, None]
    return out


def iou_bev(a7: ArrayLike, b7: ArrayLike) -> Float64:
    """Overlap (N, M) in 0..1 of footprints; 0 for boxes with no area or numbers that are not finite."""
    return _iou(_rows(a7), _rows(b7), False)


def iou_3d(a7: ArrayLike, b7: ArrayLike) -> Float64:
    """Overlap (N, M) in 0..1 of volumes of upright boxes; 0 for boxes with no volume or not finite."""
    return _iou(_rows(a7), _rows(b7), True)


def points_in_boxes(xyz: np.ndarray, boxes7: ArrayLike) -> NDArray[np.int32]:
    """Index (N,) int32 of the first box that holds each point, edges included; -1 for none."""
    return _points_in_boxes(checked_points(np.asarray(xyz)), _rows(boxes7))


def _rows(boxes7: ArrayLike) -> Float64:
    return np.ascontiguousarray(boxes7, np.float64).reshape(-1, 7)


@njit(cache=True)
def _bev_corners(boxes: Float64) -> Float64:
    out = np.empty((len(boxes), 4, 2))
    for i in range(len(boxes)):
        c, s = np.cos(boxes[i, 6]), np.sin(boxes[i, 6])
        for k in range(4):
            x = boxes[i, 3] / 2 * (1.0 if k == 0 or k == 3 else -1.0)
            y = boxes[i, 4] / 2 * (1.0 if k < 2 else -1.0)
            out[i, k, 0] = boxes[i, 0] + c * x - s * y
            out[i, k, 1] = boxes[i, 1] + s * x + c * y
    return out


@njit(cache=True)
def _usable(box: Float64, in_3d: bool) -> bool:
    for k in range(7):
        if not np.isfinite(box[k]):
            return False
    return box[3] > 0 and box[4] > 0 and (box[5] > 0 or not in_3d)


@njit(cache=True, nogil=True)
def _iou(a7: Float64, b7: Float64, in_3d: bool) -> Float64:
    out = np.zeros((len(a7), len(b7)))
    polygon, clipped = np.empty((12, 2)), np.empty((12, 2))
    usable_b = np.array([_usable(b7[j], in_3d) for j in range(len(b7))])
    for i in range(len(a7)):
        if not _usable(a7[i], in_3d):
            continue
        for j in range(len(b7)):
            if not usable_b[j]:
                continue
            height_a, height_b, height = 1.0, 1.0, 1.0
            if in_3d:
                height_a, height_b = a7[i, 5], b7[j, 5]
                top = min(a7[i, 2] + height_a / 2, b7[j, 2] + height_b / 2)
                height = top - max(a7[i, 2] - height_a / 2, b7[j, 2] - height_b / 2)
            if height <= 0:
                continue
            shared = _overlap_area(a7[i], b7[j], polygon, clipped) * height
            total = a7[i, 3] * a7[i, 4] * height_a + b7[j, 3] * b7[j, 4] * height_b - shared
            if shared > 0 and total > 0:
                out[i, j] = min(1.0, shared / total)
    return out


@njit(cache=True)
def _overlap_area(a: Float64, b: Float64, polygon: Float64, clipped: Float64) -> float:
    # Sutherland-Hodgman in the axes of `a`: b's footprint is cut by the four sides of a centred rectangle.
    dx, dy = b[0] - a[0], b[1] - a[1]
    reach = 0.5 * (np.hypot(a[3], a[4]) + np.hypot(b[3], b[4]))
    if dx * dx + dy * dy >= reach * reach:
        return 0.0
    ca, sa = np.cos(a[6]), np.sin(a[6])
    x0, y0 = ca * dx + sa * dy, -sa * dx + ca * dy
    c, s = np.cos(b[6] - a[6]), np.sin(b[6] - a[6])
    for k in range(4):
        x = b[3] / 2 * (1.0 if k == 0 or k == 3 else -1.0)
        y = b[4] / 2 * (1.0 if k < 2 else -1.0)
        polygon[k, 0], polygon[k, 1] = x0 + c * x - s * y, y0 + s * x + c * y
    count = 4
    for side in range(4):
        count = _clip(polygon, count, side % 2, 1.0 if side < 2 else -1.0, a[3 + side % 2] / 2, clipped)
        polygon, clipped = clipped, polygon
        if count < 3:
            return 0.0
    area = 0.0
    for k in range(count):
        n = (k + 1) % count
        area += polygon[k, 0] * polygon[n, 1] - polygon[n, 0] * polygon[k, 1]
    return max(0.0, 0.5 * area)


@njit(cache=True)
def _clip(polygon: Float64, count: int, axis: int, sign: float, limit: float, out: Float64) -> int:
    kept = 0
    for k in range(count):
        n = (k + 1) % count
        here, there = limit - sign * polygon[k, axis], limit - sign * polygon[n, axis]
        if here >= 0:
            out[kept, 0], out[kept, 1] = polygon[k, 0], polygon[k, 1]
            kept += 1
        if (here > 0 and there < 0) or (here < 0 and there > 0):
            share = here / (here - there)
            out[kept, 0] = polygon[k, 0] + share * (polygon[n, 0] - polygon[k, 0])
            out[kept, 1] = polygon[k, 1] + share * (polygon[n, 1] - polygon[k, 1])
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _points_in_boxes(xyz: np.ndarray, boxes: Float64) -> NDArray[np.int32]:
    count = len(boxes)
    cos, sin = np.cos(boxes[:, 6]), np.sin(boxes[:, 6])
    reach = 0.25 * (boxes[:, 3] ** 2 + boxes[:, 4] ** 2) * (1 + 1e-12)
    out = np.full(len(xyz), -1, np.int32)
    for i in range(len(xyz)):
        for j in range(count):
            dx, dy = xyz[i, 0] - boxes[j, 0], xyz[i, 1] - boxes[j, 1]
            # written so that NaN, for which every comparison is false, is outside
            if not (dx * dx + dy * dy <= reach[j]):
                continue
            along, across = cos[j] * dx + sin[j] * dy, cos[j] * dy - sin[j] * dx
            dz = xyz[i, 2] - boxes[j, 2]
            inside = abs(along) <= boxes[j, 3] / 2 and abs(across) <= boxes[j, 4] / 2
            if inside and abs(dz) <= boxes[j, 5] / 2:
                out[i] = j
                break
    return out
