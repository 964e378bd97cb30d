"""Light and lens of a camera changed: brightness, contrast, colour, blur and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BRIGHTNESS = 40.0
"""Largest shift to either side, grey levels."""
CONTRAST = 0.3
COLOUR = 0.12
"""Largest share to either side, of all channels and of each alone."""
BLUR, NOISE = 0.2, 0.2
"""Chance of each, of the images that change at all."""
NOISE_LEVELS = 10.0
"""Largest standard deviation of the noise, grey levels."""
NOISE_PIXELS = 1 << 16


class Photometric:
    """Changes the network's images in place, each its own way around one change of the whole frame."""

    def __init__(self, share: float, rng: np.random.Generator) -> None:
        self._share, self._rng = share, rng

    def __call__(self, images: NDArray[np.uint8]) -> None:
        """Change images (N, 3, h, w) in place; slots without image (all zero) stay so."""
        rng = self._rng
        if rng.random() >= self._share:
            return
        light = rng.uniform(-1, 1, 2)
        for image in images:
            own = 0.8 * light + 0.2 * rng.uniform(-1, 1, 2)
            tables = level_tables(own[0], own[1], rng.uniform(-1, 1, 3))
            blur, noise = rng.random() < BLUR, rng.random() < NOISE
            seed = int(rng.integers(2**32))
            if not image.any():
                continue
            for plane, table in zip(image, tables):
                plane[:] = table[plane]
            if blur:
                blurred(image)
            if noise:
                noisy(image, np.random.default_rng(seed))


def level_tables(brightness: float, contrast: float, colour: np.ndarray) -> NDArray[np.uint8]:
    """(3, 256): what each level of each channel becomes; all arguments -1..1, 0 changes nothing."""
    gain = (1 + CONTRAST * contrast) * (1 + COLOUR * np.asarray(colour))[:, None]
    levels = (np.arange(256) - 128) * gain + 128 + BRIGHTNESS * brightness
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def blurred(image: NDArray[np.uint8]) -> None:
    """Blur (3, h, w) by 3 x 3 pixels in place."""
    import cv2

    for plane in image:
        plane[:] = cv2.GaussianBlur(np.ascontiguousarray(plane), (3, 3), 0)


def noisy(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Add noise to (3, h, w) in place; one drawn patch, repeated, is as good as new draws and cheaper."""
    sigma = rng.uniform(2, NOISE_LEVELS)
    patch = rng.normal(0, sigma, min(NOISE_PIXELS, image.size)).astype(np.int16)
    noise = np.resize(patch, image.shape)
    image[:] = np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8)
