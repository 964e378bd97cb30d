"""Colours of all pictures, as (red, green, blue) 0..255; classes wear those of RViz."""

from __future__ import annotations

from mm_fusion.detections import CLASSES
from mm_fusion.messages.encode_markers import COLORS

Colour = tuple[int, int, int]


def _bright(colour: tuple[float, float, float]) -> Colour:
    """A class colour made light enough for a dark ground: its largest part brought to 255, greys less."""
    scale = 255.0 / max(colour) if max(colour) - min(colour) > 0.1 else 255.0
    red, green, blue = (min(255, round(part * scale * 0.85 + 255 * 0.15)) for part in colour)
    return red, green, blue


UNKNOWN: Colour = (132, 138, 148)
"""Not the markers' light grey, which is too near to the white of truth on a dark ground."""

CLASS_COLOURS: tuple[Colour, ...] = tuple(
    UNKNOWN if name == "unknown" else _bright(COLORS[name]) for name in CLASSES
)
"""By class id."""

GROUND: Colour = (16, 18, 22)
PANEL: Colour = (28, 31, 37)
RING: Colour = (54, 58, 66)
RING_TEXT: Colour = (128, 134, 146)
TEXT: Colour = (228, 231, 236)
TRUTH: Colour = (255, 255, 255)
EGO: Colour = (190, 196, 206)
LIDAR_LOW: Colour = (52, 66, 84)
LIDAR_HIGH: Colour = (150, 176, 200)
RADAR: Colour = (0, 200, 160)
RADAR_MOVING: Colour = (255, 176, 32)
EDGE_IMAGE: Colour = (0, 200, 255)
EDGE_SIDE: Colour = (255, 64, 64)
EDGE_TOP: Colour = (96, 255, 96)
