"""Ego motion from radar alone: the velocity under which most returns stand still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.radar_kernels import (
    circle_scores,
    count_near,
    over_ground,
    peaks,
    refine,
    sampled_states,
)
from mm_fusion.measurements import EgoMotion, Float64, check_array

SPEED_RANGE_MPS = (-15.0, 60.0)
LATERAL_MPS = 4.0
YAW_RATES = (-0.5, -0.25, 0.0, 0.25, 0.5)
"""Searched forward and lateral speeds, and yaw rates where radars stand apart."""
PRIOR_STD = (100.0, 20.0, 0.3, 0.3)
"""What is known beforehand of vx, vy, vz (m/s) and yaw rate (rad/s): a car neither climbs nor spins."""
INLIER_MPS = 0.3
"""Residual up to which a return counts as standing."""
SEARCH_RETURNS = 1024
SEARCH_COST = 1_500_000
RIVAL_SHARE = 0.9
"""A second velocity with this share of the best one's inliers makes the answer undecidable."""
APART_M = 0.5
PLAUSIBLE_SIDE = (1.5, 0.1)
PLAUSIBLE_CLIMB = (1.0, 0.06)
"""Sideways and upward speed a car with a mount some degrees off can show: m/s, and share of speed."""


@dataclass(frozen=True, slots=True, eq=False)
class RadarReturns:
    """Returns of one radar's scan: rays_base (N, 3) unit, radial_velocity (N,) m/s raw, receding positive.

    sensor_position: (3,) m, both in base axes. ambiguity_mps: full interval, None where velocities do not
    wrap.
    """

    rays_base: Float64
    sensor_position: Float64
    radial_velocity: Float64
    ambiguity_mps: float | None = None

    def __post_init__(self) -> None:
        for name, shape in (
            ("rays_base", (None, 3)),
            ("sensor_position", (3,)),
            ("radial_velocity", (None,)),
        ):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float64))
            check_array("RadarReturns", name, getattr(self, name), shape, np.float64)
        if len(self.rays_base) != len(self.radial_velocity):
            raise MeasurementError(
                "RadarReturns: expected one velocity per ray, got "
                f"{len(self.radial_velocity)} for {len(self.rays_base)}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class RadarEgoEstimate:
    """Twist of `base_link`: linear (3,) m/s with linear_cov (3, 3), angular (3,) rad/s (yaw rate alone).

    inlier_share: of all returns within `INLIER_MPS` of standing; residual_mps: their root mean square;
    inliers: one (N,) mask per scan. yaw_rate_std: near 0.3 rad/s where one radar alone could not tell (the
    rate is then 0 and linear_cov carries what that leaves open).
    """

    linear: Float64
    angular: Float64
    linear_cov: Float64
    inlier_share: float
    residual_mps: float
    inliers: tuple[NDArray[np.bool_], ...]
    yaw_rate_std: float

    def ego_motion(self, stamp_ns: int) -> EgoMotion:
        """The estimate as ego motion at `stamp_ns`."""
        return EgoMotion(stamp_ns, self.linear, self.angular, linear_cov=self.linear_cov)


class DopplerProperties(NamedTuple):
    """Sign (+1 where raw velocities are receding positive, -1 approaching) and interval, None where
    undecidable.

    confidence: 0..1, share of the moving scans that agree on the sign.
    """

    sign: int | None
    ambiguity_mps: float | None
    confidence: float


class _Returns(NamedTuple):
    rows: Float64
    raw: Float64
    interval: Float64


def estimate_ego_motion(
    scans: Sequence[RadarReturns],
    min_inliers: int = 15,
    min_share: float = 0.3,
    speed_range_mps: tuple[float, float] = SPEED_RANGE_MPS,
) -> RadarEgoEstimate | None:
    """The twist that best explains all returns of scans taken together, or None where nothing stands out.

    Maximises the mean of cos(2 pi (v_raw + v . u) / interval) on a grid, then robust least squares (Tukey);
    velocities that do not wrap are sampled instead. Radars at different places give the yaw rate. Repeatable:
    nothing is drawn at random. Returns that are not finite count as outliers.
    """
    usable = [np.isfinite(scan.rays_base).all(1) & np.isfinite(scan.radial_velocity) for scan in scans]
    returns = _gather(scans, usable)
    if len(returns.raw) < min_inliers:
        return None
    prior = np.array(PRIOR_STD)
    starts, scale = _starts(returns, _stand_apart(scans), speed_range_mps)
    best = _best_of(returns, starts, prior, scale)
    if best is None:
        return None
    state, covariance, _ = refine(*returns, best, prior, scale, 15)
    error = over_ground(*returns, state)
    near = np.abs(error) < INLIER_MPS
    count = int(near.sum())
    if count < min_inliers or count < min_share * len(near) or count < _by_chance(returns.interval):
        return None
    return RadarEgoEstimate(
        linear=state[:3],
        angular=np.array([0.0, 0.0, state[3]]),
        linear_cov=np.ascontiguousarray(covariance[:3, :3]),
        inlier_share=count / sum(map(len, usable)),
        residual_mps=float(np.sqrt(np.mean(error[near] ** 2))),
        inliers=_per_scan(usable, near),
        yaw_rate_std=float(np.sqrt(covariance[3, 3])),
    )


def estimate_doppler_properties(scans: Sequence[RadarReturns]) -> DopplerProperties:
    """Sign and interval of one radar's Doppler from several scans, assuming that the vehicle mostly drives
    forward.

    `radial_velocity` as the sensor gives it; `ambiguity_mps` of the scans is not looked at. The interval is
    what the velocities fill, if taking them modulo it explains clearly more returns than taking them as they
    are.
    """
    candidate = _filled_interval(scans)
    straight = [_signed_estimate(scan, None) for scan in scans]
    wrapped = [None if candidate is None else _signed_estimate(scan, candidate) for scan in scans]
    share, share_wrapped = _mean_share(straight), _mean_share(wrapped)
    wraps = candidate is not None and share_wrapped > share + 0.1
    forward = [
        e.linear[0] for e in (wrapped if wraps else straight) if e is not None and abs(e.linear[0]) > 1.0
    ]
    if len(forward) < 3:
        return DopplerProperties(None, candidate if wraps else None, 0.0)
    ahead = float(np.mean(np.array(forward) > 0))
    confidence = max(ahead, 1 - ahead)
    sign = None if confidence < 0.7 else (1 if ahead > 0.5 else -1)
    return DopplerProperties(sign, candidate if wraps else None, confidence)


def _gather(scans: Sequence[RadarReturns], usable: list[NDArray[np.bool_]]) -> _Returns:
    rows, raw, interval = [np.empty((0, 4))], [np.empty(0)], [np.empty(0)]
    for scan, keep in zip(scans, usable):
        rays, position = scan.rays_base[keep], scan.sensor_position
        lever = position[0] * rays[:, 1] - position[1] * rays[:, 0]
        rows.append(np.column_stack([rays, lever]))
        raw.append(scan.radial_velocity[keep])
        interval.append(np.full(len(rays), scan.ambiguity_mps or 0.0))
    return _Returns(np.concatenate(rows), np.concatenate(raw), np.concatenate(interval))


def _stand_apart(scans: Sequence[RadarReturns]) -> bool:
    positions = np.array([scan.sensor_position for scan in scans if len(scan.rays_base)])
    return len(positions) > 1 and bool((np.ptp(positions, axis=0) > APART_M).any())


def _starts(returns: _Returns, apart: bool, speeds: tuple[float, float]) -> tuple[list[Float64], float]:
    """States to begin from, and the residual scale of the coarsest of them."""
    plain = returns.interval == 0
    if plain.sum() >= max(10, 0.2 * len(plain)):
        chosen = _thinned(_Returns(*(column[plain] for column in returns)), SEARCH_RETURNS // 2)
        state, _ = sampled_states(chosen.rows, chosen.raw, 3 if apart else 2, 200, 0.5)
        return [state], 1.0
    returns = _Returns(*(column[~plain] for column in returns))
    finest = float(returns.interval.min())
    # Even steps through zero, an eighth of the interval: a quarter of the lobe of a ray straight ahead.
    vx = np.arange(np.floor(speeds[0] / finest * 8), speeds[1] / finest * 8 + 1) * (finest / 8)
    vy = np.arange(-np.ceil(LATERAL_MPS / finest * 8), LATERAL_MPS / finest * 8 + 1) * (finest / 8)
    rates = np.array(YAW_RATES if apart else (0.0,))
    cells = len(vx) * len(vy) * len(rates)
    chosen = _thinned(returns, int(np.clip(SEARCH_COST / cells, 128, SEARCH_RETURNS)))
    scores = circle_scores(*chosen, vx, vy, rates)
    found = [np.array([vx[x], vy[y], 0.0, rates[w]]) for w, y, x in peaks(scores, 7)]
    return [np.zeros(4), *found], finest / 8


def _thinned(returns: _Returns, wanted: int) -> _Returns:
    stride = -(-len(returns.raw) // wanted)
    return _Returns(*(np.ascontiguousarray(column[::stride]) for column in returns))


def _best_of(returns: _Returns, starts: list[Float64], prior: Float64, scale: float) -> Float64 | None:
    """The plausible state with most inliers after refinement; None where another explains about as much."""
    chosen = _thinned(returns, SEARCH_RETURNS)
    states = [refine(*chosen, start, prior, scale, 5)[0] for start in starts]
    counts = np.array([count_near(over_ground(*chosen, state), INLIER_MPS) for state in states])
    plausible = np.array([_plausible(state) for state in states])
    if not plausible.any():
        return None
    best = int(np.argmax(np.where(plausible, counts, -1)))
    apart = max(float(returns.interval.min()) / 4, 1.0)
    other = np.array([np.abs(state[:2] - states[best][:2]).max() > apart for state in states])
    # What no car can do, yet explains clearly more, says that the best of the rest explains nothing.
    needed = np.where(plausible, RIVAL_SHARE, 1 / RIVAL_SHARE) * counts[best]
    return None if (other & (counts >= needed)).any() else states[best]


def _plausible(state: Float64) -> bool:
    speed = abs(state[0])
    side = PLAUSIBLE_SIDE[0] + PLAUSIBLE_SIDE[1] * speed
    return bool(abs(state[1]) < side and abs(state[2]) < PLAUSIBLE_CLIMB[0] + PLAUSIBLE_CLIMB[1] * speed)


def _by_chance(interval: Float64) -> float:
    """Inliers that even spread over the interval could give, six standard deviations up."""
    if (interval == 0).any():
        return 0.0
    share = min(1.0, 2 * INLIER_MPS / float(interval.mean()))
    return len(interval) * share + 6 * float(np.sqrt(len(interval) * share * (1 - share)))


def _per_scan(usable: list[NDArray[np.bool_]], near: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    masks, begin = [], 0
    for keep in usable:
        mask = keep.copy()
        mask[keep] = near[begin : begin + int(keep.sum())]
        begin += int(keep.sum())
        masks.append(mask)
    return tuple(masks)


def _signed_estimate(scan: RadarReturns, ambiguity_mps: float | None) -> RadarEgoEstimate | None:
    # Forwards and backwards must have the same chance here: the sign is what is asked.
    as_given = RadarReturns(scan.rays_base, scan.sensor_position, scan.radial_velocity, ambiguity_mps)
    return estimate_ego_motion([as_given], speed_range_mps=(-45.0, 45.0))


def _mean_share(estimates: Sequence[RadarEgoEstimate | None]) -> float:
    return (
        float(np.mean([0.0 if e is None else e.inlier_share for e in estimates])) if len(estimates) else 0.0
    )


def _filled_interval(scans: Sequence[RadarReturns]) -> float | None:
    """The span of all velocities and one step of them; None for too few returns."""
    velocities = np.concatenate([np.empty(0), *(scan.radial_velocity for scan in scans)])
    velocities = velocities[np.isfinite(velocities)]
    if len(velocities) < 100:
        return None
    values = np.unique(np.round(velocities, 4))
    gaps = np.diff(values)
    # A quantised sensor repeats its values: then one step closes the circle.
    step = float(np.median(gaps)) if len(values) > 1 and len(values) < 0.5 * len(velocities) else 0.0
    span = float(np.ptp(values)) + step
    return span if span > 1.0 else None
