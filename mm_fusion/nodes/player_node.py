"""Plays a recording on the ROS graph, raw, at the pace of receipt, with /clock and recorded QoS."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import rclpy
import rclpy.utilities
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from mm_fusion.bags.read import BagReader, TopicInfo, open_bag
from mm_fusion.cli.play import add_arguments, run
from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.messages.encode_sensors import encode_clock
from mm_fusion.nodes.dds import prepare_process
from mm_fusion.nodes.listeners import wait_for_listeners
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.playback import Schedule, clock_ticks

DEPTH = 100
CLOCK = "/clock"
ACKNOWLEDGE_S = 5.0
CLOCK_LEAD_S = 0.001
"""A message must not overtake the /clock of its own time, or listeners take it for one of the time before."""
LAST_TICKS = 50
"""/clock goes on for half a second, so that what is still open is released."""


class PlayerNode(Node):
    """Publishes the messages of `reader`; topics whose package is not installed are left out and said.

    longest_gap_s: of longer gaps the rest is skipped, /clock with it; 0 keeps them.
    """

    def __init__(
        self,
        reader: BagReader,
        rate: float = 1.0,
        start_s: float = 0.0,
        clock_hz: float = 100.0,
        longest_gap_s: float = 0.0,
    ) -> None:
        super().__init__("player")
        self._reader, self._rate = reader, rate
        self._longest_ns = round(longest_gap_s * 1e9)
        self._begin_ns = reader.start_ns + round(start_s * 1e9)
        self._step_ns = round(1e9 * rate / clock_hz) if clock_hz > 0 else 0
        announced = {name: self._announce(info) for name, info in reader.topics.items()}
        self._publishers_of = {name: publisher for name, publisher in announced.items() if publisher}
        self._clock_publisher: Publisher | None = None
        if clock_hz > 0 and CLOCK not in self._publishers_of:
            self._clock_publisher = self.create_publisher(message_class("rosgraph_msgs/msg/Clock"), CLOCK, 10)

    def _announce(self, info: TopicInfo) -> Publisher | None:
        try:
            return self.create_publisher(message_class(info.type), info.name, _profile(info))
        except ConfigurationError as error:
            self.get_logger().warning(f"{info.name} is not played: {error}")
            return None

    def wait_for_listeners(self, at_most_s: float) -> int:
        """Number of subscriptions to what is played, once they have come or time is over."""
        return wait_for_listeners(self._publishers_of.values(), at_most_s)

    def play(self) -> int:
        """Publish everything once; the number of messages."""
        self._schedule, self._began_s = Schedule(self._begin_ns, self._rate), time.monotonic()
        self._tell(self._begin_ns)
        count = 0
        for raw in self._reader.raw_messages(self._publishers_of):
            if raw.receipt_ns < self._begin_ns and not _latched(self._reader.topics[raw.topic]):
                continue
            self._wait_until(max(raw.receipt_ns, self._begin_ns))
            if not self.context.ok():
                break
            self._publishers_of[raw.topic].publish(bytes(raw.data))
            count += 1
        self._finish()
        return count

    def _wait_until(self, due_ns: int) -> None:
        """Sleep until recorded time `due_ns`, telling /clock meanwhile and then."""
        pause_ns = due_ns - self._told_ns - self._longest_ns if self._longest_ns else 0
        until_ns = due_ns - max(pause_ns, 0)
        for tick_ns in clock_ticks(self._told_ns, until_ns, self._step_ns):
            self._sleep_until(tick_ns)
            self._tell(tick_ns)
        self._sleep_until(until_ns)
        self._schedule = self._schedule.without(max(pause_ns, 0))
        if due_ns != self._told_ns:
            self._tell(due_ns)
            if self._clock_publisher is not None:
                time.sleep(CLOCK_LEAD_S)

    def _sleep_until(self, recorded_ns: int) -> None:
        left_s = self._began_s + self._schedule.due_s(recorded_ns) - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)

    def _finish(self) -> None:
        """Let what was published last arrive, and time go on a little so that open frames are released."""
        for publisher in self._publishers_of.values() if self.context.ok() else ():
            wait = getattr(publisher, "wait_for_all_acked", None)
            if wait is not None:
                wait(Duration(seconds=ACKNOWLEDGE_S))
        for _ in range(LAST_TICKS if self._clock_publisher is not None and self.context.ok() else 0):
            time.sleep(0.01)
            self._tell(self._told_ns + round(1e7 * self._rate))

    def _tell(self, now_ns: int) -> None:
        self._told_ns = now_ns
        if self._clock_publisher is not None:
            self._clock_publisher.publish(encode_clock(now_ns, message_class))


def _profile(info: TopicInfo) -> QoSProfile:
    """What the recorded publishers offered, else reliable; static transforms are always latched."""
    reliable = all(offered.reliable for offered in info.qos)
    return QoSProfile(
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if _latched(info) else DurabilityPolicy.VOLATILE,
    )


def _latched(info: TopicInfo) -> bool:
    return info.name == "/tf_static" or any(offered.transient_local for offered in info.qos)


def play(args: argparse.Namespace) -> int:
    """Play until the end or an interrupt, with the arguments of `mm-fusion play`; the exit code.

    Raises `FusionError` where the recording cannot be opened or `--start` lies outside of it.
    """
    prepare_process()
    with open_bag(args.bag) as reader:
        _check_start(args.start, reader)
        rclpy.init(args=[])
        try:
            _play(PlayerNode(reader, args.rate, args.start, args.clock, args.longest_gap), args)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except Exception:
            if rclpy.ok():  # else an interrupt has closed the context under a publisher
                raise
        finally:
            rclpy.try_shutdown()
        for problem in reader.problems:
            print(problem, file=sys.stderr)
    return 0


def _check_start(start_s: float, reader: BagReader) -> None:
    """Raise where nothing would be played."""
    length_s = (reader.end_ns - reader.start_ns) / 1e9
    if not 0 <= start_s <= length_s:
        raise ConfigurationError(f"--start {start_s}: expected 0 to {length_s:.1f} s, where it ends")


def _play(node: PlayerNode, args: argparse.Namespace) -> None:
    log = node.get_logger()
    if args.wait_for > 0:
        log.info(f"{node.wait_for_listeners(args.wait_for)} listeners")
    while True:
        log.info(f"{node.play()} messages played")
        if not args.loop or not node.context.ok():
            break
    node.destroy_node()


def main(args: Sequence[str] | None = None) -> int:
    """Play a recording from the command line, also under `ros2 run` and launch."""
    parser = argparse.ArgumentParser(prog="player_node", description=__doc__)
    add_arguments(parser)
    given = rclpy.utilities.remove_ros_args(list(sys.argv if args is None else ["player_node", *args]))[1:]
    try:
        return run(parser.parse_args(given))
    except FusionError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
