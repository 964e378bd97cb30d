"""A frame from above: points, radar returns with their Doppler, boxes with heading and velocity, truth.

Forward is up and left is left, as the driver sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID, Detections
from mm_fusion.geometry.boxes import bev_corners, boxes_of
from mm_fusion.viewing import palette
from mm_fusion.viewing.drawing import (
    MOVING_MPS,
    Picture,
    arrow,
    blank,
    blend,
    dashed,
    dots,
    free_places,
    lines,
    text_size,
    write,
    write_on_backing,
)

PANEL_PX = 210
ARROW_SECONDS = 1.0
_LABEL_SCALE = 0.45


@dataclass(frozen=True, slots=True)
class Extent:
    """What of the ground is drawn, m in `base_link`."""

    x_min: float = -50.0
    x_max: float = 50.0
    y_min: float = -50.0
    y_max: float = 50.0


AHEAD = Extent(-6.0, 80.0, -36.0, 36.0)
AROUND = Extent()


def extent_for(points_base: np.ndarray, radar_points: np.ndarray) -> Extent:
    """`AHEAD` where the radars (without any, the LiDARs) see only what lies in front of the car, else
    `AROUND`.
    """
    seen = radar_points if len(radar_points) else points_base
    behind = float(np.mean(seen[:, 0] < -5.0)) if len(seen) else 0.0
    return AROUND if behind > 0.1 else AHEAD


def draw_birds_eye(
    detections: Detections,
    points_base: np.ndarray,
    radar_points: np.ndarray,
    truth: Detections | None = None,
    extent: Extent | None = None,
    title: str = "",
    width_px: int = 1200,
) -> Picture:
    """The picture (H, W, 3) uint8 RGB, `width_px` wide with its legend.

    points_base: (N, 3) m. radar_points: (M, 4) x, y, z m and radial velocity over ground m/s (receding
    positive, NaN where unknown). extent: None chooses by the points.
    """
    view = _View(extent or extent_for(points_base, radar_points), width_px - PANEL_PX)
    picture = blank(view.height_px, width_px, palette.GROUND)
    plot = picture[:, : view.width_px]
    _draw_rings(plot, view)
    _draw_points(plot, view, points_base)
    _draw_radar(plot, view, radar_points)
    _draw_ego(plot, view)
    if truth is not None:
        for corners, size in zip(view.pixels(bev_corners(boxes_of(truth))), truth.size):
            dashed(plot, corners, palette.TRUTH, 2 if size[0] > 2.5 else 1)
    _draw_boxes(plot, view, detections)
    _draw_labels(plot, view, detections)
    _draw_legend(picture[:, view.width_px :], detections, truth, len(radar_points) > 0, title)
    return picture


class _View:
    """From metres to pixels."""

    def __init__(self, extent: Extent, width_px: int) -> None:
        self.extent = extent
        self.width_px = width_px
        self.scale = width_px / (extent.y_max - extent.y_min)
        self.height_px = int(round((extent.x_max - extent.x_min) * self.scale))

    def pixels(self, xy: np.ndarray) -> np.ndarray:
        """(..., 2) px of (..., 2) m."""
        column = (self.extent.y_max - xy[..., 1]) * self.scale
        row = (self.extent.x_max - xy[..., 0]) * self.scale
        return np.stack([column, row], axis=-1).astype(np.float64)


def _draw_rings(plot: Picture, view: _View) -> None:
    e = view.extent
    farthest = max(abs(e.x_min), abs(e.x_max), abs(e.y_min), abs(e.y_max)) * 1.5
    angles = np.linspace(-np.pi, np.pi, 361)
    for radius in range(10, int(farthest), 10):
        ring = radius * np.column_stack([np.cos(angles), np.sin(angles)])
        lines(plot, view.pixels(ring), palette.RING if radius % 20 == 0 else _faint(palette.RING))
        if radius % 20 == 0 and e.x_min < radius < e.x_max:
            column, row = view.pixels(np.array([radius, 0.0]))
            write(plot, f"{radius} m", (int(column) + 4, int(row) - 4), palette.RING_TEXT, 0.42)


def _faint(colour: palette.Colour) -> palette.Colour:
    red, green, blue = (int(part * 0.55 + ground * 0.45) for part, ground in zip(colour, palette.GROUND))
    return red, green, blue


def _draw_points(plot: Picture, view: _View, points_base: np.ndarray) -> None:
    """Higher points are brighter and cover lower ones."""
    order = np.argsort(points_base[:, 2], kind="stable")
    points = points_base[order]
    colours = blend(palette.LIDAR_LOW, palette.LIDAR_HIGH, (points[:, 2] - 0.1) / 1.5)
    dots(plot, view.pixels(points[:, :2]), colours, 2)


def _draw_radar(plot: Picture, view: _View, radar: np.ndarray) -> None:
    if len(radar) == 0:
        return
    speed = np.nan_to_num(radar[:, 3])
    moving = np.abs(speed) >= MOVING_MPS
    pixels = view.pixels(radar[:, :2])
    colours = np.where(moving[:, None], palette.RADAR_MOVING, palette.RADAR).astype(np.uint8)
    dots(plot, pixels[~moving], colours[~moving], 2)
    dots(plot, pixels[moving], colours[moving], 3)
    distance = np.maximum(np.hypot(radar[:, 0], radar[:, 1]), 1e-3)
    tips = radar[:, :2] * (1 + np.clip(speed, -5, 5) * 0.5 / distance)[:, None]
    for start, end in zip(pixels[moving], view.pixels(tips)[moving]):
        lines(plot, np.array([start, end]), palette.RADAR_MOVING)


def _draw_ego(plot: Picture, view: _View) -> None:
    outline = np.array([[2.6, 0.0], [1.8, 0.9], [-1.8, 0.9], [-1.8, -0.9], [1.8, -0.9]])
    lines(plot, view.pixels(outline), palette.EGO, 2, closed=True)


def _draw_boxes(plot: Picture, view: _View, detections: Detections) -> None:
    """Weak ones first, so that strong ones lie on top."""
    corners = bev_corners(boxes_of(detections))
    for i in np.argsort(detections.score, kind="stable"):
        colour = palette.CLASS_COLOURS[detections.class_id[i]]
        unknown = detections.class_id[i] == UNKNOWN_CLASS_ID
        lines(plot, view.pixels(corners[i]), colour, 1 if unknown else 2, closed=True)
        if unknown:
            continue
        front = (corners[i, 0] + corners[i, 3]) / 2
        lines(plot, view.pixels(np.array([detections.center[i, :2], front])), colour, 2)
        if np.hypot(*detections.velocity[i]) >= MOVING_MPS:
            tip = detections.center[i, :2] + detections.velocity[i] * ARROW_SECONDS
            start, end = view.pixels(np.array([detections.center[i, :2], tip]))
            arrow(plot, start, end, colour, 2)


def _draw_labels(plot: Picture, view: _View, detections: Detections) -> None:
    """The strongest objects get theirs, as long as labels do not cover each other."""
    labels = list(_labels(view, detections))
    for (text, at, colour, _), clear in zip(labels, free_places([label[3] for label in labels])):
        if clear:
            write_on_backing(plot, text, at, colour, palette.GROUND, _LABEL_SCALE)


def _labels(
    view: _View, detections: Detections
) -> Iterator[tuple[str, tuple[int, int], palette.Colour, tuple[int, int, int, int]]]:
    corners = view.pixels(bev_corners(boxes_of(detections)))
    for i in np.argsort(-detections.score, kind="stable"):
        if detections.class_id[i] == UNKNOWN_CLASS_ID:
            continue
        text = f"{CLASSES[detections.class_id[i]].replace('_', ' ')} {detections.score[i]:.2f}"
        width, height = text_size(text, _LABEL_SCALE)
        left, bottom = int(corners[i, :, 0].max()) + 6, int(corners[i, :, 1].mean()) + height // 2
        if not (0 <= corners[i, :, 0].mean() < view.width_px and height < bottom < view.height_px):
            continue
        left = min(left, view.width_px - width - 8)
        yield (
            text,
            (left, bottom),
            palette.CLASS_COLOURS[detections.class_id[i]],
            (left - 4, bottom - height - 6, left + width + 4, bottom + 6),
        )


def _draw_legend(
    panel: Picture, detections: Detections, truth: Detections | None, radar: bool, title: str
) -> None:
    panel[:] = palette.PANEL
    row = 34
    for line in title.split("\n") if title else []:
        write(panel, line, (16, row), palette.TEXT, 0.5)
        row += 24
    row += 10
    for class_id in sorted(set(detections.class_id.tolist())):
        count = int((detections.class_id == class_id).sum())
        lines(panel, _box_at(row), palette.CLASS_COLOURS[class_id], 2, closed=True)
        write(panel, f"{CLASSES[class_id].replace('_', ' ')}  {count}", (56, row), palette.TEXT, 0.46)
        row += 26
    if truth is not None:
        dashed(panel, _box_at(row), palette.TRUTH, 2)
        write(panel, f"truth  {len(truth)}", (56, row), palette.TEXT, 0.46)
        row += 26
    arrow(panel, np.array([16.0, row - 5]), np.array([46.0, row - 5]), palette.TEXT, 2)
    write(panel, "velocity, 1 s", (56, row), palette.TEXT, 0.46)
    row += 26
    _legend_dots(panel, row, palette.LIDAR_HIGH, "LiDAR, by height")
    if radar:
        _legend_dots(panel, row + 26, palette.RADAR, "radar, standing")
        _legend_dots(panel, row + 52, palette.RADAR_MOVING, "radar, moving")


def _box_at(row: int) -> np.ndarray:
    return np.array([[18.0, row - 12], [44, row - 12], [44, row + 1], [18, row + 1]])


def _legend_dots(panel: Picture, row: int, colour: palette.Colour, text: str) -> None:
    at = np.array([[20.0, row - 4], [28, row - 7], [35, row - 3], [42, row - 8]])
    dots(panel, at, np.tile(np.array(colour, np.uint8), (4, 1)), 4)
    write(panel, text, (56, row), palette.TEXT, 0.46)
