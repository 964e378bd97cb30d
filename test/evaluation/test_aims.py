"""What a report says of the aims."""

from __future__ import annotations

from typing import Any

import pytest

from mm_fusion.evaluation.aims import aims_of


def entry(score: float, kept: float = 50.0, struck: float = 100.0, loss: float = 0.0) -> dict[str, Any]:
    difference = {"map": {"difference": -loss}}
    return {"map": score, "kept": kept, "struck_percent": struck, "difference_to_full": difference}


def tree(conditions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    subsets = {
        name: {"nuscenes": {"map": value}} for name, value in {"CLR": 50.0, "L": 40.0, "R": 20.0}.items()
    }
    empty = {"full": "CLR", "subsets": subsets, "against": None, "radar_and_velocity": {}}
    return {**empty, "conditions": conditions, **changes}


def verdicts(tree: dict[str, Any]) -> dict[str, bool | None]:
    return {row["what"]: row["reached"] for row in aims_of(tree)}


def test_without_conditions_only_the_gain_is_told() -> None:
    rows = aims_of(tree({}))
    assert len(rows) == 1 and rows[0]["value"] == pytest.approx(10) and rows[0]["reached"] is None


def test_shares_are_judged_by_their_own_limits() -> None:
    found = verdicts(tree({"lidar_lost": entry(40, 80), "cameras_lost": entry(40, 80)}))
    assert found["lidar_lost: kept"] is True and found["cameras_lost: kept"] is False


def test_a_model_hardly_above_the_geometric_one_is_not_judged_by_what_it_keeps() -> None:
    for gap, reached in ((9.0, None), (11.0, True)):
        differences = {"subsets": {"CLR": {"map": {"difference": gap}}}}
        one = tree({"lidar_lost": entry(40, 80)}, against={"name": "geometric"}, differences=differences)
        assert verdicts(one)["lidar_lost: kept"] is reached


def test_a_lying_sensor_is_compared_with_its_absence() -> None:
    found = verdicts(tree({"radar_wrong": entry(30), "radars_lost": entry(33)}))
    assert found["radar wrong against absent"] is False
    assert "lidar wrong against absent" not in verdicts(tree({"lidar_wrong": entry(30)}))


def test_what_struck_too_little_is_not_judged() -> None:
    assert verdicts(tree({"camera_lag": entry(50, struck=20)}))["camera_lag"] is None
    assert verdicts(tree({"camera_lag": entry(50, loss=4)}))["camera_lag"] is False
    assert verdicts(tree({"turned_lidar": entry(50, loss=9)}))["turned_lidar"] is None


def test_velocity_is_judged_for_the_radar_beside_the_camera() -> None:
    side = {"with": 1.0, "without": 2.5, "ratio": 0.4, "interval": None}
    for objects, reached in ((30, True), (2, None)):
        pairs = {"CR against C": {"objects": objects, "radial": side, "tangential": {**side, "ratio": None}}}
        found = verdicts(tree({}, radar_and_velocity=pairs))
        assert found["radial velocity error, CR against C"] is reached
        assert "tangential velocity error, CR against C" not in found
