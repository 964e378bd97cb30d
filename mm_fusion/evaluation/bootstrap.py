"""How sure a score is: runs drawn again with replacement, and two methods compared on the same draws.

Frames of one run resemble each other, so the run and not the frame is what is drawn.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, percentile intervals of clustered data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Key = tuple[str, ...]
DRAWS = 1000
SEED = 20190801
FEWEST_RUNS = 3
"""With fewer runs nothing can be said of how they differ."""


class Statistic(Protocol):
    """A score that can be asked again as if each run had occurred another number of times."""

    def value(self, run_weights: NDArray[np.int64]) -> float:
        """The score with run r counted run_weights[r] times; NaN where nothing is left to score."""
        ...


def drawn_weights(runs: int, draws: int = DRAWS, seed: int = SEED) -> NDArray[np.int64]:
    """(draws, runs) how often each run was drawn; each row sums to `runs`. The same seed gives the same
    draws.
    """
    picks = np.random.default_rng(seed).integers(0, runs, (draws, runs))
    weights = np.zeros((draws, runs), np.int64)
    np.add.at(weights, (np.arange(draws)[:, None], picks), 1)
    return weights


def intervals(
    statistics: Mapping[Key, Statistic], runs: int, draws: int = DRAWS
) -> dict[Key, tuple[float, float] | None]:
    """The middle 95 % of each statistic over the draws; None with fewer than three runs."""
    if runs < FEWEST_RUNS:
        return dict.fromkeys(statistics)
    weights = drawn_weights(runs, draws)
    return {key: _middle(np.array([s.value(w) for w in weights])) for key, s in statistics.items()}


def paired_differences(
    ours: Mapping[Key, Statistic], theirs: Mapping[Key, Statistic], runs: int, draws: int = DRAWS
) -> dict[Key, dict[str, float | Sequence[float] | None]]:
    """{difference, interval, share_above_zero} of ours minus theirs on the same draws, for the keys that both
    have.
    """
    weights = drawn_weights(runs, draws) if runs >= FEWEST_RUNS else None
    once = np.ones(runs, np.int64)
    table: dict[Key, dict[str, float | Sequence[float] | None]] = {}
    for key in [key for key in ours if key in theirs]:
        entry: dict[str, float | Sequence[float] | None] = {
            "difference": ours[key].value(once) - theirs[key].value(once),
            "interval": None,
            "share_above_zero": None,
        }
        if weights is not None:
            gaps = np.array([ours[key].value(w) - theirs[key].value(w) for w in weights])
            entry |= {"interval": _middle(gaps), "share_above_zero": float(np.mean(gaps > 0))}
        table[key] = entry
    return table


def _middle(values: np.ndarray) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return None
    low, high = np.percentile(finite, (2.5, 97.5))
    return float(low), float(high)
