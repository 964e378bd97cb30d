from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

from mm_fusion.alignment.sensor_state import SensorState
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import DropLog, DropReason
from mm_fusion.nodes.diagnostics import DropReporter, sensor_statuses, stage_status
from mm_fusion.nodes.load import Shed
from mm_fusion.nodes.stages import Stages
from mm_fusion.nodes.subscriptions import Topic
from mm_fusion.nodes.threads import Snapshot

pytestmark = pytest.mark.ros


def topics(vehicle: VehicleConfig) -> dict[str, Topic]:
    return {s.topic: Topic(s.topic, name, (), "auto", False) for name, s in vehicle.sensors.items()}


def snapshot(vehicle: VehicleConfig, drops: DropLog, **states: SensorState) -> Snapshot:
    known = {name: states.get(name, SensorState("never")) for name in vehicle.sensors}
    return Snapshot(1_000_000_000, known, drops.counts(), dict(drops.texts()))


def test_before_any_message_every_sensor_warns(vehicle: VehicleConfig) -> None:
    statuses = sensor_statuses(snapshot(vehicle, DropLog()), vehicle, topics(vehicle), "fusion", {})
    assert [(status.name, status.level) for status in statuses] == [
        ("fusion: sensor lidar", 1),
        ("fusion: sensor camera", 1),
        ("fusion: sensor radar", 1),
    ]


def test_an_alive_sensor_shows_rate_latency_age_and_drops(vehicle: VehicleConfig) -> None:
    drops = DropLog()
    drops.add("lidar", DropReason.LATE, count=2)
    drops.add("frames", DropReason.SUPERSEDED)
    alive = SensorState("alive", 100.0, 10.0, 55.0, 60.0, 3.0, 900_000_000, 960_000_000)
    statuses = sensor_statuses(snapshot(vehicle, drops, lidar=alive), vehicle, topics(vehicle), "fusion", {})
    lidar = statuses[0]
    assert (lidar.level, lidar.message) == (0, "alive")
    wanted = {"rate_hz": "10.00", "latency_p50_ms": "55.00", "age_ms": "40.00", "drops.late": "2"}
    assert wanted.items() <= lidar.values.items()
    assert statuses[-1].name == "fusion: frames" and statuses[-1].values == {"drops.superseded": "1"}


def test_a_sensor_whose_messages_cannot_be_used_warns_while_they_come(vehicle: VehicleConfig) -> None:
    drops, alive = DropLog(), SensorState("alive")
    drops.add("lidar", DropReason.NO_TRANSFORM, count=2)
    drops.add("lidar", DropReason.LATE)
    told = snapshot(vehicle, drops, lidar=alive)
    first = sensor_statuses(told, vehicle, topics(vehicle), "fusion", {})[0]
    assert (first.level, first.message) == (1, "not used: no_transform")
    assert sensor_statuses(told, vehicle, topics(vehicle), "fusion", told.drops)[0].level == 0


def test_a_clock_that_is_off_names_its_cure(vehicle: VehicleConfig) -> None:
    off = SensorState("alive", suggested_stamp_offset_ms=-37000.0)
    lidar = sensor_statuses(snapshot(vehicle, DropLog(), lidar=off), vehicle, topics(vehicle), "fusion", {})[
        0
    ]
    assert lidar.level == 1
    assert "37.0 s" in lidar.message and "stamp_offset_ms: -37000.0" in lidar.message


def test_stages_stand_beside_counts() -> None:
    stages = Stages()
    stages.add("detect", 4.0)
    status = stage_status(stages, {"frames": 3}, Shed(), "fusion")
    assert status.values["frames"] == "3" and status.values["detect.p95_ms"] == "4.000"
    assert (status.level, status.values["load_shed"], status.values["load_shed_what"]) == (0, "0", "nothing")


def test_what_is_left_out_under_load_is_a_warning() -> None:
    status = stage_status(Stages(), {}, Shed(3, True, True, ("left",)), "fusion")
    assert (status.level, status.values["load_shed"]) == (1, "3")
    assert status.values["load_shed_what"] == "overlays, markers, left" in status.message


def test_each_kind_of_drop_is_said_once_with_its_number() -> None:
    said: list[str] = []
    reporter = DropReporter(said.append)
    reporter.report({}, {})
    texts = {("lidar", DropReason.MALFORMED): "too short"}
    reporter.report({"lidar": {"malformed": 2}}, texts)
    reporter.report({"lidar": {"malformed": 5}}, texts)
    reporter.report({"lidar": {"malformed": 5, "late": 1}}, texts)
    assert said == ["lidar: 2 dropped (malformed): too short", "lidar: 1 dropped (late)"]
