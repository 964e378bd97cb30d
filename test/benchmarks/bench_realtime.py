"""Last message sent to detections received, over real DDS: `python -m test.benchmarks.bench_realtime`.

Six 1600x900 cameras (JPEG), a LiDAR and five radars of a simulated drive, ten times a second, all twelve
messages of a frame sent back to back in random order, reliable, by this process, to the fusion node in
another. The drive is made once and kept; --out FILE gets the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile

from mm_fusion.bags.read import open_bag
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.nodes.dds import pin_malloc
from mm_fusion.nodes.listeners import wait_for_listeners
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.processes import own_domain
from test.benchmarks.live import Listener, Watch, fusion_node, growth_per_minute, machine, quantiles

VEHICLE, SCENARIO, SEED = "nuscenes_like", "urban", 12
PERIOD_S = 0.1
AGE_NS = 30_000_000
"""Stamps lie so long before the sending, as middles of scans and exposures do."""
WARM_FRAMES = 20
"""The first frames, in which the collector learns rates and latencies, do not count."""
AIM_MS = {"p50_ms": 55.0, "p95_ms": 80.0}


@dataclass(frozen=True)
class Load:
    """Serialised messages (topic, bytes): `frames` by turn, the others beside them. kinds: type by topic."""

    kinds: dict[str, str]
    frames: list[list[tuple[str, bytes]]]
    statics: list[tuple[str, bytes]]
    odometry: list[tuple[str, bytes]]


def make_drive(path: Path, seconds: float) -> Path:
    """The drive as a bag, made where it is not there yet."""
    from mm_fusion.simulation.bag import write_bag
    from mm_fusion.simulation.simulator import Simulator

    if not path.exists():
        print(f"simulating {seconds} s of a drive to {path}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bag(path, Simulator(load_vehicle(VEHICLE), SCENARIO, SEED), seconds)
    return path


def load_of(path: Path, vehicle: VehicleConfig) -> Load:
    """The drive's messages, one of each camera, LiDAR and radar a frame, as many frames as the rarest has."""
    topics = [sensor.topic for sensor in vehicle.sensors.values()]
    infos = {sensor.info_topic for sensor in vehicle.sensors.values()} - {None}
    odometry = {source.topic for source in vehicle.ego_motion} - {None}
    found: dict[str, list[bytes]] = {}
    with open_bag(path) as reader:
        for raw in reader.raw_messages([*topics, *infos, *odometry, "/tf_static"]):
            found.setdefault(raw.topic, []).append(bytes(raw.data))
        kinds = {name: reader.topics[name].type for name in found}
    count = min(len(found[topic]) for topic in topics)
    frames = [[(topic, found[topic][number]) for topic in topics] for number in range(count)]
    statics = [(topic, found[topic][0]) for topic in ("/tf_static", *infos) if topic in found]
    return Load(kinds, frames, statics, [(t, found[t][0]) for t in odometry if t in found])


def stamped(message: bytes, stamp_ns: int) -> bytes:
    """A serialised message (CDR, little-endian) that begins with a header, with another stamp."""
    return message[:4] + struct.pack("<iI", *divmod(stamp_ns, 10**9)) + message[12:]


class Sender:
    """Publishes a load frame by frame. sent_ns: {stamp_ns: perf_counter_ns of the last message's sending}."""

    def __init__(self, listener: Listener, load: Load) -> None:
        self._load = load
        self._publishers = {name: _announce(listener, name, kind) for name, kind in load.kinds.items()}
        self._random = random.Random(SEED)
        self.sent_ns: dict[int, int] = {}

    def wait_for_node(self) -> None:
        """Until the node listens to what will be sent."""
        wait_for_listeners(self._publishers.values(), 30.0)
        self._send(self._load.statics)
        time.sleep(0.5)

    def run(self, seconds: float) -> None:
        """Frames for so long, ten times a second."""
        began_s = time.monotonic()
        for number in range(round(seconds / PERIOD_S)):
            wait_s = began_s + number * PERIOD_S - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            self._send_frame(number)

    def _send_frame(self, number: int) -> None:
        stamp_ns = time.time_ns() - AGE_NS
        messages = [(t, stamped(m, stamp_ns)) for t, m in self._load.frames[number % len(self._load.frames)]]
        self._random.shuffle(messages)
        self._send([(topic, stamped(message, stamp_ns)) for topic, message in self._load.odometry])
        self._send(messages)
        self.sent_ns[stamp_ns] = time.perf_counter_ns()

    def _send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        for topic, message in messages:
            self._publishers[topic].publish(message)


