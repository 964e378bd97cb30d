"""Edges of an image by the way they run, and how far every pixel is from the nearest of each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32

BLUR_SHARE = 1e-3
"""Width of the smoothing as a share of the image's: 1.6 px of 1600."""
STRONG_SHARE = 0.1
"""The strongest tenth of all pixels starts edges, half that strength carries them on (Canny's ratio)."""


WAYS = 4
"""Edges are told apart by the direction across them, every 45 degrees; each belongs to the nearest two or
three.
"""


@dataclass(frozen=True, slots=True, eq=False)
class ImageEdges:
    """mask (H, W) bool: all edges. distance_px (4, H, W): to the nearest edge whose direction across it is
    within 45 degrees of 0 (an edge that runs up and down), 45, 90 (one that runs across) and 135 degrees.
    """

    mask: NDArray[np.bool_]
    distance_px: Float32


def image_edges(pixels: NDArray[np.uint8]) -> ImageEdges:
    """The edges of (H, W, 3) uint8 RGB, as many in a dark image as in a bright one.

    Source: Canny 1986, with thresholds at a share of the image's own gradients.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), pixels.shape[1] * BLUR_SHARE)
    to_right = cv2.Sobel(grey, cv2.CV_16S, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_16S, 0, 1)
    strength = np.hypot(to_right.astype(np.float32), down)
    strong = max(1.0, float(np.quantile(strength, 1 - STRONG_SHARE)))
    mask = cv2.Canny(to_right, down, strong / 2, strong, L2gradient=True) > 0
    across = np.arctan2(down[mask].astype(np.float64), to_right[mask])
    tables = np.empty((WAYS, *mask.shape), np.float32)
    for way in range(WAYS):
        chosen = np.zeros_like(mask)
        chosen[mask] = np.abs(np.cos(across - way * np.pi / WAYS)) >= np.cos(np.pi / 4) - 1e-6
        tables[way] = _distance(chosen)
    return ImageEdges(mask, tables)


def way_across(normal: np.ndarray) -> NDArray[np.int64]:
    """(N,) index into `distance_px` for directions (N, 2) px across an edge, either way round."""
    return np.round(np.arctan2(normal[:, 1], normal[:, 0]) / (np.pi / WAYS)).astype(np.int64) % WAYS


def _distance(edges: NDArray[np.bool_]) -> Float32:
    """(H, W) px; without any edge the image's diagonal."""
    if not edges.any():
        return np.full(edges.shape, np.hypot(*edges.shape), np.float32)
    return np.asarray(cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
