"""What Doppler proves of an object: whether it moves, and its velocity along the rays that saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mm_fusion.measurements import Float64
from mm_fusion.model_config import RadarObjectsConfig

MULTIPLES = np.arange(-4, 5)
"""Multiples of the ambiguity interval that are weighed: 4 intervals of 10.4 m/s are 150 km/h."""


@dataclass(frozen=True, slots=True, eq=False)
class RayVelocity:
    """One object's velocity: velocity (2,) m/s over ground, covariance (3,) as xx xy yy, moving 0..1."""

    velocity: Float64
    covariance: Float64
    moving: float


def unobserved() -> RayVelocity:
    """What is known without ego motion: nothing."""
    return RayVelocity(np.full(2, np.nan), np.array([np.inf, 0.0, np.inf]), 0.5)


def mean_on_circle(velocity: np.ndarray, ambiguity: float) -> float:
    """The mean of velocities known modulo `ambiguity` (infinite: their median), in [-ambiguity/2,
    ambiguity/2].

    NaN where none is finite.
    """
    velocity = velocity[np.isfinite(velocity)]
    if not len(velocity):
        return float("nan")
    if not np.isfinite(ambiguity):
        return float(np.median(velocity))
    angle = velocity.astype(np.float64) * (2 * np.pi / ambiguity)
    return float(np.arctan2(np.sin(angle).sum(), np.cos(angle).sum()) * ambiguity / (2 * np.pi))


def ray_velocity(
    rays: Float64, speeds: Float64, intervals: Float64, config: RadarObjectsConfig
) -> RayVelocity:
    """The velocity of one object seen along `rays` (R, 2) at `speeds` (R,) m/s known modulo `intervals` (R,).

    Across the rays it stays unobserved (`across_sigma`). The interval's multiple is the likeliest under
    `speed_spread` of road users; what other multiples would say stands in the covariance.
    """
    if not np.isfinite(speeds).all():
        return unobserved()
    choices, weights = _likely_multiples(rays, speeds, intervals, config)
    best = int(np.argmax(weights))
    spread = weights @ (choices - choices[best]) ** 2
    information = _information(rays, config.velocity_sigma**2 + spread, config.across_sigma)
    covariance: Float64 = np.linalg.inv(information).astype(np.float64)
    pull = (rays * (choices[best] / (config.velocity_sigma**2 + spread))[:, None]).sum(axis=0)
    moving = _moving(choices, speeds, intervals, config)
    return RayVelocity(covariance @ pull, covariance[[0, 0, 1], [0, 1, 1]], moving)


def _likely_multiples(
    rays: Float64, speeds: Float64, intervals: Float64, config: RadarObjectsConfig
) -> tuple[Float64, Float64]:
    """Possible speeds along all rays (M, R) and their chances (M,), from how slow and how consistent they
    are.
    """
    options = [v + MULTIPLES * a if np.isfinite(a) else np.array([v]) for v, a in zip(speeds, intervals)]
    choices = np.stack([grid.ravel() for grid in np.meshgrid(*options, indexing="ij")], axis=1)
    # speeds along rays under a road user's velocity N(0, spread^2 I), measured with velocity_sigma
    covariance = config.speed_spread**2 * rays @ rays.T + config.velocity_sigma**2 * np.eye(len(rays))
    exponent = -0.5 * np.einsum("mi,ij,mj->m", choices, np.linalg.inv(covariance), choices)
    weights = np.exp(exponent - exponent.max())
    return choices, weights / weights.sum()


def _information(rays: Float64, variance: Float64, across_sigma: float) -> Float64:
    outer = rays[:, :, None] * rays[:, None, :]
    return np.eye(2) / across_sigma**2 + (outer / variance[:, None, None]).sum(axis=0)


def _moving(choices: Float64, speeds: Float64, intervals: Float64, config: RadarObjectsConfig) -> float:
    """Chance of moving by Bayes: off zero proves it, at zero another multiple, or motion across, stays
    possible.
    """
    still = _normal(speeds, config.velocity_sigma + config.moving_mps / 3).prod()
    reach = np.where(np.isfinite(intervals), intervals, 6 * config.speed_spread)
    lively = np.where(
        np.isfinite(intervals),
        1 / reach,
        _normal(speeds, np.hypot(config.speed_spread, config.velocity_sigma)),
    ).prod()
    both = config.moving_prior * lively + (1 - config.moving_prior) * still
    return float(config.moving_prior * lively / both)


def _normal(x: Float64, sigma: float) -> Float64:
    density: Float64 = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return density
