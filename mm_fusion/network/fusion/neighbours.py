"""Maps seen from the cells beside: shifted copies, zero beyond the edge of the grid."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

AROUND = tuple((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1))
"""A cell and its eight neighbours, in cells along x and y."""


def seen_from(maps: Tensor, places: tuple[tuple[int, int], ...] = AROUND) -> list[Tensor]:
    """For each (dx, dy) the map (..., X, Y) whose cell (x, y) holds what stands at (x + dx, y + dy)."""
    reach = max(max(abs(dx), abs(dy)) for dx, dy in places)
    if not reach:
        return [maps for _ in places]
    x, y = maps.shape[-2:]
    wide = functional.pad(maps, (reach, reach, reach, reach))
    return [wide[..., reach + dx : reach + dx + x, reach + dy : reach + dy + y] for dx, dy in places]
