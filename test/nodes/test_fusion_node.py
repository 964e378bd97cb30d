"""Lifecycle and parameters of the fusion node, in this process."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

import rclpy
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from mm_fusion.config import find_file
from mm_fusion.nodes.fusion_node import FusionNode

pytestmark = pytest.mark.ros
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
MakeNode = Callable[..., FusionNode]


@pytest.fixture
def make_node(domain: dict[str, str], vehicle_file: Path) -> Iterator[MakeNode]:
    """Makes fusion nodes with given parameters, on a domain of their own."""
    context = Context()
    rclpy.init(context=context, domain_id=int(domain["ROS_DOMAIN_ID"]))
    nodes: list[FusionNode] = []

    def make(**parameters: Any) -> FusionNode:
        given = {"vehicle": str(vehicle_file), **parameters}
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in given.items()]
        nodes.append(FusionNode(context=context, parameter_overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()
        node.destroy_node()
    rclpy.shutdown(context=context)


def held(node: FusionNode) -> tuple[int, int, int]:
    """Publishers and subscriptions of the node, and the threads of ours that run."""
    ours = [
        t for t in threading.enumerate() if t.name in ("pipeline", "detect") or t.name.startswith("prepare")
    ]
    return len(list(node.publishers)), len(list(node.subscriptions)), len(ours)


def errors_of(node: FusionNode, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what the node says as errors from now on."""
    found: list[str] = []
    logger = node.get_logger()
    monkeypatch.setattr(logger, "error", lambda text, **_: found.append(text))
    monkeypatch.setattr(node, "get_logger", lambda: logger)
    return found


def test_the_way_up_and_back_gives_everything_back(make_node: MakeNode) -> None:
    node = make_node()
    bare = held(node)
    for _ in range(2):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        active = held(node)
        assert active[0] >= bare[0] + 6 and active[1] >= bare[1] + 2 and active[2] >= 2
        assert node.trigger_deactivate() == SUCCESS
        assert node.trigger_cleanup() == SUCCESS
        assert held(node) == bare


def test_shutdown_while_active_gives_everything_back(make_node: MakeNode) -> None:
    node = make_node()
    bare = held(node)
    node.start_itself()
    assert held(node)[2] >= 2
    assert node.trigger_shutdown() == SUCCESS
    assert held(node) == bare


def test_an_impossible_transition_is_refused(make_node: MakeNode) -> None:
    node = make_node()
    try:
        refused = node.trigger_activate() != SUCCESS  # Kilted and later return an error
    except Exception as error:  # Jazzy and earlier raise RCLError
        refused = "RCLError" in type(error).__name__
    assert refused
    assert node.trigger_configure() == SUCCESS


def test_without_autostart_the_node_waits(make_node: MakeNode) -> None:
    node = make_node(autostart=False)
    bare = held(node)
    node.start_itself()
    assert held(node) == bare


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"vehicle": ""}, "parameter vehicle is empty"),
        ({"vehicle": "no_such_car"}, "no_such_car: no such file"),
        (
            {"alignment__budget": 30.0},
            "unknown parameter alignment.budget; did you mean alignment.budget_ms?",
        ),
        ({"alignment__budget_ms": -1.0}, "alignment.budget_ms"),
        ({"alignment__queue": 1.5}, "alignment.queue"),
        ({"sensors__lidar__kind": "sonar"}, "sensors.lidar.kind"),
        ({"model": "no_such_model"}, "no_such_model"),
    ],
)
def test_a_wrong_parameter_is_one_error_and_the_node_stays_unconfigured(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any], said: str
) -> None:
    node = make_node(**parameters)
    bare = held(node)
    errors = errors_of(node, monkeypatch)
    node.start_itself()
    assert len(errors) == 1 and said in errors[0]
    assert held(node) == bare


