"""What lens and chip do to the light of a scene: blur, drops, dirt, exposure, noise, gamma."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64

TARGET_LEVEL = 0.22
"""Mean linear level that the automatic exposure aims at, of 1 for white."""
DUSK_LEVEL = 0.03
GAIN_LIMITS = (0.25, 12.0)
VIGNETTE = 0.28
LENS_BLUR_PX = 0.55
SHOT_NOISE, READ_NOISE = 1.1e-4, 0.0011
"""Variance per unit of light, and standard deviation in the dark, before the gain (about 9,000 electrons)."""
GAMMA = 2.2
BLOOM_LEVEL, BLOOM_SHARE = 1.5, 0.05
DROPS_PER_RAIN, MOST_DROPS = 1.1, 28
STREAKS_PER_RAIN = 3.0


@njit(cache=True, nogil=True)
def smeared(image: Float32, flow: Float32, samples: int) -> Float32:
    """The image (H, W, 3) averaged along each pixel's own way (H, W, 2) px during the exposure."""
    height, width, _ = image.shape
    out = np.empty_like(image)
    for row in range(height):
        for column in range(width):
            red = green = blue = np.float32(0)
            for k in range(samples):
                share = (k + 0.5) / samples - 0.5
                r = min(max(int(row + share * flow[row, column, 1] + 0.5), 0), height - 1)
                c = min(max(int(column + share * flow[row, column, 0] + 0.5), 0), width - 1)
                red, green, blue = red + image[r, c, 0], green + image[r, c, 1], blue + image[r, c, 2]
            out[row, column, 0] = red / samples
            out[row, column, 1] = green / samples
            out[row, column, 2] = blue / samples
    return out


