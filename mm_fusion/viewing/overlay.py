"""A camera's image with what the other sensors and the detector say: boxes in 3D, points by depth, truth."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID, Detections
from mm_fusion.geometry.boxes import boxes_of, corners
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.measurements import CameraModel, Float64
from mm_fusion.viewing import palette
from mm_fusion.viewing.drawing import (
    MOVING_MPS,
    Picture,
    arrow,
    dots,
    free_places,
    lines,
    text_size,
    write_on_backing,
)

EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
FRONT = ((0, 7), (3, 4))
"""The crossed diagonals of the face that the object looks with."""
_STEPS = 24
_NEAREST_M, _FARTHEST_M = 3.0, 60.0
_DARKEST = 40
"""Below it the colour scale is too dark to be seen on a street."""


def draw_overlay(
    pixels: Picture,
    model: CameraModel,
    camera_from_base: Float64,
    detections: Detections,
    points: np.ndarray | None = None,
    truth: Detections | None = None,
) -> Picture:
    """A copy of the image (H, W, 3) uint8 RGB with everything drawn where the distorted camera sees it.

    points: (N, 3) m in `base_link`, coloured by depth from warm (near) to cold (60 m).
    """
    picture = np.ascontiguousarray(pixels).copy()
    thick = max(1, round(picture.shape[1] / 800))
    if points is not None:
        _draw_points(picture, model, transform_points(camera_from_base, points), thick + 1)
    if truth is not None:
        for box in corners(boxes_of(truth)):
            _draw_wires(picture, model, camera_from_base, box, palette.TRUTH, max(1, thick - 1), dashed=True)
    known = detections.select(detections.class_id != UNKNOWN_CLASS_ID)
    boxes = corners(boxes_of(known))
    for i in np.argsort(-known.center[:, 0], kind="stable"):
        colour = palette.CLASS_COLOURS[known.class_id[i]]
        _draw_wires(picture, model, camera_from_base, boxes[i], colour, thick)
        _draw_velocity(picture, model, camera_from_base, known, int(i), thick)
    _draw_labels(picture, model, camera_from_base, known, boxes)
    return picture


def depth_colours(depth: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 RGB by depth in m: warm near, cold far, on the scale of inverse depth."""
    near, far = 1 / _NEAREST_M, 1 / _FARTHEST_M
    share = np.clip((1 / np.maximum(depth, 0.1) - far) / (near - far), 0, 1) ** 0.5
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8).reshape(-1, 1), cv2.COLORMAP_TURBO)
    return np.asarray(table[(_DARKEST + share * (255 - _DARKEST)).astype(np.uint8), 0, ::-1])


def _draw_points(picture: Picture, model: CameraModel, xyz_camera: np.ndarray, size: int) -> None:
    at, visible = project(model, xyz_camera)
    depth = xyz_camera[:, 2]
    order = np.nonzero(visible)[0]
    order = order[np.argsort(-depth[order], kind="stable")]
    dots(picture, at[order], depth_colours(depth[order]), size)


def _draw_wires(
    picture: Picture,
    model: CameraModel,
    camera_from_base: Float64,
    box: np.ndarray,
    colour: palette.Colour,
    width: int,
    dashed: bool = False,
) -> None:
    """Edges in short pieces, since straight lines are bent by the lens and cut by what it cannot see."""
    for a, b in EDGES if dashed else (*EDGES, *FRONT):
        pieces = box[a] + np.linspace(0, 1, _STEPS + 1)[:, None] * (box[b] - box[a])
        at, _ = project(model, transform_points(camera_from_base, pieces))
        for k in range(_STEPS):
            if not dashed or k // 3 % 2 == 0:
                lines(picture, at[k : k + 2], colour, 1 if (a, b) in FRONT else width)


def _draw_velocity(
    picture: Picture, model: CameraModel, camera_from_base: Float64, known: Detections, i: int, width: int
) -> None:
    """An arrow on the ground from below the object to where it will be in a second."""
    if not np.hypot(*known.velocity[i]) >= MOVING_MPS:
        return
    foot = known.center[i].astype(np.float64) - [0, 0, known.size[i, 2] / 2]
    way = np.array([foot, foot + [*known.velocity[i], 0.0]])
    at, _ = project(model, transform_points(camera_from_base, way))
    arrow(picture, at[0], at[1], palette.CLASS_COLOURS[known.class_id[i]], width)


def _draw_labels(
    picture: Picture, model: CameraModel, camera_from_base: Float64, known: Detections, boxes: np.ndarray
) -> None:
    scale = 0.45 * max(1.0, picture.shape[1] / 1300)
    labels = list(_labels(model, camera_from_base, known, boxes, scale))
    for (text, at, colour, _), clear in zip(labels, free_places([label[3] for label in labels])):
        if clear:
            write_on_backing(picture, text, at, colour, palette.GROUND, scale)


def _labels(
    model: CameraModel, camera_from_base: Float64, known: Detections, boxes: np.ndarray, scale: float
) -> Iterator[tuple[str, tuple[int, int], palette.Colour, tuple[int, int, int, int]]]:
    """Above each box whose middle is seen, the nearest first."""
    distance = np.hypot(known.center[:, 0], known.center[:, 1])
    _, seen = project(model, transform_points(camera_from_base, known.center.astype(np.float64)))
    for i in np.argsort(distance, kind="stable"):
        at, _ = project(model, transform_points(camera_from_base, boxes[i]))
        if not seen[i] or not np.isfinite(at).any():
            continue
        text = f"{CLASSES[known.class_id[i]].replace('_', ' ')} {known.score[i]:.2f}  {distance[i]:.0f} m"
        width, height = text_size(text, scale)
        left, bottom = int(np.nanmin(at[:, 0])), int(np.nanmin(at[:, 1])) - 6
        yield (
            text,
            (left, bottom),
            palette.CLASS_COLOURS[known.class_id[i]],
            (left - 4, bottom - height - 6, left + width + 6, bottom + 6),
        )
