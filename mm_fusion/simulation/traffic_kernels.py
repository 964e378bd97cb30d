"""Everybody's way along their lanes, step by step: the intelligent-driver model with give-way rules."""

from __future__ import annotations

import numpy as np
from numba import njit

from mm_fusion.measurements import Float64

GREEN_SHARE = 0.45
"""Share of a signal's period in which one of its two phases is green; the rest is all red."""
HARDEST = 8.0
VEHICLE, WALKER = 0, 1


@njit(cache=True)
def drive(
    table: Float64,
    lane_first: np.ndarray,
    lane_count: np.ndarray,
    point_step: float,
    movers: Float64,
    lane_of: np.ndarray,
    kind: np.ndarray,
    give_ways: Float64,
    signals: Float64,
    slows: Float64,
    obstacles: Float64,
    braking: Float64,
    period_s: float,
    steps: int,
    dt: float,
) -> Float64:
    """(steps, N) distance along the lane of each mover's middle.

    table (P, 4): x, y, cos, sin of all lanes' points, `point_step` apart, lane l from `lane_first[l]` on.
    movers (N, 10): s, v, wished speed, reach ahead, reach behind, width, time gap, acceleration, braking,
    offset to the left. give_ways (G, 6): lane, s, x, y, radius, horizon. signals (S, 3): lane, s, phase.
    slows (W, 3): lane, s, speed. obstacles (O, 3): x, y, radius. braking (steps,): the acceleration (m/s^2)
    that mover 0 at most has. Source of the model: Treiber, Hennecke, Helbing 2000.
    """
    count = len(movers)
    s, v, a = movers[:, 0].copy(), movers[:, 1].copy(), np.zeros(count)
    out = np.empty((steps, count))
    here = np.empty((count, 4))
    for step in range(steps):
        for i in range(count):
            here[i] = _place(table, lane_first, lane_count, point_step, lane_of[i], s[i], movers[i, 9])
        for i in range(count):
            wish = movers[i, 2]
            for w in range(len(slows)):
                if int(slows[w, 0]) == lane_of[i] and s[i] > slows[w, 1]:
                    wish = min(movers[i, 2], slows[w, 2])  # the last one passed counts
            best = _idm(v[i], wish, 1e3, v[i], movers[i])
            front = s[i] + movers[i, 3]
            end = (lane_count[lane_of[i]] - 1) * point_step - front
            best = min(best, _idm(v[i], wish, end, 0.0, movers[i]))
            best = min(best, _follow(i, s, v, movers, lane_of, wish))
            seen, speed = _ahead(
                i, s, v, here, table, lane_first, lane_count, point_step, movers, lane_of, kind, obstacles
            )
            best = min(best, _idm(v[i], wish, seen, speed, movers[i]))
            stop = _stop_line(
                i,
                step * dt,
                s,
                v,
                front,
                here,
                table,
                lane_first,
                lane_count,
                point_step,
                movers,
                lane_of,
                kind,
                give_ways,
                signals,
                period_s,
            )
            best = min(best, _idm(v[i], wish, stop, 0.0, movers[i]))
            if i == 0:
                best = min(best, braking[step])
            a[i] += (max(best, -HARDEST) - a[i]) * min(1.0, dt / 0.25)
        for i in range(count):
            out[step, i] = s[i]
            faster = max(v[i] + a[i] * dt, 0.0)
            if faster == 0.0:
                a[i] = max(a[i], 0.0)
            s[i] += 0.5 * (v[i] + faster) * dt
            v[i] = faster
    return out


@njit(cache=True)
def _idm(v: float, wish: float, gap: float, leader: float, mover: Float64) -> float:
    free = 1.0 - (v / max(wish, 0.1)) ** 4
    if gap >= 1e3:
        return mover[7] * max(free, -2.0)
    wanted = 2.0 + max(0.0, v * mover[6] + v * (v - leader) / (2.0 * np.sqrt(mover[7] * mover[8])))
    if mover[3] < 0.6:  # people on foot keep closer
        wanted = 0.3 + wanted * 0.2
    return mover[7] * (max(free, -2.0) - (wanted / max(gap, 0.2)) ** 2)


@njit(cache=True)
def _place(
    table: Float64, first: np.ndarray, count: np.ndarray, step: float, lane: int, s: float, offset: float
) -> tuple[float, float, float, float]:
    at = max(s, 0.0) / step
    k = min(int(at), count[lane] - 2)
    f = at - k
    a, b = first[lane] + k, first[lane] + k + 1
    x = table[a, 0] + f * (table[b, 0] - table[a, 0])
    y = table[a, 1] + f * (table[b, 1] - table[a, 1])
    cos = table[a, 2] + f * (table[b, 2] - table[a, 2])
    sin = table[a, 3] + f * (table[b, 3] - table[a, 3])
    return x - offset * sin, y + offset * cos, cos, sin


@njit(cache=True)
def _follow(i: int, s: Float64, v: Float64, movers: Float64, lane_of: np.ndarray, wish: float) -> float:
    """Acceleration behind whoever is ahead on the same lane."""
    best = 1e3
    for j in range(len(s)):
        if j != i and lane_of[j] == lane_of[i] and s[j] > s[i]:
            if abs(movers[j, 9] - movers[i, 9]) < 0.5 * (movers[j, 5] + movers[i, 5]) + 0.2:
                gap = s[j] - movers[j, 4] - s[i] - movers[i, 3]
                best = min(best, _idm(v[i], wish, max(gap, 0.2), v[j], movers[i]))
    return best


