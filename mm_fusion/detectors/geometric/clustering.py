"""Points of one object found together: density clustering whose reach grows with range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64

CELL = 0.15
"""Points in one cell of this edge, in steps, are one before they are clustered: they are neighbours
anyway.
"""


def thin(xyz: Float32, edge: float) -> NDArray[np.int64]:
    """Indices of one point (the first) per cube of `edge` m, in order of the points."""
    if not len(xyz):
        return np.zeros(0, np.int64)
    cell = np.floor(xyz / np.float32(edge)).astype(np.int64)
    cell -= cell.min(axis=0)
    spans = cell.max(axis=0) + 1
    _, first = np.unique((cell[:, 0] * spans[1] + cell[:, 1]) * spans[2] + cell[:, 2], return_index=True)
    return np.sort(first)


def even_gaps(xy: np.ndarray, origin_xy: np.ndarray, gap: float, gap_per_metre: float) -> Float64:
    """Positions (N, 2) warped about `origin_xy` so that a gap of gap + gap_per_metre * range becomes 1.

    Along the ray the warp is exact (the integral of 1 / gap(r)); across it is a little finer, as are angles.
    """
    offset = np.asarray(xy, np.float64) - origin_xy
    distance = np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-6)
    if gap_per_metre > 0:
        warped = np.log1p(gap_per_metre * distance / gap) / gap_per_metre
    else:
        warped = distance / gap
    return offset * (warped / distance)[:, None]


def cluster(features: Float64) -> NDArray[np.int64]:
    """Cluster index (N,) of points that chain together by steps of at most 1 (or little more, see `CELL`).

    features: (N, 1..3). Clusters are numbered by their first point, so equal input gives equal labels.
    Source: DBSCAN (Ester et al. 1996) of Open3D with every point a core.
    """
    if len(features) == 0:
        return np.zeros(0, np.int64)
    import open3d as o3d

    first, member = _cells(features)
    padded = np.zeros((len(first), 3))
    padded[:, : features.shape[1]] = features[first]
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(padded))
    labels = np.asarray(cloud.cluster_dbscan(eps=1.0, min_points=1), np.int64)[member]
    _, start, index = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(start), np.int64)
    rank[np.argsort(start)] = np.arange(len(start))
    return rank[index.ravel()]


def _cells(features: Float64) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first point of each occupied cell, and the cell (N,) of each point."""
    cell = np.floor(features / CELL).astype(np.int64)
    cell -= cell.min(axis=0)
    key = cell[:, 0]
    for column in cell.T[1:]:
        key = key * (column.max() + 1) + column
    _, first, member = np.unique(key, return_index=True, return_inverse=True)
    return first, member.ravel()


def grouped(labels: np.ndarray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Point indices sorted by cluster without noise, and the (K + 1,) places where each cluster starts."""
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    count = int(labels.max(initial=-1)) + 1
    starts = np.searchsorted(labels[order], np.arange(count + 1))
    return order, starts
