"""Configuration: what is wrong is named with file, key and cure."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mm_fusion.config import VehicleConfig, dump_config, find_file, load_config, load_vehicle, parse_config
from mm_fusion.errors import ConfigurationError

SMALL = {"sensors": {"lidar": {"kind": "lidar", "topic": "/points"}}, "alignment": {"reference": ["lidar"]}}


def changed(path: str, value: object) -> dict:
    tree = yaml.safe_load(yaml.safe_dump(SMALL))
    *parents, last = path.split(".")
    node = tree
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    return tree


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("alignment.buget_ms", 5, "unknown key alignment.buget_ms; did you mean budget_ms?"),
        ("sensors.lidar.max_age_s", 1, "unknown key sensors.lidar.max_age_s; did you mean max_age_ms?"),
        ("sensors.lidar.kind", "sonar", "sensors.lidar.kind"),
        ("sensors.lidar.max_age_ms", -1, "sensors.lidar.max_age_ms"),
        ("alignment.reference", ["radar"], "names 'radar'; sensors are lidar"),
        ("alignment.reference", [], "alignment.reference"),
        ("sensors", {}, "sensors"),
        ("ego_motion", [{"kind": "odometry"}], "needs a topic"),
        ("sensors.lidar.camera", {"width_px": 1, "height_px": 1, "matrix": [1.0] * 9}, "kind lidar"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match="(?s)my.yaml.*" + words.replace(".", r"\.")) as said:
        parse_config(changed(path, value), VehicleConfig, "my.yaml")
    assert "/points" not in str(said.value), "the whole tree is no part of a message"


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "\x00"])
def test_a_file_that_is_no_tree_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "car.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"car\.yaml"):
        load_config(path, VehicleConfig)


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ConfigurationError, match=r"astyx\.yaml.*minimal\.yaml"):
        load_vehicle("no_such_car")


@pytest.mark.parametrize("name", ["astyx", "astyx_like", "nuscenes_like", "minimal", "unseen_like"])
def test_shipped_vehicles_load_and_survive_a_dump(tmp_path: Path, name: str) -> None:
    vehicle = load_vehicle(name)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_config(vehicle))
    assert load_config(copy, VehicleConfig) == vehicle


def test_a_path_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("astyx").write_text(yaml.safe_dump(SMALL))
    assert find_file("config/vehicles", "astyx") == Path("astyx")
