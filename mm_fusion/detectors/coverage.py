"""Where a sensor would have seen an object: field of view, range, health and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mm_fusion.detections import UNKNOWN_CLASS_ID, Detections
from mm_fusion.frame import Frame, SensorHealth
from mm_fusion.measurements import Float64

SECTORS = 360
"""Azimuth sectors of one degree in which returns and what hides others are kept."""


def health_at(health: SensorHealth | None, azimuth: Float64) -> Float64:
    """The healthy share (N,) of a sensor in directions `azimuth` (N,) rad around it, in `base_link` axes."""
    if health is None or not len(health.sector_coverage):
        return np.ones(len(azimuth))
    count = len(health.sector_coverage)
    sector = np.floor((azimuth + np.pi) / (2 * np.pi) * count).astype(np.int64) % count
    return health.sector_coverage[sector].astype(np.float64)


def best_health(frame: Frame, names: Iterable[str], xy: Float64) -> Float64:
    """The best health (N,) of several sensors of a kind towards places xy (N, 2); 0 with none available."""
    best = np.zeros(len(xy))
    for name in names:
        if not frame.available.get(name, True):
            continue
        offset = xy - frame.calibration.base_from_sensor[name][:2, 3]
        best = np.maximum(best, health_at(frame.health.get(name), np.arctan2(offset[:, 1], offset[:, 0])))
    return best


class Sectors:
    """What returns themselves tell: which directions are seen, how densely, and what hides others."""

    def __init__(self, xyz: np.ndarray, origin_xy: np.ndarray, spread: int = 2) -> None:
        """xyz: (N, 3) of every return; a sector counts as seen within `spread` sectors of a return."""
        self._origin = np.asarray(origin_xy, np.float64)
        offset = xyz[:, :2].astype(np.float64) - self._origin
        azimuth = np.arctan2(offset[:, 1], offset[:, 0])
        counts = np.bincount(sector_of(azimuth), minlength=SECTORS)
        window = np.arange(-spread, spread + 1)
        around = (np.arange(SECTORS)[:, None] + window) % SECTORS
        self._seen = counts[around].sum(axis=1) > 0
        self._nearest = np.full(SECTORS, np.inf)
        self._density = _returns_per_steradian(xyz, offset, int(self._seen.sum()))
        self.reach = float(np.quantile(np.hypot(offset[:, 0], offset[:, 1]), 0.995)) if len(xyz) else 0.0

    def hide_behind(self, xyz: np.ndarray) -> None:
        """Take what lies behind these points (N, 3) as hidden."""
        offset = xyz[:, :2].astype(np.float64) - self._origin
        sector = sector_of(np.arctan2(offset[:, 1], offset[:, 0]))
        np.minimum.at(self._nearest, sector, np.hypot(offset[:, 0], offset[:, 1]))

    def azimuth(self, xy: Float64) -> Float64:
        """Directions (N,) rad of places (N, 2)."""
        return np.arctan2(xy[:, 1] - self._origin[1], xy[:, 0] - self._origin[0])

    def open_share(self, detections: Detections) -> Float64:
        """Share (N,) of each object's width that is in seen directions with nothing nearer in front."""
        offset = detections.center[:, :2].astype(np.float64) - self._origin
        distance = np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 0.5)
        half = np.hypot(detections.size[:, 0], detections.size[:, 1]).astype(np.float64) / 2
        # the middle half of the object, in five places
        places = np.linspace(-0.5, 0.5, 5)[None, :] * np.arctan2(half, distance)[:, None]
        sector = sector_of(np.arctan2(offset[:, 1], offset[:, 0])[:, None] + places)
        free = self._nearest[sector] > (distance - half)[:, None] - 0.5
        return (self._seen[sector] & free).mean(axis=1)

    def expected_returns(self, detections: Detections) -> Float64:
        """How many returns (N,) an object of that size and range would give, seen openly."""
        distance = np.maximum(np.hypot(*(detections.center[:, :2] - self._origin).T), 1.0)
        face = np.sqrt(detections.size[:, 0] * detections.size[:, 1]) * detections.size[:, 2]
        return (self._density * face / distance**2).astype(np.float64)


def lidar_coverage(frame: Frame, names: Iterable[str], sectors: Sectors, detections: Detections) -> Float64:
    """Chance (N,) that the LiDARs together give enough points to find each object."""
    xy = detections.center[:, :2].astype(np.float64)
    enough = 1 - np.exp(-sectors.expected_returns(detections) / 12.0)
    return 0.9 * best_health(frame, names, xy) * sectors.open_share(detections) * enough


def radar_coverage(frame: Frame, names: Iterable[str], sectors: Sectors, detections: Detections) -> Float64:
    """Chance (N,) that the radars together see each object: low for small ones."""
    xy = detections.center[:, :2].astype(np.float64)
    offset = np.hypot(xy[:, 0], xy[:, 1])
    large = np.clip(detections.size[:, 0] * detections.size[:, 2] / 6.0, 0, 1)
    chance = 0.5 * large * (offset < sectors.reach)
    return chance * best_health(frame, names, xy) * sectors.open_share(detections)


def camera_coverage(frame: Frame, name: str, inside: NDArray[np.bool_], detections: Detections) -> Float64:
    """Chance (N,) that a 2D detector names each object that is `inside` its image (N,)."""
    xy = detections.center[:, :2].astype(np.float64)
    named = np.where(detections.class_id == UNKNOWN_CLASS_ID, 0.0, 0.6)
    near = np.exp(-np.hypot(xy[:, 0], xy[:, 1]) / 80.0)
    return named * near * inside * best_health(frame, [name], xy)


def sector_of(azimuth: Float64) -> NDArray[np.int64]:
    """Sector indices of directions in rad."""
    return np.floor((azimuth + np.pi) / (2 * np.pi) * SECTORS).astype(np.int64) % SECTORS


def _returns_per_steradian(xyz: np.ndarray, offset: Float64, seen: int) -> float:
    if len(xyz) < 10:
        return 0.0
    elevation = np.arctan2(
        xyz[:, 2] - np.median(xyz[:, 2]), np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 0.5)
    )
    low, high = np.quantile(elevation, [0.02, 0.98])
    return len(xyz) / max((high - low) * seen * 2 * np.pi / SECTORS, 1e-3)
