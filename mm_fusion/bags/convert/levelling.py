"""Where the ground lies under a recorded car, so that `base_link` is level and stands on it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mm_fusion.geometry.ground import fit_ground

NEAR_M, FAR_M = 3.0, 40.0
"""Returns of the car itself lie nearer; farther, a low LiDAR sees little ground and much else."""


def base_from_plane(slope_x: float, slope_y: float, height: float) -> NDArray[np.float64]:
    """(4, 4) base_from_reference for ground at z = slope_x x + slope_y y + height in the reference frame.

    Base is level, its origin on the ground under the reference's origin, its x axis over the reference's.
    """
    up = np.array([-slope_x, -slope_y, 1.0])
    up /= np.linalg.norm(up)
    forward = np.array([1.0, 0.0, 0.0]) - up[0] * up
    forward /= np.linalg.norm(forward)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([forward, np.cross(up, forward), up])
    matrix[2, 3] = -height * up[2]  # distance of the reference's origin from the plane
    return matrix


def plane_under(clouds: Iterable[NDArray[np.floating]]) -> tuple[float, float, float] | None:
    """(slope_x, slope_y, height) of the ground z = slope_x x + slope_y y + height: the median over `clouds`.

    clouds: (N, 3) points in one frame whose z points roughly up. None where no cloud shows ground.
    """
    planes = [plane for plane in map(_plane_of, clouds) if plane is not None]
    if not planes:
        return None
    slope_x, slope_y, height = np.median(planes, axis=0)
    return float(slope_x), float(slope_y), float(height)


def _plane_of(cloud: NDArray[np.floating]) -> tuple[float, float, float] | None:
    distance = np.hypot(cloud[:, 0], cloud[:, 1])
    near = cloud[(distance > NEAR_M) & (distance < FAR_M)]
    plane = fit_ground(near.astype(np.float64)) if len(near) >= 50 else None
    if plane is None:
        return None
    a, b, c = plane.normal
    return -a / c, -b / c, -plane.offset / c
