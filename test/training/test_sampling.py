"""Which frames come, how often, in which order, and from which source."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.errors import ConfigurationError
from mm_fusion.training.sampling import WINDOW, MixedBatches, Source, repeat_factors, shares_of
from mm_fusion.training.settings import BalanceConfig


def source(*shards: int) -> Source:
    ends = np.cumsum(shards)
    return Source(ends, np.ones(ends[-1]))


def batches(count: int, **changes) -> list:
    given = {"sources": [source(8, 8), source(4)], "shares": [0.75, 0.25], "batch": 4, "seed": 3, **changes}
    return list(islice(MixedBatches(**given), count))


def test_every_frame_comes_once_a_pass_and_a_window_at_a_time():
    one = source(*[5] * (2 * WINDOW))
    order = one.one_pass(np.random.default_rng(0))
    assert sorted(order) == list(range(10 * WINDOW))
    assert len({number // 5 for number in order[: 5 * WINDOW]}) == WINDOW
    assert order.tolist() != one.one_pass(np.random.default_rng(1)).tolist()


def test_sources_come_by_their_shares_in_every_batch():
    for batch in batches(6):
        assert sorted(draw.part for draw in batch) == [0, 0, 0, 1]
    fifth = [draw.part for batch in batches(5, shares=[0.9, 0.1]) for draw in batch]
    assert fifth.count(1) == 2


def test_each_source_is_read_to_its_end_before_it_comes_again():
    first = [draw.number for batch in batches(4) for draw in batch if draw.part == 1]
    assert sorted(first) == [0, 1, 2, 3]
    turns = [draw.turn for batch in batches(5) for draw in batch]
    assert turns == list(range(20))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(1, 3), st.integers(0, 5))
def test_going_on_and_training_together_change_nothing(first: int, world: int, seed: int):
    whole = batches(world * 12 + world * first, seed=seed)
    for rank in range(world):
        mine = batches(12, seed=seed, first=first, rank=rank, world=world)
        assert mine == whole[world * first + rank :: world][:12]


def test_rare_classes_come_more_often_up_to_a_limit():
    present = np.zeros((400, 3), bool)
    present[:, 0], present[:16, 1], present[20, 2] = True, True, True
    factors = repeat_factors(present, BalanceConfig(seen_in=0.25, at_most=4))
    assert factors[0] == pytest.approx(2.5) and factors[20] == 4 and factors[30] == 1
    assert repeat_factors(np.zeros((2, 0), bool), BalanceConfig()).tolist() == [1, 1]
    order = Source(np.array([400]), factors).one_pass(np.random.default_rng(0))
    counts = np.bincount(order)
    assert counts[20] == 4 and set(counts[:16]) == {2, 3} and (counts[30:] == 1).all()


def test_shares_are_checked():
    assert shares_of(None, [30, 10]) == [0.75, 0.25]
    assert shares_of([1, 1], [30, 10]) == [0.5, 0.5]
    for wrong in ([0.5], [0.0, 0.0], [2.0, -1.0]):
        with pytest.raises(ConfigurationError, match="shares"):
            shares_of(wrong, [30, 10])
