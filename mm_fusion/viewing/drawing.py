"""Strokes that all pictures share: text on a backing, dashes, arrows. Pictures are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.viewing.palette import Colour

Picture = NDArray[np.uint8]
Pixel = tuple[int, int]

MOVING_MPS = 1.0
"""Slower is drawn as standing."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHIFT = 4  # OpenCV draws to 1/16 px
_FAR = 1 << 20


def blank(height: int, width: int, colour: Colour) -> Picture:
    """An empty picture."""
    return np.full((height, width, 3), colour, np.uint8)


def text_size(text: str, scale: float) -> tuple[int, int]:
    """Width and height of a line of text, px."""
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return int(width), int(height)


def write(picture: Picture, text: str, at: Pixel, colour: Colour, scale: float = 0.5) -> None:
    """One line of text with its lower left corner at `at`."""
    cv2.putText(picture, text, at, _FONT, scale, colour, 1, cv2.LINE_AA)


def write_on_backing(
    picture: Picture, text: str, at: Pixel, colour: Colour, backing: Colour, scale: float = 0.45
) -> None:
    """One line of text on a half-transparent patch, moved inside the picture where it would be cut."""
    width, height = text_size(text, scale)
    left = int(np.clip(at[0], 2, max(2, picture.shape[1] - width - 6)))
    bottom = int(np.clip(at[1], height + 6, max(height + 6, picture.shape[0] - 4)))
    patch = picture[bottom - height - 4 : bottom + 4, left - 2 : left + width + 4]
    patch[:] = (patch * 0.3 + np.array(backing) * 0.7).astype(np.uint8)
    write(picture, text, (left, bottom), colour, scale)


def lines(picture: Picture, points: np.ndarray, colour: Colour, width: int = 1, closed: bool = False) -> None:
    """A line through (N, 2) px, to a fraction of a pixel."""
    if len(points) < 2 or not np.isfinite(points).all():
        return
    fixed = np.clip(np.round(points * 2**_SHIFT), -_FAR, _FAR).astype(np.int32)
    cv2.polylines(picture, [fixed.reshape(-1, 1, 2)], closed, colour, width, cv2.LINE_AA, _SHIFT)


def dashed(picture: Picture, points: np.ndarray, colour: Colour, width: int = 1, dash: float = 7.0) -> None:
    """A closed dashed line through (N, 2) px."""
    for start, end in zip(points, np.roll(points, -1, axis=0)):
        count = max(1, int(np.hypot(*(end - start)) // dash))
        cuts = start + np.linspace(0, 1, count + 1)[:, None] * (end - start)
        for a, b in zip(cuts[:-1:2], cuts[1::2]):
            lines(picture, np.array([a, b]), colour, width)


def arrow(picture: Picture, start: np.ndarray, end: np.ndarray, colour: Colour, width: int = 2) -> None:
    """An arrow from `start` to `end`, (2,) px, with a head of fixed size."""
    length = float(np.hypot(*(end - start)))
    if not np.isfinite(length) or length < 1:
        return
    ahead = (end - start) / length
    side = np.array([-ahead[1], ahead[0]])
    size = min(9.0, 0.5 * length + 2)
    barbs = end - ahead * size + side * size / 2, end, end - ahead * size - side * size / 2
    lines(picture, np.array([start, end]), colour, width)
    lines(picture, np.array(barbs), colour, width)


def dots(picture: Picture, pixels: np.ndarray, colours: np.ndarray, size: int = 1) -> None:
    """Square dots of `size` px at (N, 2) px in (N, 3) uint8 colours; later ones cover earlier ones."""
    height, width = picture.shape[:2]
    at = np.floor(np.nan_to_num(pixels, nan=-1e6)).astype(np.int64)
    first = -(size // 2)
    for dx in range(first, first + size):
        for dy in range(first, first + size):
            x, y = at[:, 0] + dx, at[:, 1] + dy
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            picture[y[inside], x[inside]] = colours[inside]


def blend(low: Colour, high: Colour, share: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 colours between `low` (share 0) and `high` (share 1)."""
    part = np.clip(share, 0, 1)[:, None]
    return np.asarray((np.array(low) * (1 - part) + np.array(high) * part).astype(np.uint8))


def free_places(rectangles: Sequence[tuple[int, int, int, int]]) -> list[bool]:
    """Which rectangles (left, top, right, bottom) can be filled in order without covering an earlier one."""
    taken: list[tuple[int, int, int, int]] = []
    free = []
    for left, top, right, bottom in rectangles:
        clear = all(right <= a or left >= c or bottom <= b or top >= d for a, b, c, d in taken)
        free.append(clear)
        if clear:
            taken.append((left, top, right, bottom))
    return free
