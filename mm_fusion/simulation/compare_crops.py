"""Can a small classifier tell simulated crops of cars from real ones? By sensor and range."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.geometry.boxes import corners
from mm_fusion.geometry.transforms import transform_points
from mm_fusion.measurements import Float64
from mm_fusion.simulation.compare_figures import owners, radar_boxes
from mm_fusion.simulation.compare_scenes import CompareScene

BANDS_M = ((5.0, 15.0), (15.0, 30.0), (30.0, 50.0))
CROP_PX = (32, 24)
CELL_PX = 8
ORIENTATIONS = 6
FOLDS = 5
FEWEST = 10
"""Crops of each side below which no classifier is fitted."""
RIDGE = 3.0
STEPS = 30


@dataclass
class Crops:
    """Features of cars by sensor: rows, the distance of each car, and the scene it is from."""

    rows: dict[str, list[Float64]] = field(default_factory=dict)
    distance: dict[str, list[float]] = field(default_factory=dict)
    scene: dict[str, list[int]] = field(default_factory=dict)

    def add(self, sensor: str, row: Float64, distance: float, scene: int) -> None:
        """Append one car."""
        self.rows.setdefault(sensor, []).append(row)
        self.distance.setdefault(sensor, []).append(distance)
        self.scene.setdefault(sensor, []).append(scene)

    def within(self, sensor: str, low_m: float, high_m: float) -> tuple[Float64, NDArray[np.int64]]:
        """(N, F) features and (N,) scenes of the cars between two ranges."""
        distance = np.array(self.distance.get(sensor, []))
        chosen = np.flatnonzero((distance >= low_m) & (distance < high_m))
        rows = [self.rows[sensor][i] for i in chosen]
        return np.array(rows), np.array([self.scene[sensor][i] for i in chosen], np.int64)


def add_crops(crops: Crops, scene: CompareScene, number: int) -> None:
    """Add every car of a scene as each sensor has it."""
    lidar_owner = owners(scene.lidar[:, :3], scene.cars)
    radar_owner = owners(scene.radar[:, :3], radar_boxes(scene.cars))
    for index, box in enumerate(scene.cars):
        distance = float(np.hypot(box[0], box[1]))
        picture = camera_features(scene, box)
        if picture is not None:
            crops.add("camera", picture, distance, number)
        points, returns = scene.lidar[lidar_owner == index], scene.radar[radar_owner == index]
        if len(points) >= 3:
            crops.add("lidar", lidar_features(points, box), distance, number)
        if len(returns) >= 1:
            crops.add("radar", radar_features(returns, box), distance, number)


def camera_features(scene: CompareScene, box: Float64) -> Float64 | None:
    """Colour and oriented edges of a car's crop at one size, None where it is cut by the image's edge."""
    xyz = transform_points(scene.camera_from_base, corners(box[None])[0])
    if (xyz[:, 2] < 1).any():
        return None
    uv = xyz[:, :2] / xyz[:, 2:] * scene.model.matrix[[0, 1], [0, 1]] + scene.model.matrix[:2, 2]
    (left, top), (right, bottom) = uv.min(0).astype(int), np.ceil(uv.max(0)).astype(int)
    height, width = scene.image.shape[:2]
    if left < 0 or top < 0 or right > width or bottom > height or right - left < 12 or bottom - top < 9:
        return None
    crop = cv2.resize(scene.image[top:bottom, left:right], CROP_PX, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength, angle = np.hypot(across, down), np.arctan2(down, across) % np.pi
    bins = np.minimum((angle / np.pi * ORIENTATIONS).astype(int), ORIENTATIONS - 1)
    edges = [
        np.bincount(bins[cell].ravel(), strength[cell].ravel(), ORIENTATIONS) for cell in _cells(grey.shape)
    ]
    colour = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV).reshape(-1, 3)
    return np.concatenate([np.log1p(np.ravel(edges)), colour.mean(0), colour.std(0), [grey.std()]])


def _cells(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    return [
        (slice(y, y + CELL_PX), slice(x, x + CELL_PX))
        for y in range(0, shape[0], CELL_PX)
        for x in range(0, shape[1], CELL_PX)
    ]


def in_box_axes(xyz: NDArray, box: Float64) -> Float64:
    """(N, 3) from -1 to 1 within the box."""
    shift = xyz.astype(np.float64) - box[:3]
    cos, sin = np.cos(box[6]), np.sin(box[6])
    along, across = shift[:, 0] * cos + shift[:, 1] * sin, -shift[:, 0] * sin + shift[:, 1] * cos
    return 2 * np.column_stack([along, across, shift[:, 2]]) / box[3:6]


def lidar_features(points: NDArray, box: Float64) -> Float64:
    """Number, places in the box, how far points lie inside its sides, and intensity."""
    local = in_box_axes(points[:, :3], box)
    depth = 1 - np.abs(local[:, :2]).max(1)
    return np.concatenate(
        [
            [np.log(len(points))],
            np.quantile(local, (0.1, 0.5, 0.9), axis=0).ravel(),
            local.std(0),
            np.quantile(depth, (0.1, 0.5, 0.9)),
            np.quantile(points[:, 3], (0.1, 0.5, 0.9)),
        ]
    )


def radar_features(returns: NDArray, box: Float64) -> Float64:
    """Number, places in the box, spread of Doppler, and strength."""
    local = in_box_axes(returns[:, :3], box)
    turn = np.exp(2j * np.pi * returns[:, 3] / 10.4)
    return np.concatenate(
        [
            [np.log(len(returns)), abs(turn.mean())],
            local.mean(0),
            local.std(0),
            np.quantile(returns[:, 4], (0.0, 0.5, 1.0)),
        ]
    )


def aucs_of(real: Crops, simulated: Crops) -> dict[str, dict[str, tuple[float, int]]]:
    """{sensor: {range: (AUC, crops of the smaller side)}}; 0.5: not told apart, 1: always."""
    found: dict[str, dict[str, tuple[float, int]]] = {}
    for sensor in real.rows:
        for low, high in BANDS_M:
            ours, theirs = real.within(sensor, low, high), simulated.within(sensor, low, high)
            if min(len(ours[0]), len(theirs[0])) >= FEWEST:
                count = min(len(ours[0]), len(theirs[0]))
                found.setdefault(sensor, {})[f"{low:g}-{high:g}"] = (auc_between(*ours, *theirs), count)
    return found


def auc_between(real: Float64, real_scene: NDArray, simulated: Float64, simulated_scene: NDArray) -> float:
    """Area under the curve of a ridge logistic regression, each fifth of the scenes told by the others."""
    rows = np.concatenate([real, simulated])
    label = np.concatenate([np.zeros(len(real)), np.ones(len(simulated))])
    fold = np.concatenate([real_scene, simulated_scene]) % FOLDS
    score = np.zeros(len(rows))
    for held in range(FOLDS):
        known, told = fold != held, fold == held
        if told.any() and 0 < label[known].mean() < 1:
            score[told] = _logistic(rows[known], label[known], rows[told])
    return auc_of(score, label)


def _logistic(rows: Float64, label: Float64, told: Float64) -> Float64:
    """Scores of `told` by Newton's method on balanced, standardised rows."""
    mean, std = rows.mean(0), rows.std(0) + 1e-6
    inputs = np.column_stack([(rows - mean) / std, np.ones(len(rows))])
    weight = np.where(label > 0, 0.5 / label.mean(), 0.5 / (1 - label.mean()))
    penalty = np.full(inputs.shape[1], RIDGE)
    penalty[-1] = 1e-6
    solution = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ solution, -30, 30)))
        slope = inputs.T @ (weight * (chance - label)) + penalty * solution
        curve = (inputs * (weight * chance * (1 - chance))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        solution = solution - step
        if np.abs(step).max() < 1e-6:
            break
    return np.column_stack([(told - mean) / std, np.ones(len(told))]) @ solution


def auc_of(score: Float64, label: Float64) -> float:
    """The chance that a simulated crop scores above a real one."""
    from scipy.stats import rankdata

    positive = label > 0
    count, others = int(positive.sum()), int((~positive).sum())
    if count == 0 or others == 0:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))
