"""Type and QoS found in the graph, with publishers that come late or offer something else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.nodes.subscriptions import Subscriptions

from .conftest import VEHICLE

pytestmark = pytest.mark.ros
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def nodes(domain: dict[str, str]) -> Iterator[tuple[Node, Node]]:
    """A listening and a speaking node on a domain of their own."""
    context = Context()
    rclpy.init(context=context, domain_id=int(domain["ROS_DOMAIN_ID"]))
    pair = Node("listener", context=context), Node("speaker", context=context)
    yield pair
    for node in pair:
        node.destroy_node()
    rclpy.shutdown(context=context)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def found(subscriptions: Subscriptions, topic: str, kind: str | None, reliable: bool = True) -> bool:
    subscriptions.discover()
    state = subscriptions.topics[topic]
    return state.kind == kind and state.offer[0] == reliable


def test_nothing_published_means_transforms_alone(nodes: tuple[Node, Node], vehicle: VehicleConfig) -> None:
    subscriptions = Subscriptions(nodes[0], vehicle, lambda *_: None)
    subscriptions.discover()
    taken = {name for name, topic in subscriptions.topics.items() if topic.subscription is not None}
    assert taken == {"/tf", "/tf_static"}
    assert subscriptions.topics["/lidar/points"].described == "nobody publishes it"
    subscriptions.close()


def test_image_topics_are_taken_raw_or_compressed_as_published(
    nodes: tuple[Node, Node], vehicle: VehicleConfig
) -> None:
    listener, speaker = nodes
    subscriptions = Subscriptions(listener, vehicle, lambda *_: None)
    speaker.create_publisher(Image, "/camera/image/compressed", 5)
    assert until(lambda: found(subscriptions, "/camera/image/compressed", "sensor_msgs/msg/Image"))
    subscriptions.close()


def test_a_late_best_effort_publisher_is_followed_and_heard(
    nodes: tuple[Node, Node], vehicle: VehicleConfig
) -> None:
    listener, speaker = nodes
    heard: list[tuple[str, str]] = []
    subscriptions = Subscriptions(listener, vehicle, lambda topic, kind, data: heard.append((topic, kind)))
    speaker.create_publisher(PointCloud2, "/lidar/points", 5)
    cloud = "sensor_msgs/msg/PointCloud2"
    assert until(lambda: found(subscriptions, "/lidar/points", cloud, reliable=True))
    late = speaker.create_publisher(PointCloud2, "/lidar/points", BEST_EFFORT)
    assert until(lambda: found(subscriptions, "/lidar/points", cloud, reliable=False))
    assert until(lambda: late.get_subscription_count() > 0)
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(listener)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        late.publish(PointCloud2())
        executor.spin_once(timeout_sec=0.1)
    assert heard[0] == ("/lidar/points", cloud)
    subscriptions.close()


def test_a_publisher_of_another_type_is_said_once(
    nodes: tuple[Node, Node], vehicle: VehicleConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, speaker = nodes
    warnings: list[str] = []
    logger = listener.get_logger()
    monkeypatch.setattr(logger, "warning", warnings.append)
    monkeypatch.setattr(listener, "get_logger", lambda: logger)
    subscriptions = Subscriptions(listener, vehicle, lambda *_: None)
    speaker.create_publisher(CompressedImage, "/lidar/points", 5)
    assert until(lambda: found(subscriptions, "/lidar/points", None) and bool(warnings))
    subscriptions.discover()
    assert len(warnings) == 1 and "sensor_msgs/msg/CompressedImage" in warnings[0]
    subscriptions.close()


def test_a_latched_publisher_is_heard_by_a_late_listener(
    nodes: tuple[Node, Node], vehicle: VehicleConfig
) -> None:
    from sensor_msgs.msg import CameraInfo

    listener, speaker = nodes
    heard: list[str] = []
    speaker.create_publisher(CameraInfo, "/camera/camera_info", LATCHED).publish(CameraInfo())
    subscriptions = Subscriptions(listener, vehicle, lambda topic, *_: heard.append(topic))
    assert until(lambda: found(subscriptions, "/camera/camera_info", "sensor_msgs/msg/CameraInfo"))
    executor = SingleThreadedExecutor(context=listener.context)
    executor.add_node(listener)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    assert heard == ["/camera/camera_info"]
    subscriptions.close()


def test_a_type_that_no_sensor_of_the_kind_has_is_an_error(nodes: tuple[Node, Node]) -> None:
    lidar = {**VEHICLE["sensors"]["lidar"], "message": "sensor_msgs/Image"}  # type: ignore[dict-item]
    tree = {"sensors": {"lidar": lidar}, "alignment": {"reference": ["lidar"]}}
    vehicle = parse_config(tree, VehicleConfig, "test")
    with pytest.raises(ConfigurationError, match=r"sensors\.lidar\.message: sensor_msgs/Image"):
        Subscriptions(nodes[0], vehicle, lambda *_: None)
