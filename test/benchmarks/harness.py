"""Side-by-side timing: ours and what a user would write otherwise, interleaved in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ratio:
    """Medians of interleaved runs in ms. aim: what the issue asks for, as text."""

    ours_ms: float
    plain_ms: float
    name: str = ""
    aim: str = ""

    @property
    def ours_over_plain(self) -> float:
        """How many times longer ours takes (below 1: ours is faster)."""
        return self.ours_ms / self.plain_ms if self.plain_ms else float("nan")


def side_by_side(
    ours: Callable[[], Any], plain: Callable[[], Any], runs: int, name: str = "", aim: str = ""
) -> Ratio:
    """Median times of `ours` and `plain`, run in turn so that both see the same machine, after a warm-up."""
    ours(), plain()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(max(1, runs)):
        for function, taken in zip((ours, plain), times):
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
    return Ratio(*(statistics.median(taken) * 1e3 for taken in times), name, aim)


def print_table(ratios: Iterable[Ratio]) -> None:
    """One row a case: name, ours and plain in ms, how many times faster ours is, and the aim."""
    print(f"{'case':<44}{'ours ms':>10}{'plain ms':>10}{'ours/plain':>12}{'plain/ours':>12}  aim")
    for row in ratios:
        share = row.ours_over_plain
        print(
            f"{row.name:<44}{row.ours_ms:>10.3f}{row.plain_ms:>10.3f}{share:>12.2f}{1 / share:>12.2f}  "
            f"{row.aim}"
        )
