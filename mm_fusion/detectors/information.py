"""Two estimates of one thing made one: information form for independent ones, covariance intersection for the
rest.
"""

from __future__ import annotations

import numpy as np

from mm_fusion.measurements import Float64

Estimate = tuple[Float64, Float64]
"""Value and covariance: (N, 2) with (N, 3) as xx xy yy, or (N,) with (N,) variance."""

LEAST_VARIANCE = 1e-8
"""Variances below are taken as this: no sensor is exact, and an inverse must stay finite."""


def information_of(covariance: Float64) -> Float64:
    """Inverses (N, 3) as xx xy yy of covariances (N, 3); zero where a variance is infinite."""
    known = np.asarray(np.isfinite(covariance).all(axis=1))
    xx, xy, yy = np.where(known[:, None], covariance, [1.0, 0.0, 1.0]).astype(np.float64).T
    xx, yy = np.maximum(xx, LEAST_VARIANCE), np.maximum(yy, LEAST_VARIANCE)
    bound = np.sqrt(xx * yy) * (1 - 1e-9)
    xy = np.clip(xy, -bound, bound)
    inverse = np.stack([yy, -xy, xx], axis=1) / (xx * yy - xy * xy)[:, None]
    return np.where(known[:, None], inverse, 0.0)


def covariance_of(information: Float64) -> Float64:
    """Covariances (N, 3) of informations (N, 3); xx and yy infinite, xy 0, where nothing is known."""
    nothing = np.asarray(~(information != 0).any(axis=1))
    inverse = information_of(np.where(nothing[:, None], [1.0, 0.0, 1.0], information))
    return np.where(nothing[:, None], [np.inf, 0.0, np.inf], inverse)


def join_vectors(a: Estimate, b: Estimate) -> Estimate:
    """The independent estimates of vectors joined: information adds. NaN where neither knows anything."""
    return _weighted(a[0], information_of(a[1]), b[0], information_of(b[1]))


def intersect_vectors(a: Estimate, b: Estimate) -> Estimate:
    """The same for estimates that may share history: covariance intersection, never surer than both allow.

    Source: Julier and Uhlmann 1997; the weight of the smallest trace among 21, a half where all are alike.
    """
    info_a, info_b = information_of(a[1]), information_of(b[1])
    weights = np.array([0.5, *(w for w in np.linspace(0, 1, 21) if w != 0.5)])
    traces = np.stack([covariance_of(w * info_a + (1 - w) * info_b)[:, [0, 2]].sum(axis=1) for w in weights])
    best = weights[np.argmin(traces, axis=0)][:, None]
    return _weighted(a[0], best * info_a, b[0], (1 - best) * info_b)


def join_scalars(a: Estimate, b: Estimate) -> Estimate:
    """Independent numbers (N,) joined by inverse variance; infinite variance counts nothing."""
    info_a, info_b = _inverse_variance(a[1]), _inverse_variance(b[1])
    total = info_a + info_b
    known = total > 0
    value = np.where(info_a > 0, a[0], 0) * info_a + np.where(info_b > 0, b[0], 0) * info_b
    mean = np.divide(value, total, out=np.asarray(a[0], np.float64).copy(), where=known)
    return mean, np.divide(1.0, total, out=np.full(len(total), np.inf), where=known)


def intersect_scalars(a: Estimate, b: Estimate) -> Estimate:
    """Numbers that may share history: in one dimension covariance intersection is the surer of the two."""
    take_b = b[1] < a[1]
    return np.where(take_b, b[0], a[0]), np.where(take_b, b[1], a[1])


def nearest_half_turn(yaw: Float64, reference: Float64) -> Float64:
    """`yaw` turned by the multiple of pi that brings it nearest to `reference`: both ends look alike."""
    return yaw - np.pi * np.round((yaw - reference) / np.pi)


def squared_distance(difference: Float64, covariance: Float64) -> Float64:
    """Squared Mahalanobis lengths (...) of vectors (..., 2) under covariances (..., 3) as xx xy yy."""
    shape = difference.shape[:-1]
    xx, xy, yy = information_of(covariance.reshape(-1, 3)).T
    x, y = difference.reshape(-1, 2).T
    return (x * x * xx + 2 * x * y * xy + y * y * yy).reshape(shape)


def _inverse_variance(variance: Float64) -> Float64:
    finite = np.maximum(np.where(np.isfinite(variance), variance, 1.0), LEAST_VARIANCE)
    return np.where(np.isfinite(variance), 1 / finite, 0.0)


def _weighted(a: Float64, info_a: Float64, b: Float64, info_b: Float64) -> Estimate:
    information = info_a + info_b
    pull = _times(info_a, a) + _times(info_b, b)
    covariance = covariance_of(information)
    nothing = np.asarray(~np.isfinite(covariance).all(axis=1))
    mean = _times(np.where(nothing[:, None], 0.0, covariance), pull)
    return np.where(nothing[:, None], np.nan, mean), covariance


def _times(matrix: Float64, vector: Float64) -> Float64:
    """Symmetric matrices (N, 3) times vectors (N, 2), (N, 2); 0 where the matrix is, also of NaN."""
    known = np.asarray((matrix != 0).any(axis=1) & np.isfinite(vector).all(axis=1))
    x, y = np.where(known[:, None], vector, 0.0).T
    xx, xy, yy = np.where(known[:, None], matrix, 0.0).T
    return np.stack([xx * x + xy * y, xy * x + yy * y], axis=1)
