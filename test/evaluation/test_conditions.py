"""Names of subsets and conditions."""

from __future__ import annotations

import pytest

from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.conditions import (
    NAMED,
    SUBSETS,
    Condition,
    full_subset,
    parse_conditions,
    parse_subsets,
    possible_subsets,
    words_of,
)


def test_nothing_is_nothing() -> None:
    assert parse_conditions("none") == parse_conditions("") == []
    assert parse_subsets("") == []


def test_sets_hold_every_condition_once() -> None:
    table, faults, both = (parse_conditions(name) for name in ("table", "faults", "all"))
    assert [c.name for c in table] == list(NAMED)
    assert len(faults) == 18 * 3 and len(set(both)) == len(both) == len(table) + len(faults)
    assert parse_conditions("table,lidar_lost") == table
    assert all(words_of(condition) for condition in both)


def test_a_fault_strikes_one_kind_in_turn_unless_told_and_fog_all() -> None:
    assert parse_conditions("noise, fog:3, noise@radar:1") == [
        Condition("noise", "noise", "", 2),
        Condition("fog", "fog", "all", 3),
        Condition("noise@radar", "noise", "radar", 1),
    ]
    assert parse_conditions("noise@radar:1")[0].label == "noise@radar:1"
    assert parse_conditions("lidar_lost")[0].label == "lidar_lost"


def test_subsets_in_any_order_of_letters() -> None:
    assert parse_subsets("all") == list(SUBSETS)
    assert parse_subsets("rlc, c,CLR") == ["CLR", "C"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("mist", "unknown condition 'mist'; choices are all, table"),
        ("fog:4", "unknown severity '4'; choices are 1, 2, 3"),
        ("fog@sonar", "unknown kind 'sonar'; choices are camera, lidar, radar, all"),
        ("lidar_lost:2", "lidar_lost has neither a kind nor a severity"),
    ],
)
def test_unknown_conditions_are_named_with_the_choices(words: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_conditions(words)


def test_unknown_subsets_are_named_with_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="unknown subset 'X'; choices are all, CLR"):
        parse_subsets("CL,X")


def test_only_what_the_vehicle_carries_is_possible() -> None:
    assert possible_subsets(SUBSETS, {"lidar", "radar"}) == ["LR", "L", "R"]
    assert full_subset({"radar", "camera"}) == "CR" and full_subset(set()) == ""
