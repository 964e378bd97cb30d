"""What the head should say: heatmaps with a bump per object, and its numbers at the cell of its centre."""

from __future__ import annotations

import numpy as np

from mm_fusion.detections import CLASSES, Detections
from mm_fusion.network_config import LearnedConfig

MAX_OBJECTS = 200
"""Objects per frame that are learned from; the nearest are kept."""
Targets = dict[str, np.ndarray]


def make_targets(truth: Detections, region: np.ndarray, config: LearnedConfig) -> Targets:
    """Targets of one frame; M = `MAX_OBJECTS`, rows beyond the objects are zero with `valid` 0.

    truth: in `base_link`; region: (X, Y) bool, where the truth is labelled. heatmap (K, X, Y) f32; region
    (X, Y) f32; cell (M,) i64 flat; class_index (M,) i64; box (M, 8) as decoded; velocity (M, 2), zero where
    unknown with velocity_valid (M,) 0; moving (M,) with NaN-free 0..1; valid (M,). Objects of
    classes that the model does not know are not learned: the region around them is taken out.
    """
    inside = np.flatnonzero(_inside(truth, region, config))
    near = np.argsort(np.linalg.norm(truth.center[inside, :2], axis=1), kind="stable")[:MAX_OBJECTS]
    objects = truth.select(inside[near])
    index = np.array([_class_index(config, each) for each in objects.class_id], np.int64)
    learned = region.astype(np.float32)
    for centre, size in zip(objects.center[index < 0], objects.size[index < 0]):
        _clear(learned, centre, float(size.max()) / 2, config)
    known = objects.select(index >= 0)
    return {**_object_rows(known, index[index >= 0], config), "region": learned}


def _inside(truth: Detections, region: np.ndarray, config: LearnedConfig) -> np.ndarray:
    cells = cells_of(truth.center, config)
    nx, ny = config.grid.shape
    on_grid = ((cells >= 0) & (cells < (nx, ny))).all(1)
    x, y = np.clip(cells, 0, (nx - 1, ny - 1)).T
    return np.asarray(on_grid & (region[x, y] > 0))


def cells_of(xy: np.ndarray, config: LearnedConfig) -> np.ndarray:
    """Cells (N, 2) int64 of places (N, 2 or more), also outside the grid."""
    corner = (config.grid.x_min, config.grid.y_min)
    return np.floor((xy[:, :2] - corner) / config.grid.cell).astype(np.int64)


def _class_index(config: LearnedConfig, class_id: int) -> int:
    name = CLASSES[class_id]
    return config.classes.index(name) if name in config.classes else -1


def _object_rows(objects: Detections, index: np.ndarray, config: LearnedConfig) -> Targets:
    count, (nx, ny) = len(objects), config.grid.shape
    cells = cells_of(objects.center, config)
    known = np.asarray(np.isfinite(objects.velocity).all(axis=1))
    heading = np.stack([np.sin(objects.yaw), np.cos(objects.yaw)], 1)
    rows: Targets = {
        "cell": cells[:, 0] * ny + cells[:, 1],
        "class_index": index,
        "box": np.concatenate([objects.center, np.maximum(objects.size, 0.05), heading], 1),
        "velocity": np.where(known[:, None], objects.velocity, 0.0),
        "velocity_valid": known.astype(np.float32),
        "moving": objects.moving,
        "valid": np.ones(count, np.float32),
    }
    heatmap = np.zeros((len(config.classes), nx, ny), np.float32)
    for row in range(count):
        _draw(heatmap[index[row]], cells[row], radius_cells(objects.size[row], config))
    return {"heatmap": heatmap, **{name: _padded(each) for name, each in rows.items()}}


def _padded(rows: np.ndarray) -> np.ndarray:
    dtype = np.int64 if rows.dtype.kind == "i" else np.float32
    padded = np.zeros((MAX_OBJECTS, *rows.shape[1:]), dtype)
    padded[: len(rows)] = rows
    return padded


def radius_cells(size: np.ndarray, config: LearnedConfig) -> int:
    """Radius of an object's bump: half its narrower side, at least one cell."""
    return max(1, int(0.5 * min(size[0], size[1]) / config.grid.cell))


def _draw(heatmap: np.ndarray, cell: np.ndarray, radius: int) -> None:
    (x, y), (nx, ny) = cell, heatmap.shape
    steps = np.arange(-radius, radius + 1)
    bump = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * ((2 * radius + 1) / 6) ** 2)).astype(np.float32)
    left, right, low, high = min(x, radius), min(nx - 1 - x, radius), min(y, radius), min(ny - 1 - y, radius)
    target = heatmap[x - left : x + right + 1, y - low : y + high + 1]
    np.maximum(target, bump[radius - left : radius + right + 1, radius - low : radius + high + 1], out=target)


def _clear(region: np.ndarray, centre: np.ndarray, reach: float, config: LearnedConfig) -> None:
    radius = int(np.ceil(reach / config.grid.cell))
    x, y = cells_of(centre[None], config)[0]
    region[max(0, x - radius) : x + radius + 1, max(0, y - radius) : y + radius + 1] = 0.0
