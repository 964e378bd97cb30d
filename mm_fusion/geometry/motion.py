"""Ego motion applied: twists to transforms, clouds deskewed, Doppler over ground."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from mm_fusion.geometry.transforms import checked_points, rigid
from mm_fusion.measurements import EgoMotion, Float32, Float64

SERIES_ANGLE = 0.5
"""Turn in rad up to which the series in `_deskew` is exact to 1e-11, so that its loop needs no sine."""


def exp_twist(linear: ArrayLike, angular: ArrayLike, seconds: float) -> Float64:
    """exp([v, w] * seconds): base_start_from_base_end (4, 4) of a body that keeps the twist v m/s, w rad/s.

    Source: Murray, Li, Sastry 1994, A Mathematical Introduction to Robotic Manipulation, eq. 2.36.
    """
    shift = np.asarray(linear, np.float64) * seconds
    turn = np.asarray(angular, np.float64) * seconds
    angle = float(np.sqrt(turn @ turn))
    skew = _skew(turn)
    if angle < 1e-4:
        # The next terms are below angle**4, under the rounding of a double.
        a, b, c = 1 - angle**2 / 6, 0.5 - angle**2 / 24, 1 / 6 - angle**2 / 120
    else:
        a, b = np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2
        c = (1 - a) / angle**2
    square = skew @ skew
    return rigid(np.eye(3) + a * skew + b * square, (np.eye(3) + b * skew + c * square) @ shift)


def log_twist(start_from_end: Float64, seconds: float) -> tuple[Float64, Float64]:
    """The twist, linear (3,) m/s and angular (3,) rad/s, of a motion in `seconds`: undoes `exp_twist`."""
    rotation = start_from_end[:3, :3]
    axis = 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine, cosine = float(np.sqrt(axis @ axis)), 0.5 * (float(np.trace(rotation)) - 1)
    angle = float(np.arctan2(sine, cosine))
    turn = axis * (1 + angle**2 / 6 if angle < 1e-4 else angle / max(sine, 1e-12))
    skew = _skew(turn)
    if angle < 1e-4:
        tail = 1 / 12
    else:
        half = 0.5 * angle
        tail = (1 - half / np.tan(half)) / angle**2
    shift = (np.eye(3) - 0.5 * skew + tail * (skew @ skew)) @ start_from_end[:3, 3]
    return shift / seconds, turn / seconds


def base_ref_from_base(ego: EgoMotion, t_ns: int, ref_ns: int) -> Float64:
    """The (4, 4) that carries the static world as `base_link` saw it at `t_ns` to `base_link` at `ref_ns`.

    exp([v, w] * (t - t_ref)): at 10 m/s a point 20 m ahead, measured 0.1 s before the reference, lies at 19
    m.
    """
    return exp_twist(ego.linear_velocity, ego.angular_velocity, (t_ns - ref_ns) * 1e-9)


def deskew(xyz_base: Float32, time_ns_from_ref: np.ndarray, ego: EgoMotion) -> Float32:
    """Points (N, 3) f32 moved to where `base_link` at the reference time sees them, each by its own time.

    time_ns_from_ref: (N,) integers, negative before the reference. Only right for what stands still.
    """
    xyz = checked_points(np.asarray(xyz_base, np.float32))
    seconds = np.asarray(time_ns_from_ref) * 1e-9
    if seconds.shape != (len(xyz),):
        raise ValueError(f"deskew: expected one time per point, got {seconds.shape} for {len(xyz)} points")
    rate = float(np.linalg.norm(ego.angular_velocity))
    axis = ego.angular_velocity / rate if rate > 1e-9 else np.zeros(3)
    longest = float(np.abs(seconds).max(initial=0.0))
    kernel = _deskew_series if rate * longest < SERIES_ANGLE else _deskew_exact
    out: Float32 = kernel(xyz, seconds, ego.linear_velocity, axis, rate)
    return out


def twist_matrix(ego: EgoMotion) -> Float64:
    """[v, w] as a (4, 4) matrix, whose exponential is the motion of one second."""
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3] = _skew(ego.angular_velocity), ego.linear_velocity
    return matrix


def velocity_at(ego: EgoMotion, position_base: ArrayLike) -> Float64:
    """v + w x r: the velocity (3,) over ground, in base axes, of what is bolted on at `position_base`."""
    x, y, z = np.asarray(position_base, np.float64)
    wx, wy, wz = ego.angular_velocity
    # np.cross spends twenty times as long on finding out what it was given
    return ego.linear_velocity + np.array([wy * z - wz * y, wz * x - wx * z, wx * y - wy * x])


def wrap_velocity(velocity: ArrayLike, ambiguity_mps: float | None) -> np.ndarray:
    """Velocities in [-A/2, A/2) of the full interval A, dtype kept; unchanged where it is None."""
    v = np.asarray(velocity)
    if not np.issubdtype(v.dtype, np.floating):
        v = v.astype(np.float64)
    if ambiguity_mps is None:
        return v
    wrapped = np.mod(v + v.dtype.type(ambiguity_mps / 2), v.dtype.type(ambiguity_mps)) - v.dtype.type(
        ambiguity_mps / 2
    )
    # Just below a multiple of A the modulo rounds up to A itself.
    return np.where(wrapped >= ambiguity_mps / 2, -ambiguity_mps / 2, wrapped).astype(v.dtype)


def rays_of(xyz_sensor: np.ndarray, base_from_sensor: Float64) -> Float64:
    """Unit rays (N, 3) from the sensor in base axes; zeros for a return at the sensor itself."""
    xyz = np.asarray(xyz_sensor, np.float64)
    ranges = np.linalg.norm(xyz, axis=1, keepdims=True)
    units = np.divide(xyz, ranges, out=np.zeros_like(xyz), where=ranges != 0)
    rays: Float64 = units @ base_from_sensor[:3, :3].T
    return rays


def ground_radial_velocity(
    xyz_sensor: np.ndarray,
    radial_velocity: np.ndarray,
    base_from_radar: Float64,
    ego: EgoMotion,
    ambiguity_mps: float | None,
) -> Float32:
    """Radial velocities over ground (N,) f32, receding positive: wrap(v_raw + (v + w x r_sensor) . u).

    Known modulo the interval: away from zero proves moving, zero does not prove standing. `ego` must be the
    twist at the scan's time; a scan that its driver compensated is not passed here.
    """
    sensor_velocity = velocity_at(ego, base_from_radar[:3, 3])
    over_ground = radial_velocity + rays_of(xyz_sensor, base_from_radar) @ sensor_velocity
    return wrap_velocity(over_ground, ambiguity_mps).astype(np.float32)


def _skew(w: Float64) -> Float64:
    return np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])


@njit(cache=True, nogil=True)
def _deskew_series(xyz: Float32, seconds: Float64, v: Float64, n: Float64, rate: float) -> Float32:
    out = np.empty_like(xyz)
    # n x v and n x (n x v), once
    ax, ay, az = n[1] * v[2] - n[2] * v[1], n[2] * v[0] - n[0] * v[2], n[0] * v[1] - n[1] * v[0]
    bx, by, bz = n[1] * az - n[2] * ay, n[2] * ax - n[0] * az, n[0] * ay - n[1] * ax
    for i in range(len(xyz)):
        t = seconds[i]
        q = rate * t
        s = q * q
        sin = q * (1 - s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72))))
        vers = 0.5 * s * (1 - s / 12 * (1 - s / 30 * (1 - s / 56 * (1 - s / 90))))
        half = 0.5 * q * (1 - s / 12 * (1 - s / 30 * (1 - s / 56 * (1 - s / 90))))  # (1 - cos q) / q
        third = s / 6 * (1 - s / 20 * (1 - s / 42 * (1 - s / 72)))  # 1 - sin q / q
        x, y, z = np.float64(xyz[i, 0]), np.float64(xyz[i, 1]), np.float64(xyz[i, 2])
        cx, cy, cz = n[1] * z - n[2] * y, n[2] * x - n[0] * z, n[0] * y - n[1] * x
        dx, dy, dz = n[1] * cz - n[2] * cy, n[2] * cx - n[0] * cz, n[0] * cy - n[1] * cx
        out[i, 0] = x + sin * cx + vers * dx + t * (v[0] + half * ax + third * bx)
        out[i, 1] = y + sin * cy + vers * dy + t * (v[1] + half * ay + third * by)
        out[i, 2] = z + sin * cz + vers * dz + t * (v[2] + half * az + third * bz)
    return out


@njit(cache=True, nogil=True)
def _deskew_exact(xyz: Float32, seconds: Float64, v: Float64, n: Float64, rate: float) -> Float32:
    out = np.empty_like(xyz)
    ax, ay, az = n[1] * v[2] - n[2] * v[1], n[2] * v[0] - n[0] * v[2], n[0] * v[1] - n[1] * v[0]
    bx, by, bz = n[1] * az - n[2] * ay, n[2] * ax - n[0] * az, n[0] * ay - n[1] * ax
    for i in range(len(xyz)):
        t = seconds[i]
        q = rate * t
        sin, vers = np.sin(q), 1 - np.cos(q)
        half = vers / q if abs(q) > 1e-6 else 0.5 * q
        third = 1 - sin / q if abs(q) > 1e-6 else q * q / 6
        x, y, z = np.float64(xyz[i, 0]), np.float64(xyz[i, 1]), np.float64(xyz[i, 2])
        cx, cy, cz = n[1] * z - n[2] * y, n[2] * x - n[0] * z, n[0] * y - n[1] * x
        dx, dy, dz = n[1] * cz - n[2] * cy, n[2] * cx - n[0] * cz, n[0] * cy - n[1] * cx
        out[i, 0] = x + sin * cx + vers * dx + t * (v[0] + half * ax + third * bx)
        out[i, 1] = y + sin * cy + vers * dy + t * (v[1] + half * ay + third * by)
        out[i, 2] = z + sin * cz + vers * dz + t * (v[2] + half * az + third * bz)
    return out