def _announce(listener: Listener, topic: str, kind: str) -> Publisher:
    latched = DurabilityPolicy.TRANSIENT_LOCAL if topic == "/tf_static" else DurabilityPolicy.VOLATILE
    return listener.node.create_publisher(
        message_class(kind), topic, QoSProfile(depth=20, durability=latched)
    )


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of one run."""
    vehicle = load_vehicle(VEHICLE)
    load = load_of(make_drive(options.drive, options.drive_seconds), vehicle)
    environment = own_domain(10 + os.getpid() % 90)
    os.environ.update(environment)
    pin_malloc()
    parameters = {"vehicle": VEHICLE, "model": options.model, "backend": options.backend}
    context = Context()
    rclpy.init(context=context, domain_id=int(environment["ROS_DOMAIN_ID"]))
    listener = Listener(context)
    try:
        with fusion_node(environment, folder / "fusion.log", **parameters, threads=str(options.threads)) as (
            node,
            start_s,
        ):
            sender, watch = Sender(listener, load), Watch(node.pid)
            sender.wait_for_node()
            watch.start()
            sender.run(options.seconds)
            time.sleep(2.0)  # the last frames and diagnostics
            node.check()
            samples = watch.stop()
    finally:
        listener.close()
        rclpy.shutdown(context=context)
        if options.log:
            options.log.write_bytes((folder / "fusion.log").read_bytes())
    sizes = [sum(len(message) for _, message in frame) for frame in load.frames]
    return {
        **figures(sender.sent_ns, listener.arrived),
        "aim": AIM_MS,
        "start_s": round(start_s, 2),
        "rss_mb": round(samples[-1].rss_mb, 1) if samples else math.nan,
        "rss_mb_per_minute": round(growth_per_minute(*_later(samples)), 3),
        "about": listener.about(),
        "stages": listener.stages(),
        "drops": listener.drops(),
        "bytes_per_frame": round(sum(sizes) / len(sizes)),
        "seconds": options.seconds,
        "machine": machine(),
    }


def figures(sent_ns: dict[int, int], arrived_ns: dict[int, int]) -> dict[str, Any]:
    """Latency from the last message sent, and frames that did not come, without the first `WARM_FRAMES`."""
    counted = dict(list(sent_ns.items())[WARM_FRAMES:])
    latency_ms = [
        (arrived_ns[stamp] - at_ns) / 1e6 for stamp, at_ns in counted.items() if stamp in arrived_ns
    ]
    lost = sum(stamp not in arrived_ns for stamp in counted)
    return {"latency": quantiles(latency_ms), "frames_sent": len(counted), "frames_lost": lost}


def _later(samples: list[Any]) -> tuple[list[float], list[float]]:
    """Seconds and memory of the second half, when buffers have their size."""
    half = samples[len(samples) // 2 :]
    return [each.seconds for each in half], [each.rss_mb for each in half]


def print_table(found: dict[str, Any]) -> None:
    """The figures for people."""
    about, latency = found["about"], found["latency"]
    print(f"model {about.get('detector')} on {about.get('backend', '-')}, {found['machine']['cores']} cores")
    print("last message sent -> detections received: " + ", ".join(f"{k} {v}" for k, v in latency.items()))
    print(f"aim p50 55 ms, p95 80 ms; frames lost {found['frames_lost']} of {found['frames_sent']}")
    print(f"active after {found['start_s']} s; memory {found['rss_mb']} MB; drops {found['drops'] or 'none'}")
    print(f"load shed: {about.get('load_shed_what')}; other work on the machine: "
          f"load average {found['machine']['load_1min']}")  # fmt: skip
    print(f"{'stage, ms':18} {'p50':>8} {'p95':>8} {'p99':>8}")
    for stage, times in found["stages"].items():
        print(f"{stage:18} " + " ".join(f"{ms:8.2f}" for ms in times.values()))


def parse(args: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m test.benchmarks.bench_realtime", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to send (default 60)")
    parser.add_argument("--model", default="tiny", help="as `mm-fusion run --model` (default tiny)")
    parser.add_argument("--backend", default="auto", help="what runs it (default auto)")
    parser.add_argument("--threads", type=int, default=1, help="threads of one inference (default 1)")
    parser.add_argument("--cores", type=int, default=2, help="cores for everything, 0: all (default 2)")
    parser.add_argument("--drive", type=Path, default=Path("out/bench/realtime_drive"), help="kept recording")
    parser.add_argument("--drive-seconds", type=float, default=1.5, help="its length where it is made")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--log", type=Path, help="file to keep the node's log in")
    return parser.parse_args(args)


def main(args: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 where a frame was lost."""
    options = parse(args)
    if options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("ROS_LOG_DIR", name)
        found = measure(options, Path(name))
    print_table(found)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if found["frames_lost"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
