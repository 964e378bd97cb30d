"""Where bodies are at any time: smooth curves through the steps of a traffic simulation."""

from __future__ import annotations

import numpy as np

from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import Float64

STEP_S = 0.05
LEAD_S = 1.0
"""Seconds that a drive is known before its start and after its end: exposures and scans reach over both."""

COLUMNS = ("x", "y", "z", "yaw", "pitch", "roll", "travelled")


class MotionTable:
    """Cubic splines of (N,) bodies' x, y, z, yaw, pitch, roll (fixed axes, rad) and distance travelled.

    knots: (K, N, 7) every `STEP_S` from `-LEAD_S`; velocities are the derivatives of the same curves, so that
    position, velocity and turning agree exactly.
    """

    def __init__(self, knots: Float64) -> None:
        from scipy.interpolate import CubicSpline

        self.count = knots.shape[1]
        times = -LEAD_S + STEP_S * np.arange(len(knots))
        self.start_s, self.end_s = float(times[0]), float(times[-1])
        self._coefficients = np.ascontiguousarray(np.moveaxis(CubicSpline(times, knots).c, 1, 0))

    def state(self, time_s: float) -> tuple[Float64, Float64]:
        """(N, 7) values and (N, 7) rates at a time; `ConfigurationError` outside the drive."""
        if not self.start_s <= time_s <= self.end_s:
            raise ConfigurationError(
                f"drive: known from {self.start_s:g} to {self.end_s:g} s, asked for {time_s:g} s; "
                "make a longer world"
            )
        interval = min(int((time_s - self.start_s) / STEP_S), len(self._coefficients) - 1)
        u = time_s - self.start_s - interval * STEP_S
        a, b, c, d = self._coefficients[interval]
        return ((a * u + b) * u + c) * u + d, (3 * a * u + 2 * b) * u + c


def rotations(state: Float64) -> Float64:
    """(N, 3, 3) world_from_body of (N, 7) values."""
    cy, cp, cr = np.cos(state[:, 3:6]).T
    sy, sp, sr = np.sin(state[:, 3:6]).T
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def poses(state: Float64) -> Float64:
    """(N, 4, 4) world_from_body of (N, 7) values."""
    out = np.zeros((len(state), 4, 4))
    out[:, :3, :3], out[:, :3, 3], out[:, 3, 3] = rotations(state), state[:, :3], 1
    return out


def body_rates(state: Float64, rate: Float64) -> Float64:
    """(N, 3) angular velocity in the bodies' own axes, from the rates of yaw, pitch and roll."""
    (cp, cr), (sp, sr) = np.cos(state[:, 4:6]).T, np.sin(state[:, 4:6]).T
    yaw, pitch, roll = rate[:, 3:6].T
    return np.column_stack([roll - yaw * sp, pitch * cr + yaw * cp * sr, yaw * cp * cr - pitch * sr])
