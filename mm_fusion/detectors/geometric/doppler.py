"""What Doppler proves of objects: whether they move, and their velocity along the rays that saw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mm_fusion.measurements import Float64
from mm_fusion.model_config import RadarObjectsConfig

MULTIPLES = np.arange(-4, 5)
"""Multiples of the ambiguity interval that are weighed: 4 intervals of 10.4 m/s are 150 km/h."""


@dataclass(frozen=True, slots=True, eq=False)
class RayVelocities:
    """Velocity (K, 2) m/s over ground, covariance (K, 3) as xx xy yy, moving (K,) 0..1.

    NaN, infinite and 0.5 where unknown.
    """

    velocity: Float64
    covariance: Float64
    moving: Float64


def ray_velocities(
    rays: Float64, speeds: Float64, intervals: Float64, config: RadarObjectsConfig
) -> RayVelocities:
    """Velocities of objects seen along `rays` (K, R, 2) at `speeds` (K, R) m/s modulo `intervals` (K, R).

    Across the rays a velocity stays unobserved (`across_sigma`). The interval's multiple is the likeliest
    under `speed_spread` of road users; what other multiples would say stands in the covariance. An infinite
    interval does not wrap; speeds that are not finite (no ego motion) say nothing.
    """
    unknown = np.asarray(~np.isfinite(speeds).all(axis=1))
    known_speeds = np.where(unknown[:, None], 0.0, speeds)
    choices, chances = _likely_multiples(rays, known_speeds, intervals, config)
    best = np.take_along_axis(choices, chances.argmax(axis=1)[:, None, None], axis=1)
    spread = np.einsum("km,kmr->kr", chances, (choices - best) ** 2)
    weight = 1 / (config.velocity_sigma**2 + spread)
    covariance = np.linalg.inv(_information(weight, rays, config))
    # the likeliest multiple itself is not drawn towards zero by the doubt about it
    sure = np.full(speeds.shape, 1 / config.velocity_sigma**2)
    velocity = np.linalg.solve(
        _information(sure, rays, config), np.einsum("kr,krj->kj", sure * best[:, 0], rays)[:, :, None]
    )[:, :, 0]
    return RayVelocities(
        np.where(unknown[:, None], np.nan, velocity),
        np.where(unknown[:, None], [np.inf, 0.0, np.inf], covariance[:, [0, 0, 1], [0, 1, 1]]),
        np.where(unknown, 0.5, _moving(known_speeds, intervals, config)),
    )


def _information(weight: Float64, rays: Float64, config: RadarObjectsConfig) -> Float64:
    information: Float64 = np.einsum("kr,kri,krj->kij", weight, rays, rays)
    return information + np.eye(2) / config.across_sigma**2


def _likely_multiples(
    rays: Float64, speeds: Float64, intervals: Float64, config: RadarObjectsConfig
) -> tuple[Float64, Float64]:
    """Possible speeds along all rays (K, M, R) and their chances (K, M): slow, consistent ones are likely."""
    count = speeds.shape[1]
    grid = np.stack(np.meshgrid(*[MULTIPLES] * count, indexing="ij"), axis=-1).reshape(-1, count)
    choices = speeds[:, None, :] + grid[None] * np.where(np.isfinite(intervals), intervals, 0.0)[:, None, :]
    # speeds along rays under a road user's velocity N(0, spread^2 I), measured with velocity_sigma
    covariance = config.speed_spread**2 * rays @ rays.transpose(0, 2, 1) + config.velocity_sigma**2 * np.eye(
        count
    )
    exponent = -0.5 * np.einsum("kmi,kij,kmj->km", choices, np.linalg.inv(covariance), choices)
    chances = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return choices, chances / chances.sum(axis=1, keepdims=True)


def _moving(speeds: Float64, intervals: Float64, config: RadarObjectsConfig) -> Float64:
    """Chance (K,) of moving by Bayes: off zero proves it, zero leaves other multiples and motion across."""
    still = _normal(speeds, config.standing_sigma).prod(axis=1)
    wraps = np.isfinite(intervals)
    free = _normal(speeds, float(np.hypot(config.speed_spread, config.velocity_sigma)))
    lively = np.where(wraps, 1 / np.where(wraps, intervals, 1.0), free).prod(axis=1)
    both = config.moving_prior * lively + (1 - config.moving_prior) * still
    return config.moving_prior * lively / np.maximum(both, 1e-300)


def _normal(x: Float64, sigma: float) -> Float64:
    density: Float64 = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return density
