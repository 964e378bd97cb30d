"""Rigid transforms as (4, 4) float64 matrices named `dst_from_src`, quaternions as x y z w."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import Float64

T = TypeVar("T", np.float32, np.float64)


def rigid(rotation: ArrayLike, translation: ArrayLike) -> Float64:
    """The (4, 4) transform with this rotation (3, 3) and translation (3,)."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix


def from_quaternion(xyzw: ArrayLike, translation: ArrayLike = (0.0, 0.0, 0.0)) -> Float64:
    """The (4, 4) transform of a quaternion x y z w (normalised here) and a translation.

    Raises `MeasurementError` for a quaternion that is not finite or has no length.
    """
    quaternion = np.array(xyzw, np.float64).reshape(4)
    offset = np.array(translation, np.float64).reshape(3)
    norm = float(np.sqrt(quaternion @ quaternion))
    if not (np.isfinite(norm) and norm > 1e-6 and np.isfinite(offset).all()):
        raise MeasurementError(
            f"transform: expected a finite translation and a unit quaternion x y z w, got {offset.tolist()} "
            f"and {quaternion.tolist()}; was the message filled in?"
        )
    return _matrix_of(quaternion / norm, offset)


def to_quaternion(matrix: Float64) -> Float64:
    """The unit quaternion x y z w with w >= 0 of the rotation in a (4, 4) or (3, 3) matrix."""
    return _quaternion_of(np.ascontiguousarray(matrix, np.float64))


def from_rpy_deg(rpy_deg: Sequence[float], xyz: Sequence[float] = (0.0, 0.0, 0.0)) -> Float64:
    """The (4, 4) transform of roll, pitch, yaw in degrees (fixed axes, as in URDF) and a translation."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(np.radians(rpy_deg)), np.sin(np.radians(rpy_deg))
    rotation = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return rigid(rotation, xyz)


def yaw_of(matrix: Float64) -> float:
    """The turn about z of a transform, counter-clockwise in (-pi, pi]."""
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))


def inverse(matrix: Float64) -> Float64:
    """src_from_dst of a rigid dst_from_src, by transposing the rotation."""
    return _inverse(np.ascontiguousarray(matrix, np.float64))


def transform_points(dst_from_src: Float64, xyz: NDArray[T]) -> NDArray[T]:
    """Points (N, 3) in the destination frame, dtype kept; a row that is not finite stays so, alone."""
    matrix = np.ascontiguousarray(dst_from_src, np.float64)
    return _transform_points(matrix, checked_points(xyz))


def checked_points(xyz: NDArray[T]) -> NDArray[T]:
    """The same points (N, 3) in one piece of memory; `ValueError` for a shape that a loop would overrun."""
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"points: expected (N, 3), got {xyz.shape}")
    return np.ascontiguousarray(xyz)


def interpolate(a: Float64, b: Float64, fraction: float) -> Float64:
    """The transform at `fraction` of the way from `a` to `b`: slerp of rotation, straight translation."""
    return _interpolate(
        np.ascontiguousarray(a, np.float64), np.ascontiguousarray(b, np.float64), float(fraction)
    )


def wrap_angle(angle: ArrayLike) -> Float64:
    """Angles brought to (-pi, pi]."""
    wrapped = np.asarray(-np.mod(np.pi - np.asarray(angle, np.float64), 2 * np.pi) + np.pi)
    return np.where(wrapped <= -np.pi, np.pi, wrapped)[()]


@njit(cache=True)
def _matrix_of(q: Float64, translation: Float64) -> Float64:
    x, y, z, w = q[0], q[1], q[2], q[3]
    m = np.zeros((4, 4))
    m[0, 0], m[0, 1], m[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)
    m[1, 0], m[1, 1], m[1, 2] = 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)
    m[2, 0], m[2, 1], m[2, 2] = 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
    m[0, 3], m[1, 3], m[2, 3], m[3, 3] = translation[0], translation[1], translation[2], 1.0
    return m


@njit(cache=True)
def _quaternion_of(m: Float64) -> Float64:
    # Shepperd 1978: divide by the largest of the four components, so that none is lost to rounding.
    q = np.empty(4)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    if trace >= m[0, 0] and trace >= m[1, 1] and trace >= m[2, 2]:
        q[0], q[1], q[2], q[3] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + trace
    elif m[0, 0] >= m[1, 1] and m[0, 0] >= m[2, 2]:
        q[0], q[1], q[2] = 1 + m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0]
        q[3] = m[2, 1] - m[1, 2]
    elif m[1, 1] >= m[2, 2]:
        q[0], q[1], q[2] = m[1, 0] + m[0, 1], 1 - m[0, 0] + m[1, 1] - m[2, 2], m[2, 1] + m[1, 2]
        q[3] = m[0, 2] - m[2, 0]
    else:
        q[0], q[1], q[2] = m[0, 2] + m[2, 0], m[2, 1] + m[1, 2], 1 - m[0, 0] - m[1, 1] + m[2, 2]
        q[3] = m[1, 0] - m[0, 1]
    norm = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    return q / (norm if q[3] >= 0 else -norm)


@njit(cache=True)
def _interpolate(a: Float64, b: Float64, fraction: float) -> Float64:
    p, q = _quaternion_of(a), _quaternion_of(b)
    dot = p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3]
    if dot < 0:
        q, dot = -q, -dot
    if dot > 0.9999999:
        mixed = p + fraction * (q - p)
    else:
        angle = np.arccos(dot)
        mixed = (np.sin((1 - fraction) * angle) * p + np.sin(fraction * angle) * q) / np.sin(angle)
    mixed /= np.sqrt(np.sum(mixed * mixed))
    return _matrix_of(mixed, a[:3, 3] + fraction * (b[:3, 3] - a[:3, 3]))


@njit(cache=True)
def _inverse(m: Float64) -> Float64:
    out = np.zeros((4, 4))
    for i in range(3):
        for j in range(3):
            out[i, j] = m[j, i]
            out[i, 3] -= m[j, i] * m[j, 3]
    out[3, 3] = 1.0
    return out


@njit(cache=True, nogil=True)
def _transform_points(m: Float64, xyz: np.ndarray) -> np.ndarray:
    out = np.empty_like(xyz)
    for i in range(len(xyz)):
        x, y, z = np.float64(xyz[i, 0]), np.float64(xyz[i, 1]), np.float64(xyz[i, 2])
        out[i, 0] = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
        out[i, 1] = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
        out[i, 2] = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
    return out
