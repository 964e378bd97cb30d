from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mm_fusion.config import VehicleConfig, load_vehicle, parse_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.nodes.parameter_tree import check_names, leaves, overridden, tree

SMALL = {"sensors": {"lidar": {"kind": "lidar", "topic": "/points"}}, "alignment": {"reference": ["lidar"]}}


@pytest.fixture
def small() -> VehicleConfig:
    return parse_config(SMALL, VehicleConfig, "test")


def test_no_values_make_an_empty_tree() -> None:
    assert tree([]) == {}


@pytest.mark.parametrize("name", ["minimal", "nuscenes_like"])
def test_tree_of_leaves_is_the_vehicle_again(name: str) -> None:
    vehicle = load_vehicle(name)
    back = parse_config(tree(overridden(leaves(vehicle), {})), VehicleConfig, "test")
    assert back == vehicle


def test_leaf_carries_description_range_and_choices(small: VehicleConfig) -> None:
    by_name = {leaf.name: leaf for leaf in leaves(small)}
    budget = by_name["alignment.budget_ms"]
    assert (budget.kind, budget.minimum, budget.maximum) == (float, 0, 5000)
    assert "longest wait" in budget.description
    assert by_name["sensors.lidar.qos"].choices == ("auto", "reliable", "best_effort")
    assert by_name["sensors.lidar.mount.xyz"].many and by_name["sensors.lidar.mount.xyz"].value is None


def test_optional_section_appears_with_its_first_value(small: VehicleConfig) -> None:
    values = {"sensors.lidar.mount.xyz": [1.0, 2.0, 3.0], "alignment.budget_ms": 30}
    vehicle = parse_config(tree(overridden(leaves(small), values)), VehicleConfig, "test")
    assert vehicle.sensors["lidar"].mount is not None
    assert vehicle.sensors["lidar"].mount.xyz == (1.0, 2.0, 3.0)
    assert vehicle.alignment.budget_ms == 30.0


def test_unknown_name_is_an_error_that_names_the_nearest(small: VehicleConfig) -> None:
    known = [leaf.name for leaf in leaves(small)]
    check_names(known, known)
    with pytest.raises(ConfigurationError, match=r"alignment\.budget; did you mean alignment\.budget_ms"):
        check_names(["alignment.budget"], known)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=4))
def test_indices_become_a_list_in_order(numbers: list[float]) -> None:
    pairs = [(("list", index, "value"), number) for index, number in enumerate(numbers)]
    assert tree(reversed(pairs)) == {"list": [{"value": number} for number in numbers]}
