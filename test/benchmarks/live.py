"""A fusion node in a process of its own, and what can be watched from outside: topics, memory, threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile

from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.processes import Child

READY_S = 300.0
"""An engine may be built, or backends be measured."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """A process at one moment. seconds: since watching began; handles: open files and sockets."""

    seconds: float
    rss_mb: float
    threads: int
    handles: int


class Watch(threading.Thread):
    """Samples of a process, one a second until `stop`."""

    def __init__(self, pid: int, every_s: float = 1.0) -> None:
        super().__init__(name="watch", daemon=True)
        self.samples: list[Sample] = []
        self._proc, self._every_s = Path("/proc") / str(pid), every_s
        self._halt = threading.Event()

    def run(self) -> None:
        """Until `stop` or the end of the process."""
        began_s = time.monotonic()
        while not self._halt.wait(self._every_s):
            try:
                self.samples.append(sample(self._proc, time.monotonic() - began_s))
            except OSError:
                return

    def stop(self) -> list[Sample]:
        """What was seen."""
        self._halt.set()
        self.join()
        return self.samples


def sample(proc: Path, seconds: float) -> Sample:
    """A process as its folder in /proc shows it now."""
    pages = int((proc / "statm").read_text(encoding="ascii").split()[1])
    threads, handles = (len(list((proc / name).iterdir())) for name in ("task", "fd"))
    return Sample(seconds, pages * PAGE_BYTES / 1e6, threads, handles)


def growth_per_minute(seconds: list[float], values: list[float]) -> float:
    """Slope of a straight line through the values, per minute; 0 of fewer than two."""
    if len(seconds) < 2:
        return 0.0
    return float(np.polyfit(np.array(seconds) / 60, values, 1)[0])


class Listener:
    """What a fusion node publishes, heard in a thread of this process.

    arrived: {stamp_ns: perf_counter_ns} of detections, the first of each stamp; `diagnostics` is the newest:
    {name of a status: {key: value}}.
    """

    def __init__(self, context: Context) -> None:
        self.node = Node("bench", context=context)
        self.arrived: dict[int, int] = {}
        self.diagnostics: dict[str, dict[str, str]] = {}
        detections = message_class("vision_msgs/msg/Detection3DArray")
        self.node.create_subscription(
            detections, "/fusion/detections", self._on_detections, QoSProfile(depth=50)
        )
        array = message_class("diagnostic_msgs/msg/DiagnosticArray")
        self.node.create_subscription(array, "/diagnostics", self._on_diagnostics, QoSProfile(depth=50))
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="listener", daemon=True)
        self._ended = threading.Event()
        self._thread.start()

    def stages(self) -> dict[str, dict[str, float]]:
        """Times of the node's stages as last told: {stage: {p50_ms, p95_ms, p99_ms}}."""
        found: dict[str, dict[str, float]] = {}
        for key, value in self.diagnostics.get("stages", {}).items():
            stage, _, quantile = key.rpartition(".")
            if stage:
                found.setdefault(stage, {})[quantile] = float(value)
        return found

    def about(self) -> dict[str, str]:
        """What the node last said of itself beside times: detector, backend, frames, load ..."""
        return {key: value for key, value in self.diagnostics.get("stages", {}).items() if "." not in key}

    def drops(self) -> dict[str, dict[str, int]]:
        """Drops by source and reason as last told."""
        found: dict[str, dict[str, int]] = {}
        for name, values in self.diagnostics.items():
            counted = {k[6:]: int(v) for k, v in values.items() if k.startswith("drops.")}
            if counted:
                found[name.removeprefix("sensor ")] = counted
        return found

    def close(self) -> None:
        """End the thread and the node."""
        self._ended.set()
        self._thread.join()
        self.node.destroy_node()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _on_detections(self, message: Any) -> None:
        arrived_ns = time.perf_counter_ns()
        stamp = message.header.stamp
        self.arrived.setdefault(stamp.sec * 10**9 + stamp.nanosec, arrived_ns)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            self.diagnostics[status.name.partition(": ")[2]] = {v.key: v.value for v in status.values}


@contextmanager
def fusion_node(environment: dict[str, str], log: Path, **parameters: str) -> Iterator[tuple[Child, float]]:
    """The node with these parameters, active, and the seconds that took; ended afterwards."""
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    began_s = time.monotonic()
    with Child("mm_fusion.nodes.fusion_node", ["--ros-args", *words], environment, log) as child:
        child.wait_for("[fusion]: active", READY_S)
        yield child, time.monotonic() - began_s


def machine() -> dict[str, Any]:
    """What figures were taken on and with."""
    from mm_fusion.benchmarking.machine import hardware, software

    return {**hardware(), "software": software()}


def quantiles(values: list[float]) -> dict[str, float]:
    """p50, p95, p99 and max, NaN without values."""
    if not values:
        return dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "max_ms"), float("nan"))
    found = [*np.percentile(values, (50, 95, 99)), max(values)]
    return {name: round(float(v), 2) for name, v in zip(("p50_ms", "p95_ms", "p99_ms", "max_ms"), found)}
