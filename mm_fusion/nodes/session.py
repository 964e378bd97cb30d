"""Everything that the fusion node holds while it is active, from subscriptions to threads."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher

from mm_fusion.config import VehicleConfig
from mm_fusion.detections import FusionResult
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import DropReason
from mm_fusion.measurements import Deferred
from mm_fusion.messages.encode_status import encode_diagnostics
from mm_fusion.messages.routes import routes
from mm_fusion.nodes.diagnostics import Counts, DropReporter, sensor_statuses, stage_status
from mm_fusion.nodes.inbox import Inbox
from mm_fusion.nodes.latest import LatestPool
from mm_fusion.nodes.load import Load
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.publishing import Outputs
from mm_fusion.nodes.receipts import receipt_log
from mm_fusion.nodes.stages import Stages
from mm_fusion.nodes.subscriptions import Subscriptions
from mm_fusion.nodes.threads import DetectThread, Handover, PipelineThread
from mm_fusion.pipeline import Pipeline

DISCOVER_S = 0.2
REPORT_S = 1.0
"""Diagnostics are made after a frame, when nobody waits, or half of this later where none comes."""


class Session:
    """Subscribes, runs the pipeline and publishes from its making until `close`.

    about: gives what diagnostics say of `detector`. receipts: path of their log, or ''. deadline_ms: from the
    release of a frame to the end of publication, 0 for the time between frames.
    """

    def __init__(
        self,
        node: LifecycleNode,
        vehicle: VehicleConfig,
        detector: Detector,
        about: Callable[[], Mapping[str, str]],
        diagnostics: Publisher,
        receipts: str,
        deadline_ms: float = 0.0,
    ) -> None:
        self._node, self._vehicle, self._diagnostics = node, vehicle, diagnostics
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._stages = Stages()
        self._drops = DropReporter(lambda text: node.get_logger().warning(text))
        # what can be refused comes before what would have to be given back
        self._inbox = Inbox(self._now_ns, _image_topics(vehicle), self._on_inbox_drop)
        self._subscriptions = Subscriptions(node, vehicle, self._inbox.put)
        self._prepare_skipped = 0
        self._about, self._report_wanted, self._ticks = about, False, 0
        self._said: dict[str, str] = {}
        self._reported_drops: Counts = {}
        self._reporting = threading.Lock()
        self._receipts = receipt_log(receipts)
        self._pipeline = Pipeline(vehicle, detector, self._stages.measure)
        self._load = Load(deadline_ms or 1e3 / vehicle.alignment.rate_hz, _cameras(vehicle))
        self._outputs = Outputs(node, vehicle)
        self._pool = LatestPool(max(1, min(4, (os.cpu_count() or 1) - 1)), self._on_error)
        self._drawing = LatestPool(1, self._on_error)  # of its own: images to be encoded never wait for it
        self._detect = DetectThread(
            self._pipeline, self._stages, self._load, self._on_result, self._on_idle, self._on_error
        )
        self._worker = PipelineThread(
            self._pipeline,
            vehicle,
            self._inbox,
            self._stages,
            on_frame=self._detect.offer,
            on_item=self._prepare,
            on_received=self._receipts.write,
            on_error=self._on_error,
            simulated_time=bool(node.get_parameter("use_sim_time").value),
        )
        self._start()

    def _start(self) -> None:
        _one_thread_each()
        self._worker.start()
        self._detect.start()
        self._subscriptions.discover()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers = [
            self._node.create_timer(DISCOVER_S, self._guarded(self._subscriptions.discover), clock=steady),
            self._node.create_timer(REPORT_S / 2, self._guarded(self._tick), clock=steady),
        ]

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        """`work` as a callback: what is raised in one would end the executor, and with it the node."""

        def callback() -> None:
            try:
                work()
            except Exception as error:
                self._on_error(error)

        return callback

    def close(self) -> None:
        """Give everything back; the log of receipts is whole after it."""
        for timer in self._timers:
            self._node.destroy_timer(timer)
        self._subscriptions.close()
        self._worker.stop()
        self._receipts.close()
        self._detect.stop()
        self._pool.close()
        self._drawing.close()
        if self._node.context.ok():
            self.report()
        self._outputs.close()

    def use(self, detector: Detector, about: Callable[[], Mapping[str, str]]) -> None:
        """Detect with another detector from the next frame on."""
        self._about, self._said = about, {}
        self._pipeline.use(detector)

    @property
    def broken(self) -> str:
        """Why nothing comes of the detector any more; '' while it works."""
        return self._detect.broken

    def say(self, name: str, text: str) -> None:
        """Let diagnostics say `text` under `name` until another detector is used."""
        self._said[name] = text

    def _tick(self) -> None:
        """Every second time: ask for a report after the next frame; else: make it if none has come since."""
        self._ticks += 1
        if self._ticks % 2:
            self._report_wanted = True
        else:
            self._on_idle()

    def _on_idle(self) -> None:
        if self._report_wanted:
            self._report_wanted = False
            self._guarded(self.report)()

    def report(self) -> None:
        """Publish diagnostics and say new drops; mode `-` while no sensor is alive."""
        with self._reporting:  # the timer's thread and that of detection
            self._report()

    def _report(self) -> None:
        snapshot = self._worker.snapshot
        statuses = [stage_status(self._stages, self._counts(), self._load.shed, self._name)]
        if snapshot is not None:
            self._drops.report(snapshot.drops, snapshot.texts)
            topics, before = self._subscriptions.topics, self._reported_drops
            statuses += sensor_statuses(snapshot, self._vehicle, topics, self._name, before)
            self._reported_drops = snapshot.drops
            self._pipeline.health.observe_states(snapshot.states)
            statuses += [replace(s, name=f"{self._name}: {s.name}") for s in self._pipeline.health.statuses()]
        if snapshot is None or not any(state.liveness == "alive" for state in snapshot.states.values()):
            self._outputs.say_mode("-")
        self._diagnostics.publish(encode_diagnostics(statuses, self._now_ns(), message_class))

    def _counts(self) -> dict[str, int | str]:
        return {
            "frames": self._worker.frames,
            "results": self._detect.results,
            "prepare_skipped": self._prepare_skipped,
            **self._about(),
            **self._said,
        }

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _prepare(self, sensor: str, item: Deferred) -> None:
        if sensor in self._load.shed.cameras:
            return
        if self._pool.submit(sensor, lambda: self._pipeline.prepare(sensor, item)):
            self._prepare_skipped += 1

    def _on_result(self, handover: Handover, result: FusionResult) -> None:
        shed = self._load.shed
        self._outputs.publish(result, markers=not shed.markers)
        self._stages.add("after_last", (time.perf_counter_ns() - handover.caused_perf_ns) / 1e6)
        self._stages.add("latency", (self._now_ns() - result.stamp_ns) / 1e6)
        for camera in () if shed.overlays else self._outputs.overlays_wanted():
            self._drawing.submit(camera, self._overlay(camera, handover, result))

    def _overlay(self, camera: str, handover: Handover, result: FusionResult) -> Callable[[], None]:
        return lambda: self._outputs.publish_overlay(camera, handover.frame, result)

    def _on_inbox_drop(self, topic: str, reason: DropReason) -> None:
        for route in routes(self._vehicle)[topic]:
            self._pipeline.drops.add(
                route.sensor, reason, f"{topic}: messages come faster than they are taken in"
            )

    def _on_error(self, error: Exception) -> None:
        if not self._node.context.ok():
            return  # interrupted: nothing can be published any more
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._node.get_logger().error(f"unexpected error, going on: {text}", throttle_duration_sec=10.0)


def _cameras(vehicle: VehicleConfig) -> list[str]:
    return [name for name, sensor in vehicle.sensors.items() if sensor.kind == "camera"]


def _image_topics(vehicle: VehicleConfig) -> frozenset[str]:
    return frozenset(sensor.topic for sensor in vehicle.sensors.values() if sensor.kind == "camera")


def _one_thread_each() -> None:
    """OpenCV's own threads would fight with ours for the cores."""
    import cv2

    cv2.setNumThreads(1)