class Lens:
    """One camera's glass: falloff and dust of its own (seeded by its name), rain drops that come and go."""

    def __init__(self, name: str, width_px: int, height_px: int) -> None:
        self._seed = zlib.crc32(name.encode())
        self._size = width_px, height_px
        x, y = np.meshgrid(np.linspace(-1, 1, width_px), np.linspace(-1, 1, height_px))
        falloff = 1 - VIGNETTE * (x**2 + y**2) / 2
        self._throughput = (falloff * self._specks(x, y * height_px / width_px))[..., None].astype(np.float32)

    def _specks(self, x: Float64, y: Float64) -> Float64:
        """Dust, out of focus: a few faint dark spots (H, W)."""
        rng = np.random.default_rng((self._seed, 1))
        clear = np.ones_like(x)
        for _ in range(int(rng.integers(2, 7))):
            radius, depth = rng.uniform(0.02, 0.06), rng.uniform(0.02, 0.10)
            u, v = rng.uniform(-1, 1, 2)
            clear -= depth * np.exp(-((((x - u) ** 2 + (y - v * y.max()) ** 2) / radius**2) ** 2))
        return clear.clip(0.3, 1)

    def through(self, light: Float32, time_s: float, rain_mm_h: float, rng: np.random.Generator) -> Float32:
        """Light (H, W, 3) on the chip: rain in the air and on the glass, bloom, blur, falloff and dust."""
        import cv2

        if rain_mm_h > 0:
            light = self._streaked(light, rain_mm_h, rng)
            light = self._with_drops(light, time_s, rain_mm_h)
        bright = np.maximum(light - BLOOM_LEVEL, 0)
        if bright.max() > 0:
            sigma = max(1.5, self._size[0] / 120)
            light = light + BLOOM_SHARE * 8 * cv2.GaussianBlur(np.minimum(bright, 8), (0, 0), sigma)
        blurred: Float32 = cv2.GaussianBlur(light, (0, 0), LENS_BLUR_PX) * self._throughput
        return blurred

    def _streaked(self, light: Float32, rain_mm_h: float, rng: np.random.Generator) -> Float32:
        """Drops that fall through the view while the shutter is open: thin, faint, nearly upright."""
        import cv2

        width, height = self._size
        count = int(min(STREAKS_PER_RAIN * rain_mm_h, 150))
        start = rng.random((count, 2)) * (width, height)
        length = height * rng.uniform(0.03, 0.14, count)
        end = start + np.column_stack([length * rng.normal(0.06, 0.05, count), length])
        drawn: Any = np.zeros((height, width), np.float32)
        for a, b, strength in zip(start, end, rng.uniform(0.02, 0.10, count)):
            cv2.line(drawn, tuple(a.astype(int).tolist()), tuple(b.astype(int).tolist()), float(strength), 1)
        level = float(light.mean()) * 2
        return light * (1 - drawn[..., None]) + drawn[..., None] * np.float32(level)

    def _with_drops(self, light: Float32, time_s: float, rain_mm_h: float) -> Float32:
        """Drops on the glass: each shows the scene behind it upside down, small and out of focus."""
        import cv2

        width, height = self._size
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        inside = np.zeros((height, width), np.float32)
        for u, v, radius in self._drops(time_s, rain_mm_h):
            cx, cy, size = u * width, v * height, radius * width
            top, left = max(int(cy - size), 0), max(int(cx - size), 0)
            here = np.s_[top : int(cy + size) + 1, left : int(cx + size) + 1]
            dx, dy = columns[here] - np.float32(cx), rows[here] - np.float32(cy)
            cover = (1.6 * (1 - (dx**2 + dy**2) / size**2)).clip(0, 1)
            columns[here] -= np.where(cover > 0, dx * 4.5, 0)
            rows[here] -= np.where(cover > 0, dy * 4.5, 0)
            inside[here] = np.maximum(inside[here], cover)
        soft = cv2.GaussianBlur(light, (0, 0), max(1.0, width / 150))
        bent = cv2.remap(soft, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return light * (1 - inside[..., None]) + bent * inside[..., None]

    def _drops(self, time_s: float, rain_mm_h: float) -> list[tuple[float, float, float]]:
        """Centre (shares of the image) and radius (share of its width) of the drops there are at a time."""
        drops = []
        for index in range(int(min(MOST_DROPS, 3 + DROPS_PER_RAIN * rain_mm_h))):
            of_drop = np.random.default_rng((self._seed, 2, index))
            period, phase = of_drop.uniform(2, 6), of_drop.uniform(0, 6)
            life, age = divmod(time_s + 100 + phase, period)
            now = np.random.default_rng((self._seed, 3, index, int(life)))
            u, v, radius = now.random(), now.random(), now.uniform(0.008, 0.03)
            drops.append((u, v + 0.02 * age, radius))
        return drops


def exposure_gain(light: Float32, rng: np.random.Generator) -> float:
    """The gain of an automatic exposure for light (H, W, 3): the mean, bright spots cut, comes to its aim.

    The aim falls in the dark, as cameras let a night be one.
    """
    level = float(np.minimum(light[::4, ::4], 1.2).mean())
    wanted = TARGET_LEVEL / (level + DUSK_LEVEL)
    return float(np.clip(wanted, *GAIN_LIMITS) * np.exp(rng.normal(0, 0.03)))


def developed(light: Float32, gain: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of light on the chip: shot and read noise, gain, saturation, gamma."""
    noise = rng.standard_normal(light.shape, np.float32)
    noisy = light + noise * np.sqrt(SHOT_NOISE * np.maximum(light, 0) + np.float32(READ_NOISE**2))
    return _tone(noisy, np.float32(gain), _gamma_table())


@njit(cache=True, nogil=True)
def _tone(light: Float32, gain: float, table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    flat = light.ravel()
    out = np.empty(len(flat), np.uint8)
    last = len(table) - 1
    for i in range(len(flat)):
        value = flat[i] * gain
        # A shoulder in place of a hard stop: highlights keep a little drawing.
        value = value if value < 0.7 else 0.7 + 0.3 * (1 - np.exp(-(value - 0.7) / 0.3))
        out[i] = table[min(max(int(value * last), 0), last)]
    return out.reshape(light.shape)


def _gamma_table() -> NDArray[np.uint8]:
    return np.round(255 * np.linspace(0, 1, 4096) ** (1 / GAMMA)).astype(np.uint8)
