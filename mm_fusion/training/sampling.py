"""Which frames make each batch: sources by share, rare classes more often, shards window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import ConfigurationError
from mm_fusion.training.changes import Frames, class_ids_of
from mm_fusion.training.datasets import Sample, SampleDataset
from mm_fusion.training.settings import BalanceConfig

WINDOW = 4
"""Shards among whose frames is shuffled; no more than `shard_frames.SHARDS_KEPT`."""
Numbers = NDArray[np.int64]


class Draw(NamedTuple):
    """One frame of a batch: which part, which of its frames, and the how-manieth draw of the run it is.

    All that is random in a sample hangs on the seed and on `turn`, never on the process that makes it.
    """

    part: int
    number: int
    turn: int


class Mixture:
    """Several data sets as one, asked by `Draw`."""

    def __init__(self, parts: Sequence[SampleDataset]) -> None:
        self._parts = list(parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def __getitem__(self, draw: Draw) -> Sample:
        return self._parts[draw.part].sample(draw.number, draw.turn)


class Source:
    """An endless order of one data set's frames; every pass is shuffled anew.

    ends: where each shard ends. factors: (N,) from 1 up, how often each frame comes per pass on average.
    """

    def __init__(self, ends: NDArray[Any], factors: NDArray[np.float64]) -> None:
        self._ends, self._factors = np.asarray(ends, np.int64), factors

    def numbers(self, seed: tuple[int, ...]) -> Iterator[int]:
        """Frame numbers without end."""
        number = 0
        while True:
            yield from self.one_pass(np.random.default_rng((*seed, number))).tolist()
            number += 1

    def one_pass(self, rng: np.random.Generator) -> Numbers:
        """Every frame, as often as its factor says (its fraction as a chance), window by window of shards."""
        whole = np.floor(self._factors)
        often = (whole + (rng.random(len(whole)) < self._factors - whole)).astype(np.int64)
        starts = np.concatenate([[0], self._ends[:-1]])
        shards = rng.permutation(len(starts))
        passes: list[Numbers] = []
        for first in range(0, len(shards), WINDOW):
            spans = [np.arange(starts[s], self._ends[s]) for s in shards[first : first + WINDOW]]
            numbers = np.concatenate(spans)
            passes.append(rng.permutation(np.repeat(numbers, often[numbers])))
        return np.concatenate(passes)


class MixedBatches:
    """Batches of `Draw`s without end, the same for the same seed; begins at step `first`.

    A batch sampler for PyTorch's DataLoader. shares: of each source, summing to one. rank, world: this
    process of several that train together, each of which gets batches of its own.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shares: Sequence[float],
        batch: int,
        seed: int,
        first: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._sources, self._shares = list(sources), np.asarray(shares, np.float64)
        self._batch, self._seed, self._first = batch, seed, first
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[list[Draw]]:
        draws = islice(self._draws(), self._first * self._world * self._batch, None)
        while True:
            for rank in range(self._world):
                batch = list(islice(draws, self._batch))
                if rank == self._rank:
                    yield batch

    def _draws(self) -> Iterator[Draw]:
        orders = [source.numbers((self._seed, part)) for part, source in enumerate(self._sources)]
        taken = np.zeros(len(orders))
        turn = 0
        while True:
            # the source that is farthest behind its share
            part = int(np.argmax((turn + 1) * self._shares - taken))
            taken[part] += 1
            yield Draw(part, next(orders[part]), turn)
            turn += 1


def make_source(frames: Frames, present: NDArray[np.bool_], balance: BalanceConfig) -> Source:
    """The order of a data set's frames, those with rare classes repeated; present: see `class_presence`."""
    ends = getattr(frames, "shard_ends", np.array([len(frames)]))
    return Source(ends, repeat_factors(present, balance))


def class_presence(frames: Frames, classes: Sequence[int]) -> NDArray[np.bool_]:
    """(N, K): which of K classes (ids) each frame holds."""
    ids = class_ids_of(frames)
    return np.array([np.isin(classes, each) for each in ids], bool).reshape(len(frames), len(classes))


def repeat_factors(present: NDArray[np.bool_], balance: BalanceConfig) -> NDArray[np.float64]:
    """(N,) how often each frame should come, 1 up to `at_most`, by the rarest class that it holds.

    Source: repeat-factor sampling of LVIS (Gupta et al., 2019).
    """
    share = np.maximum(present.mean(axis=0), 1e-9)
    factors = np.clip(np.sqrt(balance.seen_in / share), 1.0, balance.at_most)
    return np.asarray(np.where(present, factors, 1.0).max(axis=1, initial=1.0), np.float64)


def shares_of(wanted: Sequence[float] | None, sizes: Sequence[int]) -> list[float]:
    """Share of each source, summing to one; None: as their sizes are. Raises `ConfigurationError`."""
    shares = [float(size) for size in sizes] if wanted is None else list(wanted)
    if len(shares) != len(sizes):
        raise ConfigurationError(
            f"shares: expected one for each of {len(sizes)} folders of data, got {len(shares)}"
        )
    if min(shares) < 0 or sum(shares) <= 0:
        raise ConfigurationError(f"shares: expected numbers from 0 with one above, got {shares}")
    return [share / sum(shares) for share in shares]
