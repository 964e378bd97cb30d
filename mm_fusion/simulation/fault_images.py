"""Faults in a camera's picture, on pixels (H, W, 3) uint8 with their depth (H, W) m."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64
from mm_fusion.simulation.faults import Fault

Pixels = NDArray[np.uint8]

ROWS_GONE = (0.25, 0.5, 0.8)
VIEW_GONE = (0.2, 0.45, 0.75)
GLARE = (0.45, 0.75, 0.97)
COVERED = (0.08, 0.25, 0.6)
VISIBILITY_M = (150.0, 60.0, 25.0)
GRAIN = (12.0, 30.0, 70.0)
BANDS = (25.0, 60.0, 120.0)
FLARES = (1, 3, 8)
CONTRAST_LEFT = 3.0
"""Visibility is where contrast is exp(-3), 5 %, of that near by (Koschmieder)."""
FOG_GREY = 205.0


def spoil_image(
    pixels: Pixels, depth: Float32, fault: Fault, fixed: np.random.Generator, rng: np.random.Generator
) -> Pixels:
    """The picture with `fault`. fixed: what stays during the fault; rng: what differs in each picture."""
    match fault.fault:
        case "beam_loss":
            return _dead_rows(pixels, fault.level(ROWS_GONE), fixed)
        case "view_loss":
            return _covered_side(pixels, fault.level(VIEW_GONE), fixed)
        case "blinding":
            return _glare(pixels, fault.level(GLARE), fixed)
        case "dirt":
            return _dirt(pixels, fault.level(COVERED), fixed)
        case "fog":
            through = np.exp(-CONTRAST_LEFT * _finite(depth) / fault.level(VISIBILITY_M))
            return _mixed(pixels, through[:, :, None], FOG_GREY)
        case "noise":
            return _clipped(pixels + rng.normal(0, fault.level(GRAIN), pixels.shape))
        case "interference":
            return _bands(pixels, fault.level(BANDS), rng)
        case "ghosts":
            return _flares(pixels, int(fault.level(FLARES)), rng)
    return pixels


def _finite(depth: Float32) -> Float64:
    return np.where(np.isfinite(depth), depth, 1e4).astype(np.float64)


def _clipped(values: NDArray) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)


def _mixed(pixels: Pixels, share: NDArray, colour: float) -> Pixels:
    return _clipped(pixels * share + colour * (1 - share))


def _dead_rows(pixels: Pixels, share: float, fixed: np.random.Generator) -> Pixels:
    spoilt = pixels.copy()
    spoilt[fixed.permutation(len(pixels))[: round(share * len(pixels))]] = 0
    return spoilt


def _covered_side(pixels: Pixels, share: float, fixed: np.random.Generator) -> Pixels:
    """Black columns from the left or the right edge on."""
    spoilt, count = pixels.copy(), round(share * pixels.shape[1])
    if fixed.random() < 0.5:
        spoilt[:, :count] = 0
    else:
        spoilt[:, pixels.shape[1] - count :] = 0
    return spoilt


def _glare(pixels: Pixels, strength: float, fixed: np.random.Generator) -> Pixels:
    """White light around a low sun that reaches the whole picture."""
    height, width = pixels.shape[:2]
    x, y = fixed.uniform(0.2, 0.8) * width, fixed.uniform(0.1, 0.5) * height
    rows, columns = np.mgrid[:height, :width]
    far = np.hypot(columns - x, rows - y) / np.hypot(width, height)
    share = np.clip(strength * (0.6 + 0.8 * np.exp(-((far / 0.25) ** 2))), 0, 1)
    return _mixed(pixels, 1 - share[:, :, None], 255.0)


def _dirt(pixels: Pixels, share: float, fixed: np.random.Generator) -> Pixels:
    """Dark blots out of focus, over `share` of the picture."""
    import cv2

    height, width = pixels.shape[:2]
    field = cv2.resize(
        fixed.normal(size=(9, 16)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    edge = np.quantile(field, share)
    cover = 1 / (1 + np.exp(np.clip((field - edge) * 12, -50, 50)))
    blurred = cv2.GaussianBlur(pixels, (0, 0), max(1.0, width / 60))
    return _clipped(pixels * (1 - cover[:, :, None]) + (0.25 * blurred + 22) * cover[:, :, None])


def _bands(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Bright and dark bands that roll through, as of a disturbed supply."""
    rows = np.arange(len(pixels))
    wave = np.sin(2 * np.pi * (rows / len(pixels) * rng.uniform(4, 12) + rng.random()))
    lines = np.where(rng.random(len(pixels)) < 0.05, rng.normal(0, 1.5, len(pixels)), 0)
    return _clipped(pixels + strength * (wave + lines)[:, None, None])


def _flares(pixels: Pixels, count: int, rng: np.random.Generator) -> Pixels:
    """Bright discs of light reflected between lenses."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    light = np.zeros((height, width, 3))
    for _ in range(count):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.03, 0.09) * width
        disc = np.clip(1.2 - np.hypot(columns - x, rows - y) / radius, 0, 1)
        light += disc[:, :, None] * rng.uniform(80, 200, 3)
    return _clipped(pixels + light)