@njit(cache=True)
def _ahead(
    i: int,
    s: Float64,
    v: Float64,
    here: Float64,
    table: Float64,
    first: np.ndarray,
    count: np.ndarray,
    step: float,
    movers: Float64,
    lane_of: np.ndarray,
    kind: np.ndarray,
    obstacles: Float64,
) -> tuple[float, float]:
    """Gap to, and speed along the way of, the first thing on other lanes that stands in the way."""
    reach = min(12.0 + v[i] * 1.5 + v[i] * v[i] / 6.0, 70.0) if kind[i] == VEHICLE else 3.0
    start, gap, speed = s[i] + movers[i, 3], int(reach), 0.0
    way = np.empty((gap, 4))
    for far in range(gap):
        way[far] = _place(table, first, count, step, lane_of[i], start + far, movers[i, 9])
    middle = way[gap // 2]
    nothing = gap
    for j in range(len(s) + len(obstacles)):
        moves = j < len(s)
        if moves and (j == i or lane_of[j] == lane_of[i] or (kind[i] == WALKER and kind[j] == WALKER)):
            continue
        o = j - len(s)
        x, y, wide = (
            (here[j, 0], here[j, 1], 0.5 * movers[j, 5])
            if moves
            else (obstacles[o, 0], obstacles[o, 1], obstacles[o, 2])
        )
        walks = moves and kind[j] == WALKER
        longest = 0.0
        if moves:
            longest = 2.4 * v[j] + 0.5 if walks else max(movers[j, 3], movers[j, 4])
        clear = 0.5 * movers[i, 5] + wide + (0.3 if walks else 0.25)
        if np.hypot(x - middle[0], y - middle[1]) > 0.5 * reach + longest + clear + 1.0:
            continue
        discs = 4 if walks else (int(2 * longest / wide) + 2 if longest > 1.2 else 1)
        for d in range(discs):
            px, py = x, y
            if walks:  # where they will be within the next seconds
                px, py = x + 0.8 * d * v[j] * here[j, 2], y + 0.8 * d * v[j] * here[j, 3]
            elif discs > 1:
                along = -movers[j, 4] + wide + d / (discs - 1) * (movers[j, 3] + movers[j, 4] - 2 * wide)
                px, py = x + along * here[j, 2], y + along * here[j, 3]
            far = 0
            while far < gap:
                apart = np.hypot(way[far, 0] - px, way[far, 1] - py)
                if apart < clear:
                    gap = far
                    speed = (
                        v[j] * max(here[j, 2] * way[far, 2] + here[j, 3] * way[far, 3], 0.0) if moves else 0.0
                    )
                    break
                far += max(1, int(apart - clear))  # nothing nearer than that can touch
    return (1e3, 0.0) if gap == nothing else (max(gap - 1.0, 0.2), speed)


@njit(cache=True)
def _stop_line(
    i: int,
    time_s: float,
    s: Float64,
    v: Float64,
    front: float,
    here: Float64,
    table: Float64,
    first: np.ndarray,
    count: np.ndarray,
    step: float,
    movers: Float64,
    lane_of: np.ndarray,
    kind: np.ndarray,
    give_ways: Float64,
    signals: Float64,
    period_s: float,
) -> float:
    """Gap to the nearest line where one has to wait now."""
    gap = 1e3
    for k in range(len(signals)):
        to = signals[k, 1] - front
        if int(signals[k, 0]) == lane_of[i] and to > -0.5 and to > v[i] * v[i] / (2 * 4.5) - 1.0:
            phase = (time_s / period_s + 0.5 * signals[k, 2]) % 1.0
            if phase > GREEN_SHARE:
                gap = min(gap, to + 1.5)
    for k in range(len(give_ways)):
        to = give_ways[k, 1] - front
        if int(give_ways[k, 0]) == lane_of[i] and to > -0.5 and to < 40.0 and to > v[i] * v[i] / 12 - 1.0:
            if _busy(i, give_ways[k], s, v, table, first, count, step, movers, lane_of, kind, give_ways):
                gap = min(gap, to + 1.5)
    return gap


@njit(cache=True)
def _busy(
    i: int,
    rule: Float64,
    s: Float64,
    v: Float64,
    table: Float64,
    first: np.ndarray,
    count: np.ndarray,
    step: float,
    movers: Float64,
    lane_of: np.ndarray,
    kind: np.ndarray,
    give_ways: Float64,
) -> bool:
    """Whether somebody with the right of way is, or will soon be, in a rule's circle."""
    for j in range(len(s)):
        if j == i or lane_of[j] == lane_of[i] or kind[j] == WALKER:
            continue
        waits = False
        for k in range(len(give_ways)):
            if int(give_ways[k, 0]) == lane_of[j] and give_ways[k, 1] > s[j] + movers[j, 3] - 0.5:
                waits = True
        if waits and kind[i] == VEHICLE:
            continue
        far = -movers[j, 4]
        until = movers[j, 3] + max(v[j], 1.5 if kind[i] == WALKER and v[j] > 0.2 else 0.0) * rule[5]
        while far <= until:
            x, y, _, _ = _place(table, first, count, step, lane_of[j], s[j] + far, movers[j, 9])
            if (x - rule[2]) ** 2 + (y - rule[3]) ** 2 < rule[4] * rule[4]:
                return True
            far += 1.5
    return False
