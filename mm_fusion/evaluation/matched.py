"""Detections beside the objects that they found: residuals, their stated variances, and velocity errors.

Matched as nuScenes does, within 2 m, best score first. A residual is so never above 2 m in the plane: that
makes position look a little surer than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.evaluation.matching import Pair, classes_with_truth
from mm_fusion.evaluation.nuscenes import taken_truths
from mm_fusion.geometry.transforms import wrap_angle
from mm_fusion.measurements import Float64

MATCH_M = 2.0
MOVING_MPS = 0.5
SHARES = (0.68, 0.95)
_NORMAL = {0.68: 0.994457883209753, 0.95: 1.959963984540054}
"""Half-width in sigmas of the central share of a normal distribution."""
SCALARS = ("z", "length", "width", "height", "yaw")


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """M matches over all frames. Rows of one match belong together.

    run, frame, truth: (M,) indices. place: (M, 2) of the truth. position, velocity: (M, 2) residuals, found
    minus true; scalars: (M, 5) of z l w h yaw. *_cov: (M, 3) xx xy yy as stated; variance: (M, 5).
    true_velocity, found_velocity: (M, 2). moving: (M,) bool.
    """

    run: NDArray[np.int64]
    frame: NDArray[np.int64]
    truth: NDArray[np.int64]
    place: Float64
    position: Float64
    position_cov: Float64
    true_velocity: Float64
    found_velocity: Float64
    velocity_cov: Float64
    scalars: Float64
    variance: Float64
    moving: NDArray[np.bool_]


def matched(pairs: Sequence[Pair]) -> Matched:
    """Every match of every class with truth."""
    rows: list[tuple[int, int, int]] = []
    for class_id in classes_with_truth(pairs):
        rows += taken_truths(pairs, class_id, MATCH_M)
    rows.sort()
    parts = [_one(pairs[number], number, i, j) for number, i, j in rows]
    widths = (0, 0, 0, 2, 2, 3, 2, 2, 3, 5, 5, 0)
    columns = [
        np.array([part[k] for part in parts]).reshape((len(parts), width) if width else len(parts))
        for k, width in enumerate(widths)
    ]
    run, frame, truth = (column.astype(np.int64) for column in columns[:3])
    place, position, position_cov, true_velocity, found_velocity, velocity_cov, scalars, variance = (
        column.astype(np.float64) for column in columns[3:11]
    )
    return Matched(
        run, frame, truth, place, position, position_cov, true_velocity, found_velocity, velocity_cov,
        scalars, variance, columns[11].astype(bool),
    )  # fmt: skip


def _one(pair: Pair, number: int, i: int, j: int) -> tuple[Any, ...]:
    found, truth = pair.detections, pair.truth
    size = found.size[i].astype(np.float64) - truth.size[j]
    scalars = [float(found.center[i, 2]) - float(truth.center[j, 2]), *size]
    scalars.append(float(wrap_angle(float(found.yaw[i]) - float(truth.yaw[j]))))
    speed = float(np.hypot(*truth.velocity[j].astype(np.float64)))
    return (
        pair.run,
        number,
        j,
        truth.center[j, :2],
        found.center[i, :2].astype(np.float64) - truth.center[j, :2],
        found.position_cov[i],
        truth.velocity[j],
        found.velocity[i],
        found.velocity_cov[i],
        scalars,
        found.variance[i],
        speed > MOVING_MPS,  # False where the truth does not know
    )


def variance_tree(rows: Matched) -> dict[str, dict[str, Any]]:
    """{matches, stated, nll, coverage_68, coverage_95} of position, velocity, z, sizes and yaw.

    nll: mean of -log density of the residual under the stated normal distribution, in nats, over the matches
    that state one; coverage: share of residuals in percent inside the stated ellipse or interval of that
    share.
    """
    velocity = rows.found_velocity - rows.true_velocity
    tree = {
        "position": _plane(rows.position, rows.position_cov),
        "velocity": _plane(velocity, rows.velocity_cov),
    }
    for k, name in enumerate(SCALARS):
        tree[name] = _scalar(rows.scalars[:, k], rows.variance[:, k])
    return tree


def _plane(residual: Float64, covariance: Float64) -> dict[str, Any]:
    xx, xy, yy = covariance.T
    with np.errstate(invalid="ignore", over="ignore"):
        det = xx * yy - xy * xy
        known = np.isfinite(residual).all(1) & np.isfinite(covariance).all(1) & (det > 1e-18) & (xx > 0)
    x, y = residual[known].T
    xx, xy, yy, det = xx[known], xy[known], yy[known], det[known]
    squared = (yy * x * x - 2 * xy * x * y + xx * y * y) / det
    nll = 0.5 * squared + 0.5 * np.log(det) + np.log(2 * np.pi)
    # chi-squared of two degrees of freedom: P(d^2 < q) = 1 - exp(-q / 2)
    return _entry(len(residual), nll, squared, {share: -2 * np.log(1 - share) for share in SHARES})


def _scalar(residual: Float64, variance: Float64) -> dict[str, Any]:
    known = np.isfinite(residual) & np.isfinite(variance) & (variance > 1e-12)
    squared = residual[known] ** 2 / variance[known]
    nll = 0.5 * squared + 0.5 * np.log(2 * np.pi * variance[known])
    return _entry(len(residual), nll, squared, {share: _NORMAL[share] ** 2 for share in SHARES})


def _entry(count: int, nll: Float64, squared: Float64, limits: dict[float, float]) -> dict[str, Any]:
    entry: dict[str, Any] = {"matches": count, "stated": len(nll), "nll": _mean(nll)}
    for share, limit in limits.items():
        entry[f"coverage_{round(share * 100)}"] = 100 * _mean((squared <= limit).astype(np.float64))
    return entry


@dataclass(frozen=True, slots=True, eq=False)
class MeanOf:
    """The mean of values by run."""

    values: Float64
    run: NDArray[np.int64]

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """The mean with each run counted that many times; NaN without values."""
        weights = run_weights[self.run]
        total = weights.sum()
        return float(weights @ self.values / total) if total else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class VelocityErrors:
    """Errors of moving objects: |radial|, |tangential| (V,) m/s as seen from the car; an unknown velocity
    counts as standing. key: (V,) frame * 10000 + truth index, the same in every subset.
    """

    key: NDArray[np.int64]
    run: NDArray[np.int64]
    radial: Float64
    tangential: Float64
    known: NDArray[np.bool_]


def velocity_errors(rows: Matched) -> VelocityErrors:
    """Those of the matches whose truth moves at more than 0.5 m/s."""
    mine = rows.moving & np.isfinite(rows.true_velocity).all(1)
    error = np.nan_to_num(rows.found_velocity[mine]) - rows.true_velocity[mine]
    place = rows.place[mine]
    ray = place / np.maximum(np.linalg.norm(place, axis=1, keepdims=True), 1e-6)
    radial = np.abs((error * ray).sum(1))
    tangential = np.abs(error[:, 1] * ray[:, 0] - error[:, 0] * ray[:, 1])
    known = np.asarray(np.isfinite(rows.found_velocity[mine]).all(1))
    return VelocityErrors(
        rows.frame[mine] * 10000 + rows.truth[mine], rows.run[mine], radial, tangential, known
    )


def _mean(values: Float64) -> float:
    return float(values.mean()) if len(values) else float("nan")
