"""Subscriptions to what a vehicle names: type and QoS as the publishers offer them, found in the graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from mm_fusion.config import VehicleConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.messages.routes import Route, routes
from mm_fusion.nodes.message_types import TYPES_OF_KIND, TYPES_OF_ROLE, full_name, message_class

DEPTH = 5
TRANSFORM_DEPTH = 100
"""Several static publishers share one queue of a transient local subscription, and /tf comes in bursts."""
PATIENCE_S = 10.0
"""Topics that nobody publishes for so long are said, once."""

Offer = tuple[bool, bool]
"""Reliable, transient local."""


@dataclass
class Topic:
    """One topic under watch. types: those it may have, in order of preference. kind, offer: as subscribed."""

    name: str
    uses: str
    types: tuple[str, ...]
    qos: str
    transforms: bool
    kind: str | None = None
    offer: Offer = (True, False)
    subscription: Subscription | None = None
    said: set[str] = field(default_factory=set)

    @property
    def described(self) -> str:
        """Type and QoS for diagnostics."""
        if self.kind is None:
            return "nobody publishes it"
        return f"{self.kind}, {'reliable' if self.offer[0] else 'best effort'}"


class Subscriptions:
    """What a vehicle listens to; `on_message(topic, type, bytes)` is called from the executor's thread.

    Call `discover` at once and then a few times a second: it subscribes to what has appeared, and follows
    publishers that offer another QoS.
    """

    def __init__(
        self, node: Node, vehicle: VehicleConfig, on_message: Callable[[str, str, bytes], None]
    ) -> None:
        self._node = node
        self._on_message = on_message
        self._began_s = time.monotonic()
        self.topics = {name: _topic(name, uses, vehicle) for name, uses in routes(vehicle).items()}

    def discover(self) -> None:
        """Subscribe to what is published by now, and say what nobody publishes."""
        for topic in self.topics.values():
            self._discover(topic)
        if time.monotonic() - self._began_s > PATIENCE_S:
            self._say_missing()

    def close(self) -> None:
        """Destroy every subscription."""
        for topic in self.topics.values():
            if topic.subscription is not None:
                self._node.destroy_subscription(topic.subscription)
                topic.subscription = None

    def _discover(self, topic: Topic) -> None:
        published: dict[str, list[Offer]] = {}
        for info in self._node.get_publishers_info_by_topic(topic.name):
            published.setdefault(info.topic_type, []).append(_offer(info.qos_profile))
        kind = _choose(topic, published)
        for other in set(published) - {kind}:
            self._say(
                topic,
                other,
                f"{topic.name}: ignoring publishers of {other}; {topic.uses} uses {kind or topic.types}",
            )
        if kind is None:
            return
        offer = _join(topic, published.get(kind, []))
        if topic.subscription is None or kind != topic.kind or _asks_more(topic.offer, offer):
            self._subscribe(topic, kind, offer)

    def _subscribe(self, topic: Topic, kind: str, offer: Offer) -> None:
        try:
            message_type = message_class(kind)
        except ConfigurationError as error:
            self._say(topic, "package", f"{topic.name}: {error}")
            return
        if topic.subscription is not None:
            self._node.destroy_subscription(topic.subscription)
        topic.kind, topic.offer = kind, offer
        topic.subscription = self._node.create_subscription(
            message_type, topic.name, self._callback(topic.name, kind), _profile(topic, offer), raw=True
        )
        self._node.get_logger().info(f"{topic.uses}: {topic.name}, {topic.described}")

    def _callback(self, name: str, kind: str) -> Callable[[bytes], None]:
        on_message = self._on_message
        return lambda data: on_message(name, kind, data)

    def _say_missing(self) -> None:
        missing = [t for t in self.topics.values() if t.subscription is None and "missing" not in t.said]
        for topic in missing:
            topic.said.add("missing")
        if missing:
            names = ", ".join(f"{topic.name} ({topic.uses})" for topic in missing)
            self._node.get_logger().warning(f"nobody publishes {names}; check the names, the rest goes on")

    def _say(self, topic: Topic, what: str, text: str) -> None:
        if what not in topic.said:
            topic.said.add(what)
            self._node.get_logger().warning(text)


def _topic(name: str, uses: tuple[Route, ...], vehicle: VehicleConfig) -> Topic:
    accepted = [_accepted(use, vehicle) for use in uses]
    types = tuple(kind for kind in accepted[0] if all(kind in others for others in accepted))
    if not types:
        raise ConfigurationError(
            f"{name} is named for {', '.join(u.sensor for u in uses)}, whose messages differ in type"
        )
    sensors = [vehicle.sensors[use.sensor] for use in uses if use.role == "measurement"]
    qos = next((sensor.qos for sensor in sensors if sensor.qos != "auto"), "auto")
    text = ", ".join(use.sensor if use.role == "measurement" else use.role for use in uses)
    return Topic(name, text, types, qos, transforms=uses[0].role in ("tf", "tf_static"))


def _accepted(use: Route, vehicle: VehicleConfig) -> tuple[str, ...]:
    if use.role != "measurement":
        return TYPES_OF_ROLE[use.role]
    sensor = vehicle.sensors[use.sensor]
    types = TYPES_OF_KIND[sensor.kind]
    if sensor.message == "auto":
        return types
    if full_name(sensor.message) not in types:
        raise ConfigurationError(
            f"sensors.{use.sensor}.message: {sensor.message} is none of auto, {', '.join(types)}"
        )
    return (full_name(sensor.message),)


def _choose(topic: Topic, published: Mapping[str, list[Offer]]) -> str | None:
    """The type in use, else the first that somebody publishes; transforms need not wait for one."""
    if topic.kind in published:
        return topic.kind
    return next(
        (kind for kind in topic.types if kind in published),
        topic.types[0] if topic.transforms else topic.kind,
    )


def _offer(profile: QoSProfile) -> Offer:
    return (
        profile.reliability != ReliabilityPolicy.BEST_EFFORT,
        profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def _join(topic: Topic, offers: list[Offer]) -> Offer:
    """What all publishers offer together, or what the vehicle file asks for."""
    reliable = all(offer[0] for offer in offers) if topic.qos == "auto" else topic.qos == "reliable"
    latched = all(offer[1] for offer in offers) if offers else topic.name == "/tf_static"
    return reliable, latched


def _asks_more(used: Offer, offered: Offer) -> bool:
    return any(mine and not theirs for mine, theirs in zip(used, offered))


def _profile(topic: Topic, offer: Offer) -> QoSProfile:
    reliable, latched = offer
    return QoSProfile(
        depth=TRANSFORM_DEPTH if topic.transforms else DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
