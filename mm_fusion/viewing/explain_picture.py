"""Pictures of explanations: the operator's weights from above, and bars of each detection's reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mm_fusion.detections import CLASSES, Detections
from mm_fusion.geometry.boxes import bev_corners, boxes_of
from mm_fusion.network_config import GridConfig
from mm_fusion.viewing import palette
from mm_fusion.viewing.drawing import Picture
from mm_fusion.viewing.explain import SENSORS, Explanation
from mm_fusion.viewing.explain_ranks import METHODS, Agreement
from mm_fusion.viewing.recording import Sight

SHOWN = 8
"""Detections that get bars, the strongest first."""
NAMES = {"camera": "camera", "lidar": "LiDAR", "radar": "radar"}
COLOURS: dict[str, palette.Colour] = {
    "camera": (245, 158, 66),
    "lidar": (92, 168, 255),
    "radar": (0, 214, 160),
}
METHOD_NAMES = {"stated": "stated contribution", "gate": "raw gate weights", "shapley": "measured Shapley"}
_DPI = 100
_SMALL, _PLAIN, _LARGE = 8.0, 9.5, 15.0


def explanation_picture(
    sight: Sight, explained: Explanation, grid: GridConfig, title: str, camera: Picture | None = None
) -> Picture:
    """The picture (1000, 1600, 3) uint8 RGB of one frame.

    camera: the image of the camera that is shown, with boxes, None without any.
    """
    figure = _figure(16.0, 10.0)
    figure.text(0.025, 0.962, title, color=_hex(palette.TEXT), fontsize=_LARGE, weight="bold")
    figure.text(0.025, 0.938, _subtitle(explained), color=_hex(palette.RING_TEXT), fontsize=_PLAIN)
    for number, sensor in enumerate(SENSORS):
        axes = figure.add_axes((0.035 + number * 0.212, 0.45, 0.2, 0.44))
        _draw_map(axes, sight, explained, grid, number, sensor)
    _draw_camera(figure.add_axes((0.035, 0.03, 0.624, 0.36)), camera)
    strongest = explained.select(np.arange(min(SHOWN, len(explained.detections))))
    _draw_bars(figure.add_axes((0.745, 0.06, 0.155, 0.81)), strongest)
    _draw_gates(figure.add_axes((0.912, 0.06, 0.07, 0.81)), strongest)
    return _pixels(figure)


def summary_picture(frames: Sequence[Explanation], agreed: Mapping[str, Agreement]) -> Picture:
    """The picture (700, 1500, 3) uint8 RGB of how each way to rank sensors compares with removing them."""
    figure = _figure(15.0, 7.0)
    words = "Does what is said of a sensor agree with removing it?"
    figure.text(0.03, 0.93, words, color=_hex(palette.TEXT), fontsize=_LARGE, weight="bold")
    below = "each dot: one sensor at one detection; rank correlations within a detection, averaged"
    figure.text(0.03, 0.89, below, color=_hex(palette.RING_TEXT), fontsize=_PLAIN)
    for number, method in enumerate(METHODS):
        axes = figure.add_axes((0.06 + number * 0.32, 0.12, 0.265, 0.62))
        _draw_scatter(axes, frames, method, agreed[method])
    return _pixels(figure)


# One frame.


def _subtitle(explained: Explanation) -> str:
    count = len(explained.detections)
    shown = "" if count <= SHOWN else f", bars of the strongest {SHOWN}"
    return f"{count} detections{shown}  ·  maps: share of the fused features that each sensor gives, by cell"


def _draw_map(
    axes: Any, sight: Sight, explained: Explanation, grid: GridConfig, number: int, sensor: str
) -> None:
    weights, seen = explained.weight_map[number], explained.coverage[number] > 0
    extent = (grid.y_max, grid.y_min, grid.x_min, grid.x_max)
    axes.imshow(_shaded(weights, seen, COLOURS[sensor]), origin="lower", extent=(
        grid.y_min, grid.y_max, grid.x_min, grid.x_max), interpolation="nearest")  # fmt: skip
    points = sight.radar_base if sensor == "radar" else sight.points_base
    if sensor != "camera" and len(points):
        axes.scatter(points[:, 1], points[:, 0], s=0.4, c="white", alpha=0.35, linewidths=0)
    _draw_boxes(axes, explained.detections)
    axes.set(xlim=extent[:2], ylim=extent[2:], facecolor=_hex(palette.GROUND))
    mean = f"mean {weights[seen].mean():.2f}" if seen.any() else "not there"
    axes.set_title(f"{NAMES[sensor]}   {mean}", color=_hex(COLOURS[sensor]), fontsize=11, loc="left")
    _plain(axes)
    if number:
        axes.set_yticklabels([])
    else:
        axes.set_ylabel("x, m ahead", color=_hex(palette.RING_TEXT), fontsize=_SMALL)
    axes.set_xlabel("y, m to the left", color=_hex(palette.RING_TEXT), fontsize=_SMALL)


def _shaded(weights: np.ndarray, seen: np.ndarray, colour: palette.Colour) -> np.ndarray:
    """(X, Y, 3) 0..1: the sensor's colour by weight, faint grey where it sees, ground where it does not."""
    low = np.array(palette.PANEL) / 255 * 1.15
    high, ground = np.array(colour) / 255, np.array(palette.GROUND) / 255
    part = np.clip(weights, 0, 1)[..., None] ** 0.8
    return np.where(seen[..., None], low * (1 - part) + high * part, ground)


