"""Camera models: points to pixels and back, in camera optical axes (z forward, x right, y down).

Pixel (0, 0) is the middle of the first pixel, so the image reaches from -0.5 to width - 0.5. As in OpenCV,
skew (`matrix[0, 1]`) is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry import camera_kernels as kernels
from mm_fusion.geometry.camera_kernels import LENS_SIZE, RUN, project_cameras, project_points, rays_of_pixels
from mm_fusion.geometry.transforms import checked_points
from mm_fusion.measurements import CameraModel, Float32, Float64

CONE_MARGIN = 0.02
"""Widening of the view cone for early rejection, against float32 and a border looked at in 64 places."""
_WIDEST_ANGLE = np.pi
_COEFFICIENTS = {"plumb_bob": (0, 4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (0, 4)}


def project(model: CameraModel, xyz_camera: ArrayLike) -> tuple[Float64, NDArray[np.bool_]]:
    """Pixels (N, 2) float64 of points (N, 3) m, and an (N,) mask of those inside the image.

    Points behind the camera or beyond the model's valid radius, where the polynomial would fold them back
    into the image, have NaN pixels; a fisheye may see behind its image plane. Source: OpenCV's calib3d
    (Brown-Conrady, rational, thin prism) and fisheye (Kannala-Brandt).
    """
    xyz = np.ascontiguousarray(xyz_camera, np.float64).reshape(-1, 3)
    return project_points(xyz, lens_of(model))


def project_many(
    xyz_base: Float32, models: Sequence[CameraModel], camera_from_base: ArrayLike
) -> tuple[Float32, NDArray[np.bool_]]:
    """Pixels (C, N, 2) f32, NaN where not visible, and visible (C, N), of points (N, 3) f32 in C cameras.

    camera_from_base: (C, 4, 4). One thread on purpose: about a millisecond of work, beside decoding and
    inference that need the other cores; most points are rejected by each camera's view cone before any
    distortion.
    """
    matrices = np.ascontiguousarray(camera_from_base, np.float64).reshape(-1, 4, 4)
    if len(matrices) != len(models):
        raise ValueError(
            f"project_many: expected one transform per camera, got {len(matrices)} for {len(models)}"
        )
    lenses = np.array([lens_of(model) for model in models]).reshape(-1, LENS_SIZE)
    cones = np.array([_cone(*_key(model)) for model in models], np.float32).reshape(-1, 5)
    return project_cameras(checked_points(np.asarray(xyz_base, np.float32)), matrices, lenses, cones)


@dataclass(frozen=True, slots=True, eq=False)
class Shutter:
    """How a camera's rows are read one after the other; a global shutter has `row_s` 0.

    row_s: seconds from row to row. middle_row: the row read at the camera's own time. longest_s: longest time
    from it, either way. velocity: (3, 4), m/s in camera axes of a point x y z 1 that stands still in the
    world.
    """

    row_s: float = 0.0
    middle_row: float = 0.0
    longest_s: float = 0.0
    velocity: Float64 = field(default_factory=lambda: np.zeros((3, 4)))


class FixedPoints:
    """Points that many frames look up in their cameras, with what is known of them beforehand.

    xyz: (N, 3) f32 m; neighbours in number should be neighbours in space. Keeps working memory: one object
    belongs to one thread.
    """

    def __init__(self, xyz: Float32) -> None:
        self.rows = np.ascontiguousarray(checked_points(xyz).T)
        self.runs = np.array([_ball(xyz[at : at + RUN]) for at in range(0, len(xyz), RUN)]).reshape(-1, 4)
        self._views: dict[int, CentralViews] = {}

    def views(self, keep: int) -> CentralViews:
        """Room for `keep` views of each point, the same with each call."""
        if keep not in self._views:
            shape = (self.rows.shape[1], keep)
            self._views[keep] = CentralViews(
                np.zeros(shape, np.int8),
                np.zeros((*shape, 2), np.float32),
                np.full(shape, -1, np.float32),
                np.zeros(shape),
            )
        return self._views[keep]


class CentralViews(NamedTuple):
    """Views of N points, best first; meaningless where `inner` is -1.

    camera: (N, K) int8. pixels: (N, K, 2) f32. inner: (N, K) f32, distance from the image's border as a share
    of its size, -1 for none. square: (N, K) f64, of the distance from the camera, m^2.
    """

    camera: NDArray[np.int8]
    pixels: Float32
    inner: Float32
    square: Float64


def _ball(xyz: Float32) -> Float64:
    """Middle and radius of a ball around points, with room for rounding."""
    middle = (xyz.min(axis=0).astype(np.float64) + xyz.max(axis=0)) / 2
    return np.array([*middle, np.linalg.norm(xyz - middle, axis=1).max() * (1 + 1e-6) + 1e-6])


def central_views(
    points: FixedPoints,
    models: Sequence[CameraModel],
    camera_from_base: ArrayLike,
    shutters: Sequence[Shutter],
    keep: int = 1,
) -> CentralViews:
    """Of the cameras that see each point, the `keep` whose image border is farthest from it.

    camera_from_base: (C, 4, 4), at each camera's own time; where it reads row after row, each point is looked
    up at the time of its row: projected, moved by that time, projected again. The arrays are those of
    `points`, and hold until the next call.
    """
    matrices = np.ascontiguousarray(camera_from_base, np.float64).reshape(-1, 4, 4)
    lenses = np.array([lens_of(model) for model in models]).reshape(-1, LENS_SIZE)
    cones = np.array([_cone(*_key(model)) for model in models], np.float32).reshape(-1, 5)
    motions = np.array([shutter.velocity for shutter in shutters], np.float64).reshape(-1, 3, 4)
    rows = np.array([(s.row_s, s.middle_row, s.longest_s) for s in shutters], np.float64).reshape(-1, 3)
    views = points.views(keep)
    kernels.central_views(points.rows, points.runs, matrices, lenses, cones, motions, rows, *views)
    return views


def unproject(model: CameraModel, pixels: ArrayLike) -> Float64:
    """Unit rays (N, 3) in camera axes of pixels (N, 2); NaN where none within the valid radius ends there."""
    return rays_of_pixels(np.ascontiguousarray(pixels, np.float64).reshape(-1, 2), lens_of(model))


def valid_radius(model: CameraModel) -> float:
    """Undistorted normalised radius hypot(x, y)/z up to which the distortion is monotonic; inf if it always
    is.

    For a fisheye the tangent of the valid angle, inf from 90 degrees on.
    """
    limit = float(lens_of(model)[17])
    if model.distortion_model != "equidistant":
        return limit
    return float(np.tan(limit)) if limit < np.pi / 2 else float("inf")


def scaled(model: CameraModel, width_px: int, height_px: int) -> CameraModel:
    """The same camera after its image was resized, pixel middles kept in place as `cv2.resize` does."""
    x, y = width_px / model.width_px, height_px / model.height_px
    change = np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])
    return replace(model, matrix=change @ model.matrix, width_px=width_px, height_px=height_px)


def lens_of(model: CameraModel) -> Float64:
    """The model as one row of `camera_kernels`; raises `MeasurementError` for an unknown distortion."""
    return _lens(*_key(model))


def _key(model: CameraModel) -> tuple[bytes, bytes, str, int, int]:
    # By content: a camera that sends its CameraInfo with each image must not be looked at anew each time.
    return (
        model.matrix.tobytes(),
        model.distortion.tobytes(),
        model.distortion_model,
        model.width_px,
        model.height_px,
    )


@lru_cache(maxsize=64)
def _lens(matrix: bytes, distortion: bytes, kind: str, width_px: int, height_px: int) -> Float64:
    k, d = np.frombuffer(matrix).reshape(3, 3), np.frombuffer(distortion)
    if len(d) not in _COEFFICIENTS[kind] or d[12:].any():
        wanted = " or ".join(map(str, _COEFFICIENTS[kind]))
        raise MeasurementError(
            f"CameraModel.distortion: {kind} expects {wanted} coefficients (no tilt), got {d.tolist()}"
        )
    lens = np.zeros(LENS_SIZE)
    lens[:4] = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
    lens[4 : 4 + len(d[:12])] = d[:12]
    fisheye = kind == "equidistant"
    lens[16:] = (
        fisheye,
        _angle_limit(lens[4:8]) if fisheye else _radius_limit(lens[4:12]),
        width_px,
        height_px,
    )
    return lens


def _radius_limit(coefficients: Float64) -> float:
    k1, k2, _, _, k3, k4, k5, k6 = coefficients
    above, below = Polynomial([1, k1, k2, k3]), Polynomial([1, k4, k5, k6])
    # d/dr of r N(s)/D(s) with s = r^2 is (N D + 2 s (N' D - N D')) / D^2
    slope = above * below + 2 * Polynomial([0, 1]) * (above.deriv() * below - above * below.deriv())
    return float(np.sqrt(min(_first_positive_root(slope), _first_positive_root(below))))


def _angle_limit(coefficients: Float64) -> float:
    k1, k2, k3, k4 = coefficients
    slope = Polynomial([1, 3 * k1, 5 * k2, 7 * k3, 9 * k4])
    return min(float(np.sqrt(_first_positive_root(slope))), _WIDEST_ANGLE)


def _first_positive_root(polynomial: Polynomial) -> float:
    roots = polynomial.trim().roots()
    real = roots.real[np.abs(roots.imag) < 1e-9 * np.maximum(1, np.abs(roots))]
    return float(min(real[real > 0], default=np.inf))


@lru_cache(maxsize=64)
def _cone(matrix: bytes, distortion: bytes, kind: str, width_px: int, height_px: int) -> tuple[float, ...]:
    # Bounds of x/z, y/z and the cosine from the axis of everything in the image, from rays through its
    # border.
    lens = _lens(matrix, distortion, kind, width_px, height_px)
    rays = rays_of_pixels(_border(width_px, height_px), lens)
    limit = float(lens[17])
    if kind == "equidistant":
        angles = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
        widest = limit if np.isnan(angles).any() else min(limit, angles.max() * (1 + CONE_MARGIN))
        return -np.inf, np.inf, -np.inf, np.inf, float(np.cos(widest)) - 1e-5
    bounds = []
    for axis in (0, 1):
        side = rays[:, axis] / rays[:, 2]
        margin = CONE_MARGIN * max(np.ptp(side), 1e-3)
        low, high = side.min() - margin, side.max() + margin
        # A border that no ray reaches says nothing: there the valid radius is the bound.
        bounds += [-limit, limit] if np.isnan(side).any() else [max(low, -limit), min(high, limit)]
    # float32 has no room for bounds times depth beyond this; it is 89.9999 degrees.
    return (*np.clip(bounds, -1e6, 1e6).tolist(), 0.0)


def _border(width_px: int, height_px: int) -> Float64:
    across, down = np.linspace(-0.5, width_px - 0.5, 17), np.linspace(-0.5, height_px - 0.5, 17)
    top, left = np.full(17, -0.5), np.full(17, -0.5)
    sides = [(across, top), (across, top + height_px), (left, down), (left + width_px, down)]
    return np.concatenate([np.column_stack(side) for side in sides])
