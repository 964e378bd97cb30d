"""Publishes a simulated drive on the ROS graph as it is made, with /clock or by the wall clock."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import rclpy
import rclpy.utilities
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile

from mm_fusion.cli.simulate import (
    add_drive_arguments,
    add_live_arguments,
    check_drive_arguments,
    make_simulator,
)
from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.messages.encode_sensors import encode_clock
from mm_fusion.nodes.dds import prepare_process
from mm_fusion.nodes.listeners import wait_for_listeners
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.playback import Schedule, clock_ticks
from mm_fusion.simulation.simulator import Simulator

DEPTH = 100
CLOCK = "/clock"
CLOCK_STEP_S = 0.01
CLOCK_LEAD_S = 0.001
"""A message must not overtake the /clock of its own time, or listeners take it for one of the time before."""
HEAD_START_S = 0.5
BEHIND_S = 0.1
"""Real time is given up by so much at once where the machine is too slow for it."""
LAST_TICKS = 50


class SimulatorNode(Node):
    """Publishes what `simulator` makes; topics whose package is not installed are left out and said.

    rate: drive seconds per real second with /clock, 0: as fast as it can. wall_time: in real time with
    stamps of the wall clock and no /clock.
    """

    def __init__(self, simulator: Simulator, rate: float = 1.0, wall_time: bool = False) -> None:
        super().__init__("simulator")
        self._simulator, self._rate, self._wall_time = simulator, 1.0 if wall_time else rate, wall_time
        announced = {topic: self._announce(topic, kind) for topic, kind in simulator.topics().items()}
        self._publishers_of = {topic: publisher for topic, publisher in announced.items() if publisher}
        self._clock_publisher: Publisher | None = None
        if not wall_time:
            self._clock_publisher = self.create_publisher(message_class("rosgraph_msgs/msg/Clock"), CLOCK, 10)
        self._told_ns = 0

    def _announce(self, topic: str, kind: str) -> Publisher | None:
        latched = topic == "/tf_static"
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        try:
            return self.create_publisher(
                message_class(kind), topic, QoSProfile(depth=DEPTH, durability=durability)
            )
        except ConfigurationError as error:
            self.get_logger().warning(f"{topic} is not published: {error}")
            return None

    def wait_for_listeners(self, at_most_s: float) -> int:
        """Number of subscriptions to what is played, once they have come or time is over."""
        return wait_for_listeners(self._publishers_of.values(), at_most_s)

    def play(self, seconds: float, workers: int = 1) -> int:
        """Publish `seconds` of the drive; the number of messages."""
        if self._wall_time:
            self._simulator.start_ns = time.time_ns() + round(HEAD_START_S * 1e9)
        begin_ns = self._simulator.start_ns
        head_s = HEAD_START_S if self._wall_time else 0.0
        self._schedule, self._began_s = Schedule(begin_ns, self._rate or 1.0), time.monotonic() + head_s
        self._told_ns, count = begin_ns, 0
        for event in self._simulator.events(seconds, message_class, self._publishers_of, workers):
            if not self.context.ok():
                break
            self._wait_until(event.receipt_ns)
            self._publishers_of[event.topic].publish(event.message)
            count += 1
        self._finish()
        return count

    def _wait_until(self, due_ns: int) -> None:
        """Sleep until drive time `due_ns`, telling /clock meanwhile and then."""
        for tick_ns in clock_ticks(self._told_ns, due_ns, round(CLOCK_STEP_S * 1e9)):
            self._sleep_until(tick_ns)
            self._tell(tick_ns)
        self._sleep_until(due_ns)
        if due_ns > self._told_ns:
            self._tell(due_ns)
            if self._clock_publisher is not None:
                time.sleep(CLOCK_LEAD_S)

    def _sleep_until(self, drive_ns: int) -> None:
        if self._rate == 0:
            return
        left_s = self._began_s + self._schedule.due_s(drive_ns) - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        elif left_s < -BEHIND_S:
            self._fall_behind(-left_s)

    def _fall_behind(self, late_s: float) -> None:
        if self._wall_time:
            self.get_logger().warning(
                f"{late_s:.1f} s behind real time; make fewer pixels (--camera-width), or no --wall-time",
                throttle_duration_sec=5.0,
            )
        else:
            self._began_s += late_s

    def _finish(self) -> None:
        """Let time go on a little so that open frames are released."""
        for _ in range(LAST_TICKS if self._clock_publisher is not None and self.context.ok() else 0):
            time.sleep(CLOCK_STEP_S)
            self._tell(self._told_ns + round(CLOCK_STEP_S * 1e9))

    def _tell(self, now_ns: int) -> None:
        self._told_ns = now_ns
        if self._clock_publisher is not None:
            self._clock_publisher.publish(encode_clock(now_ns, message_class))


def publish_live(args: argparse.Namespace) -> int:
    """Publish a drive until its end or an interrupt, with the arguments of `mm-fusion simulate --live`."""
    simulator = make_simulator(args)
    prepare_process()
    rclpy.init(args=[])
    try:
        node = SimulatorNode(simulator, args.rate, args.wall_time)
        if args.wait_for > 0:
            node.get_logger().info(f"{node.wait_for_listeners(args.wait_for)} listeners")
        node.get_logger().info(f"{node.play(args.seconds, args.workers)} messages published")
        node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Publish a drive from the command line, also under `ros2 run` and launch."""
    parser = argparse.ArgumentParser(prog="simulator_node", description=__doc__)
    parser.add_argument(
        "--vehicle", default="nuscenes_like", help="vehicle file, or the name of a shipped one"
    )
    add_drive_arguments(parser)
    add_live_arguments(parser)
    given = rclpy.utilities.remove_ros_args(list(sys.argv if args is None else ["simulator_node", *args]))[1:]
    try:
        parsed = parser.parse_args(given)
        check_drive_arguments(parsed)
        return publish_live(parsed)
    except FusionError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