def _draw_boxes(axes: Any, detections: Detections) -> None:
    corners = bev_corners(boxes_of(detections))
    for number, box in enumerate(corners):
        closed = np.concatenate([box, box[:1]])
        shown = number < SHOWN
        axes.plot(closed[:, 1], closed[:, 0], color="white", linewidth=1.2 if shown else 0.6)
        if shown:
            place = (box[:, 1].min() - 0.6, box[:, 0].mean())
            backing = {"boxstyle": "round,pad=0.15", "fc": _hex(palette.GROUND), "ec": "none", "alpha": 0.75}
            words = str(number + 1)
            axes.text(
                *place,
                words,
                color="white",
                fontsize=_PLAIN,
                weight="bold",
                va="center",
                bbox=backing,
                clip_on=True,
            )


def _draw_camera(axes: Any, camera: Picture | None) -> None:
    axes.axis("off")
    if camera is None:
        axes.text(0.5, 0.5, "no camera image", color=_hex(palette.RING_TEXT), ha="center", fontsize=_PLAIN)
    else:
        axes.imshow(camera, interpolation="bilinear")
        axes.set_anchor("W")


def _draw_bars(axes: Any, shown: Explanation) -> None:
    """Three sensors a detection: what is stated as a bar, what removal costs as a diamond."""
    for row in range(len(shown.detections)):
        for number, sensor in enumerate(SENSORS):
            _draw_reason(axes, shown, row, number, -row - (number - 1) * 0.24, _hex(COLOURS[sensor]))
    axes.axvline(0, color=_hex(palette.RING_TEXT), linewidth=0.8)
    _rows(axes, "score by sensor", [_label(shown.detections, n) for n in _range(shown)])
    reach = _reach(shown)
    axes.set_xlim(-0.6 * reach, reach)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("score", color=_hex(palette.RING_TEXT), fontsize=_SMALL)
    _legend(axes)


def _draw_reason(axes: Any, shown: Explanation, row: int, number: int, y: float, colour: str) -> None:
    if not shown.present[row, number]:
        axes.plot([0.0], [y], marker="x", color=colour, markersize=4, alpha=0.7, linewidth=0)
        return
    axes.barh(y, shown.stated[row, number], 0.2, color=colour, alpha=0.85, linewidth=0)
    axes.plot(
        [shown.removed[row, number]], [y], marker="D", markersize=5.5, markerfacecolor="none",
        markeredgecolor="white", markeredgewidth=1.2, clip_on=False,
    )  # fmt: skip


