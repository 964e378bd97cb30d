"""Records topics into one MCAP file, raw; the file is whole when an interrupt ends the recording."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import rclpy
import rclpy.utilities
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from mm_fusion.bags.write import LATCHED_TOPICS, McapFileWriter
from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.nodes.dds import prepare_process
from mm_fusion.nodes.message_types import message_class

DEPTH = 1000
DISCOVER_S = 0.1
FUSION_TOPICS = (
    "/fusion/mode",
    "/fusion/detections",
    "/fusion/detections_cloud",
    "/fusion/objects",
    "/fusion/markers",
    "/diagnostics",
)
LATCHED = LATCHED_TOPICS | {"/fusion/mode"}


class RecorderNode(Node):
    """Subscribes to `topics` as soon as somebody publishes them and writes what comes.

    Of what has come at once, the topic named first is written first.
    """

    def __init__(self, topics: Sequence[str], writer: McapFileWriter) -> None:
        super().__init__("recorder")
        self._writer = writer
        self._wanted = list(topics)
        self._early: list[tuple[str, str, bytes]] = []

    def discover(self) -> None:
        """Subscribe to what is published by now, and say how much that is where something is new."""
        found = 0
        for topic in list(self._wanted):
            offers = self.get_publishers_info_by_topic(topic)
            if offers:
                self._subscribe(topic, offers[0].topic_type, [offer.qos_profile for offer in offers])
                found += 1
        if found:
            self.get_logger().info(f"listening to {found} more topics")

    def _subscribe(self, topic: str, kind: str, offers: list[QoSProfile]) -> None:
        self._wanted.remove(topic)
        try:
            message_type = message_class(kind)
        except ConfigurationError as error:
            self.get_logger().warning(f"{topic} is not recorded: {error}")
            return
        self.create_subscription(
            message_type, topic, lambda data: self._write(topic, kind, data), _profile(offers), raw=True
        )

    def _write(self, topic: str, kind: str, data: bytes) -> None:
        """Write now, or with the first time there is where simulated time has not begun."""
        self._early.append((topic, kind, data))
        now_ns = int(self.get_clock().now().nanoseconds)
        if now_ns:
            for early in self._early:
                self._writer.write_raw(*early, now_ns)
            self._early.clear()

    def say_lost(self) -> None:
        """Say how many messages have no time, and are not in the file."""
        if self._early:
            self.get_logger().warning(
                f"{len(self._early)} messages were not recorded: use_sim_time is set and no /clock came"
            )


def _profile(offers: list[QoSProfile]) -> QoSProfile:
    reliable = all(offer.reliability != ReliabilityPolicy.BEST_EFFORT for offer in offers)
    latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def record(out: Path, topics: Sequence[str]) -> dict[str, int]:
    """Record until an interrupt; messages by topic."""
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopped.append(received))
    with McapFileWriter(out, latched=LATCHED) as writer:
        node = RecorderNode(topics, writer)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        next_s = 0.0
        while not stopped:
            if time.monotonic() >= next_s:
                node.discover()
                next_s = time.monotonic() + DISCOVER_S
            executor.spin_once(timeout_sec=DISCOVER_S)
        _drain(executor)
        node.say_lost()
        node.destroy_node()
        return writer.counts()


def _drain(executor: SingleThreadedExecutor) -> None:
    """Take what has arrived already."""
    until_s = time.monotonic() + 0.2
    while time.monotonic() < until_s:
        executor.spin_once(timeout_sec=0.02)


def main(args: Sequence[str] | None = None) -> int:
    """Record from the command line, also under `ros2 run` and launch."""
    parser = argparse.ArgumentParser(prog="recorder_node", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, help="the .mcap file to write")
    parser.add_argument(
        "--topics", nargs="+", default=list(FUSION_TOPICS), help="default: what the fusion node says"
    )
    all_args = list(sys.argv if args is None else ["recorder_node", *args])
    given = parser.parse_args(rclpy.utilities.remove_ros_args(all_args)[1:])
    prepare_process()
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=all_args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        counts = record(given.out, given.topics)
    except FusionError as error:
        print(error, file=sys.stderr)
        return 2
    except ExternalShutdownException:
        return 1
    finally:
        rclpy.try_shutdown()
    print(
        f"{given.out}: "
        + (", ".join(f"{count} {topic}" for topic, count in counts.items()) or "nothing was published")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
