"""Compiled loops of the search for ego motion in Doppler, all in one file for numba's cache.

A state is vx vy vz and the yaw rate; a return's row J = (u, (r x u)_z) makes its velocity over ground
v_raw + J . state, modulo its interval (0 stands for one that does not wrap).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.measurements import Float64

TUKEY = 4.685
"""Cut of Tukey's weight in scales, 95 % efficient on Gaussian residuals (Huber and Ronchetti 2009)."""
SCALE_FLOOR_MPS = 0.03
"""No radar of a car is finer; keeps quantised residuals from collapsing the scale."""


@njit(cache=True, error_model="numpy")
def wrap(value: float, interval: float) -> float:
    """`value` in [-interval/2, interval/2), or as it is for interval 0."""
    if interval <= 0:
        return value
    return value - interval * np.floor(value / interval + 0.5)


@njit(cache=True, error_model="numpy")
def over_ground(rows: Float64, raw: Float64, interval: Float64, state: Float64) -> Float64:
    """Velocity over ground (N,) under a state: 0 for what stands still."""
    out = np.empty(len(raw))
    for i in range(len(raw)):
        value = raw[i]
        for k in range(4):
            value += rows[i, k] * state[k]
        out[i] = wrap(value, interval[i])
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def circle_scores(
    rows: Float64, raw: Float64, interval: Float64, vx: Float64, vy: Float64, rates: Float64
) -> Float64:
    """Mean of cos(2 pi (v_raw + J . state) / interval) by yaw rate, vy and even steps of vx: (W, Y, X)."""
    count = len(raw)
    scores = np.empty((len(rates), len(vy), len(vx)))
    cos, sin, turn_cos, turn_sin = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    step = vx[1] - vx[0]
    for i in range(count):
        angle = 2 * np.pi / interval[i] * rows[i, 0] * step
        turn_cos[i], turn_sin[i] = np.cos(angle), np.sin(angle)
    for w in range(len(rates)):
        for y in range(len(vy)):
            for i in range(count):
                velocity = raw[i] + rows[i, 0] * vx[0] + rows[i, 1] * vy[y] + rows[i, 3] * rates[w]
                angle = 2 * np.pi / interval[i] * velocity
                cos[i], sin[i] = np.cos(angle), np.sin(angle)
            for x in range(len(vx)):
                scores[w, y, x] = np.mean(cos)
                # one step in vx turns each return's phasor by a fixed angle: no cosine inside the grid
                for i in range(count):
                    c = cos[i]
                    cos[i] = c * turn_cos[i] - sin[i] * turn_sin[i]
                    sin[i] = c * turn_sin[i] + sin[i] * turn_cos[i]
    return scores


@njit(cache=True, nogil=True, error_model="numpy")
def sampled_states(rows: Float64, raw: Float64, size: int, tries: int, near: float) -> tuple[Float64, int]:
    """The state through `size` (2: vx vy, 3: and yaw rate) returns that most others agree with, and their
    number.

    For velocities that do not wrap. The drawn returns come from a fixed sequence, so the answer is
    repeatable.
    """
    best, most = np.zeros(4), -1
    unknown = np.array([0, 1, 3])[:size]
    seed = np.uint32(12345)
    matrix, wanted = np.empty((size, size)), np.empty(size)
    for _ in range(tries):
        for k in range(size):
            seed = np.uint32(seed * np.uint32(1664525) + np.uint32(1013904223))
            i = np.int64(seed >> np.uint32(8)) % len(raw)
            wanted[k] = -raw[i]
            for j in range(size):
                matrix[k, j] = rows[i, unknown[j]]
        if abs(np.linalg.det(matrix)) < 1e-3:
            continue
        solved = np.linalg.solve(matrix, wanted)
        state = np.zeros(4)
        for j in range(size):
            state[unknown[j]] = solved[j]
        agreeing = 0
        for i in range(len(raw)):
            value = raw[i] + rows[i, 0] * state[0] + rows[i, 1] * state[1] + rows[i, 3] * state[3]
            agreeing += abs(value) < near
        if agreeing > most:
            best, most = state, agreeing
    return best, most


@njit(cache=True, nogil=True, error_model="numpy")
def refine(
    rows: Float64, raw: Float64, interval: Float64, start: Float64, prior: Float64, scale: float, rounds: int
) -> tuple[Float64, np.ndarray, float]:
    """State, its covariance (4, 4) and the residual scale by reweighted least squares with Tukey's weight.

    prior: (4,) standard deviations about zero: what no return can tell keeps them. `scale` only shrinks.
    """
    state = start.copy()
    normal, right = np.empty((4, 4)), np.empty(4)
    for _ in range(rounds):
        error = over_ground(rows, raw, interval, state)
        size = np.abs(error)
        close = size[size < 3 * scale]
        if len(close) > 4:
            scale = max(SCALE_FLOOR_MPS, min(scale, 1.4826 * np.median(close)))
        normal[:] = 0
        for k in range(4):
            normal[k, k] = prior[k] ** -2
            right[k] = state[k] * normal[k, k]
        cut = TUKEY * scale
        for i in range(len(raw)):
            if size[i] >= cut:
                continue
            weight = (1 - (error[i] / cut) ** 2) ** 2 / scale**2
            for k in range(4):
                right[k] += weight * rows[i, k] * error[i]
                for j in range(k + 1):
                    normal[k, j] += weight * rows[i, k] * rows[i, j]
        for k in range(4):
            for j in range(k):
                normal[j, k] = normal[k, j]
        change = np.linalg.solve(normal, right)
        state = state - change
        if np.abs(change).max() < 1e-5:
            break
    return state, np.linalg.inv(normal), scale


@njit(cache=True, error_model="numpy")
def count_near(error: Float64, near: float) -> int:
    """Number of residuals within `near` of zero."""
    total = 0
    for i in range(len(error)):
        total += abs(error[i]) < near
    return total


@njit(cache=True, error_model="numpy")
def peaks(scores: Float64, wanted: int) -> NDArray[np.int64]:
    """Indices (K, 3) of the highest local maxima of scores (W, Y, X) over Y and X, best first."""
    rates, height, width = scores.shape
    found = np.empty((rates * height * width, 3), np.int64)
    value = np.empty(len(found))
    count = 0
    for w in range(rates):
        for y in range(height):
            for x in range(width):
                here = scores[w, y, x]
                top = True
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        ny, nx = y + dy, x + dx
                        if ny < 0 or nx < 0 or ny >= height or nx >= width:
                            continue
                        top = top and here >= scores[w, ny, nx]
                if top:
                    found[count, 0], found[count, 1], found[count, 2] = w, y, x
                    value[count] = here
                    count += 1
    order = np.argsort(-value[:count], kind="mergesort")
    return found[order[:wanted]]