def _draw_gates(axes: Any, shown: Explanation) -> None:
    """The operator's weights at each detection, one bar that is full."""
    left = np.zeros(len(shown.detections))
    for number, sensor in enumerate(SENSORS):
        axes.barh(-np.arange(len(left)), shown.gate[:, number], 0.34, left=left, color=_hex(COLOURS[sensor]))
        left = left + shown.gate[:, number]
    _rows(axes, "gate weights", [""] * len(left))
    axes.set_xlim(0, 1)
    axes.set_xlabel("share", color=_hex(palette.RING_TEXT), fontsize=_SMALL)


def _rows(axes: Any, title: str, labels: Sequence[str]) -> None:
    axes.set_facecolor(_hex(palette.PANEL))
    axes.set_yticks(-np.arange(len(labels)), labels)
    axes.set_ylim(-SHOWN + 0.45, 0.55)
    axes.set_title(title, color=_hex(palette.TEXT), fontsize=11, loc="left", pad=36)
    _plain(axes)
    axes.tick_params(axis="y", labelsize=_PLAIN, labelcolor=_hex(palette.TEXT), length=0)


def _range(shown: Explanation) -> range:
    return range(len(shown.detections))


def _reach(shown: Explanation) -> float:
    parts = [np.abs(part[shown.present]) for part in (shown.stated, shown.removed)]
    return float(max([0.1, *(part.max() for part in parts if len(part))])) * 1.08


def _label(detections: Detections, row: int) -> str:
    distance = float(np.hypot(*detections.center[row, :2]))
    name = CLASSES[detections.class_id[row]].replace("_", " ")
    return f"{row + 1}  {name} {detections.score[row]:.2f}\n{distance:.0f} m"


def _legend(axes: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    grey = _hex(palette.EGO)
    entries = [
        Patch(facecolor=grey, label="stated"),
        Line2D([], [], marker="D", mfc="none", mec="white", linewidth=0, label="lost when removed"),
        Line2D([], [], marker="x", markersize=4, color=grey, linewidth=0, label="does not see it"),
    ]
    axes.legend(
        handles=entries, loc="lower left", bbox_to_anchor=(-0.03, 0.995), ncols=2, frameon=False,
        fontsize=_SMALL, labelcolor=_hex(palette.TEXT), handletextpad=0.5, columnspacing=1.2, borderpad=0.1,
    )  # fmt: skip


# All frames.


def _draw_scatter(axes: Any, frames: Sequence[Explanation], method: str, agreed: Agreement) -> None:
    for number, sensor in enumerate(SENSORS):
        said = [getattr(each, method)[each.present[:, number], number] for each in frames]
        lost = [each.removed[each.present[:, number], number] for each in frames]
        x, y = (np.concatenate([np.zeros(0), *parts]) for parts in (lost, said))
        axes.scatter(x, y, s=9, color=_hex(COLOURS[sensor]), alpha=0.6, linewidths=0, label=NAMES[sensor])
    for line in (axes.axhline, axes.axvline):
        line(0, color=_hex(palette.RING), linewidth=0.8)
    _plain(axes)
    axes.set_facecolor(_hex(palette.PANEL))
    within = "" if agreed.interval is None else f"  [{agreed.interval[0]:.2f}, {agreed.interval[1]:.2f}]"
    figures = (
        f"Spearman {agreed.spearman:.2f}{within}\nKendall {agreed.kendall:.2f}   strongest the same "
        f"{100 * agreed.first:.0f} %"
    )
    axes.set_title(
        f"{METHOD_NAMES[method]}\n{figures}", color=_hex(palette.TEXT), fontsize=10.5, loc="left", pad=10
    )
    axes.set_xlabel("score lost when the sensor is removed", color=_hex(palette.RING_TEXT), fontsize=_PLAIN)
    axes.legend(frameon=False, fontsize=_SMALL, labelcolor=_hex(palette.TEXT), loc="upper left")


# Matplotlib.


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=_DPI, facecolor=_hex(palette.GROUND))
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Any) -> None:
    axes.tick_params(colors=_hex(palette.RING_TEXT), labelsize=_SMALL, length=2)
    for side in axes.spines.values():
        side.set_color(_hex(palette.RING))


def _pixels(figure: Any) -> Picture:
    figure.canvas.draw()
    return np.ascontiguousarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])


def _hex(colour: palette.Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