def test_what_activation_refuses_leaves_nothing_behind(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node(sensors__lidar__message="sensor_msgs/msg/Image")
    assert node.trigger_configure() == SUCCESS
    before, errors = held(node), errors_of(node, monkeypatch)
    assert node.trigger_activate() != SUCCESS
    assert len(errors) == 1 and "sensors.lidar.message" in errors[0]
    assert held(node) == before


def test_parameters_override_the_vehicle_file_and_are_described(make_node: MakeNode) -> None:
    node = make_node(alignment__budget_ms=30, sensors__lidar__topic="/other/points")
    assert node.trigger_configure() == SUCCESS
    assert node._vehicle is not None
    assert node._vehicle.alignment.budget_ms == 30.0
    assert node._vehicle.sensors["lidar"].topic == "/other/points"
    described = node.describe_parameter("alignment.budget_ms")
    assert "longest wait" in described.description
    assert described.floating_point_range[0].to_value == 5000.0


def test_parameters_are_checked_when_set_and_locked_while_configured(make_node: MakeNode) -> None:
    node = make_node()
    assert not node.set_parameters([Parameter("sensors.lidar.stamp_at", value="noon")])[0].successful
    assert node.set_parameters([Parameter("alignment.budget_ms", value=40.0)])[0].successful
    assert node.trigger_configure() == SUCCESS
    assert node._vehicle is not None and node._vehicle.alignment.budget_ms == 40.0
    refused = node.set_parameters([Parameter("alignment.budget_ms", value=50.0)])[0]
    assert not refused.successful and "unconfigured" in refused.reason
    assert node.trigger_cleanup() == SUCCESS
    assert node.set_parameters([Parameter("alignment.budget_ms", value=50.0)])[0].successful


def swapped(node: FusionNode) -> None:
    """Wait for the model that is being loaded, and let the node look at it."""
    assert node._swap is not None
    node._swap.join(60.0)
    node._watch()


def test_another_model_takes_over_while_configured(make_node: MakeNode) -> None:
    node = make_node()
    node.start_itself()
    assert node._detector is not None
    before = weakref.ref(node._detector)
    path = str(find_file("config/models", "geometric"))
    assert node.set_parameters([Parameter("model", value=path)])[0].successful
    assert node._detector is before()
    refused = node.set_parameters([Parameter("model", value="geometric")])[0]
    assert not refused.successful and "is being loaded" in refused.reason
    swapped(node)
    assert before() is None  # at once, without a search for garbage: what it holds may be large
    assert node._detector is not None and node._session is not None
    assert node.get_parameter("model").value == path
    assert node._session._about()["detector"] == path


@pytest.mark.parametrize("name", ["no_such_model", "a_broken_one"])
def test_a_model_that_cannot_be_loaded_leaves_the_old_one_at_work(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    node = make_node()
    node.start_itself()
    before, errors = node._detector, errors_of(node, monkeypatch)
    if name == "a_broken_one":
        name = str(tmp_path)
        (tmp_path / "model.yaml").write_text("name: broken\n", encoding="utf-8")
    assert node.set_parameters([Parameter("model", value=name)])[0].successful
    swapped(node)
    assert node._detector is before
    assert len(errors) == 1 and f"model {name} is not used, geometric goes on: " in errors[0]
    assert "Traceback" not in errors[0]
    assert node.get_parameter("model").value == "geometric"
    assert node._session is not None and "model_error" in node._session._said


def test_what_runs_the_model_is_checked_when_set(make_node: MakeNode) -> None:
    node = make_node(backend="onnxruntime", threads=2, deadline_ms=50)
    refused = node.set_parameters([Parameter("backend", value="abacus")])[0]
    assert not refused.successful and "choices are auto, tensorrt" in refused.reason
    node.start_itself()
    assert node._choice.backend == "onnxruntime" and node._choice.threads == 2
    refused = node.set_parameters([Parameter("deadline_ms", value=80.0)])[0]
    assert not refused.successful and "unconfigured" in refused.reason


def test_a_detector_that_fails_takes_the_node_back_to_unconfigured(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node()
    bare = held(node)
    node.start_itself()
    errors = errors_of(node, monkeypatch)
    node._watch()
    assert node._session is not None and not errors
    node._session._detect.broken = "the GPU is lost"
    node._watch()
    assert len(errors) == 1 and "the GPU is lost" in errors[0]
    assert held(node) == bare
    assert node.trigger_configure() == SUCCESS
