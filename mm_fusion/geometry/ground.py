"""The ground: one plane for calibration, a polar grid of heights for splitting ground from objects.

Points are in a frame whose z is roughly up (`base_link`, or a LiDAR's axes for the plane).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mm_fusion.geometry.ground_kernels import (
    cell_minima,
    ground_table,
    lowest_by_sector,
    point_heights,
    robust_plane,
    table_heights,
)
from mm_fusion.geometry.transforms import checked_points
from mm_fusion.measurements import Float32, Float64

CELL_M = 2.0
"""Side of the cells whose low points vote for the plane: larger than a car is wide, smaller than a road."""
PLANE_RANGE_M = 50.0
MIN_CELLS, MIN_SHARE = 12, 0.08
"""Cells, and share of all cells, whose low point must lie on the plane."""
MAX_TILT_DEG, MAX_ROAD_TILT_DEG = 20.0, 8.0
PLANE_BAND_M = 0.15
SECTORS = 180
"""Sectors of the polar grid: 2 degrees hold 10 firings of a spinning LiDAR."""
BINS = 64
NEAREST_M, FARTHEST_M = 1.0, 120.0
GROUND_BAND_M = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The plane normal . p + offset = 0 with its unit normal (3,) upwards; `height` is positive above it."""

    normal: Float64
    offset: float

    def height(self, xyz: np.ndarray) -> Float64:
        """Signed distance (N,) m of points (N, 3) above the plane."""
        heights: Float64 = np.asarray(xyz, np.float64) @ self.normal + self.offset
        return heights

    @property
    def tilt_deg(self) -> float:
        """Angle between the plane's normal and the z axis."""
        return float(np.degrees(np.arccos(np.clip(self.normal[2], -1.0, 1.0))))


def fit_ground(
    xyz: np.ndarray, range_m: float = PLANE_RANGE_M, max_tilt_deg: float = MAX_TILT_DEG
) -> Plane | None:
    """The plane under a cloud (N, 3) in roughly upright axes; None where too little of it is flat.

    Low points of a square grid vote (walls, cars and trees hold few of them), a plane with much below it
    loses, and the points near the winner are fitted by reweighted least squares. Repeatable: no random draws.
    """
    xyz = checked_points(np.asarray(xyz, np.float64))
    low = cell_minima(xyz, CELL_M, range_m)
    if len(low) < MIN_CELLS:
        return None
    limit = float(np.cos(np.radians(max_tilt_deg)))
    normal, offset, votes = robust_plane(xyz, low, limit, PLANE_BAND_M, range_m)
    if votes < max(MIN_CELLS, MIN_SHARE * len(low)):
        return None
    return Plane(normal, float(offset))


def segment_ground(xyz_base: np.ndarray, band_m: float = GROUND_BAND_M) -> tuple[NDArray[np.bool_], Float32]:
    """Which points (N, 3) are ground, (N,), and their height above it (N,) f32; NaN height for points not
    finite.

    For 16 to 128 beams. Over the cloud's own plane (z = 0 where none is found) the lowest points of a polar
    grid are followed outwards in each sector, with a step allowed that grows with distance; what stands
    higher is an object, what lies far lower a mirror image.
    """
    xyz = checked_points(np.asarray(xyz_base, np.float32))
    heights = point_heights(xyz, *_model_of(xyz), NEAREST_M, FARTHEST_M)
    with np.errstate(invalid="ignore"):
        return heights < band_m, heights


def ground_height(xyz_base: np.ndarray, at_xy: np.ndarray) -> Float64:
    """Height z (M,) of the ground at places (M, 2), from a cloud (N, 3) in `base_link`."""
    xyz = checked_points(np.asarray(xyz_base, np.float32))
    places = np.ascontiguousarray(at_xy, np.float64).reshape(-1, 2)
    return table_heights(places, *_model_of(xyz), NEAREST_M, FARTHEST_M)


def _model_of(xyz: Float32) -> tuple[Float64, Float64]:
    """The plane z = a x + b y + c as (a, b, c), and the table of heights over it."""
    plane = fit_ground(xyz, max_tilt_deg=MAX_ROAD_TILT_DEG)
    level = np.zeros(3)
    if plane is not None:
        level = np.array([-plane.normal[0], -plane.normal[1], -plane.offset]) / plane.normal[2]
    lowest, ranges = lowest_by_sector(xyz, level, SECTORS, BINS, NEAREST_M, FARTHEST_M)
    return level, ground_table(lowest, ranges, NEAREST_M, FARTHEST_M)
