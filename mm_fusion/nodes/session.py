"""Everything that the fusion node holds while it is active, from subscriptions to threads."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
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
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.publishing import Outputs
from mm_fusion.nodes.receipts import receipt_log
from mm_fusion.nodes.stages import Stages
from mm_fusion.nodes.subscriptions import Subscriptions
from mm_fusion.nodes.threads import DetectThread, Handover, PipelineThread
from mm_fusion.pipeline import Pipeline

DISCOVER_S = 0.2
REPORT_S = 1.0


class Session:
    """Subscribes, runs the pipeline and publishes from its making until `close`."""

    def __init__(
        self,
        node: LifecycleNode,
        vehicle: VehicleConfig,
        detector: Detector,
        diagnostics: Publisher,
        receipts: str,
    ) -> None:
        self._node, self._vehicle, self._diagnostics = node, vehicle, diagnostics
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._stages = Stages()
        self._drops = DropReporter(lambda text: node.get_logger().warning(text))
        # what can be refused comes before what would have to be given back
        self._inbox = Inbox(self._now_ns, _image_topics(vehicle), self._on_inbox_drop)
        self._subscriptions = Subscriptions(node, vehicle, self._inbox.put)
        self._prepare_skipped = 0
        self._reported_drops: Counts = {}
        self._receipts = receipt_log(receipts)
        self._pipeline = Pipeline(vehicle, detector)
        self._outputs = Outputs(node, vehicle)
        self._pool = LatestPool(max(1, min(4, (os.cpu_count() or 1) - 1)), self._on_error)
        self._detect = DetectThread(self._pipeline, self._stages, self._on_result, self._on_error)
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
            self._node.create_timer(REPORT_S, self._guarded(self.report), clock=steady),
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
        if self._node.context.ok():
            self.report()
        self._outputs.close()

    def report(self) -> None:
        """Publish diagnostics and say new drops; mode `-` while no sensor is alive."""
        snapshot = self._worker.snapshot
        statuses = [stage_status(self._stages, self._counts(), self._name)]
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
            "detector": self._vehicle.model,
            "prepare_skipped": self._prepare_skipped,
        }

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _prepare(self, sensor: str, item: Deferred) -> None:
        if self._pool.submit(sensor, lambda: self._pipeline.prepare(sensor, item)):
            self._prepare_skipped += 1

    def _on_result(self, handover: Handover, result: FusionResult) -> None:
        self._outputs.publish(result)
        self._stages.add("after_last", (time.perf_counter_ns() - handover.caused_perf_ns) / 1e6)
        self._stages.add("latency", (self._now_ns() - result.stamp_ns) / 1e6)
        for camera in self._outputs.overlays_wanted():
            self._pool.submit(f"overlay/{camera}", self._overlay(camera, handover, result))

    def _overlay(self, camera: str, handover: Handover, result: FusionResult) -> Callable[[], None]:
        return lambda: self._outputs.publish_overlay(camera, handover.frame, result)

    def _on_inbox_drop(self, topic: str, reason: DropReason) -> None:
        for route in routes(self._vehicle)[topic]:
            self._pipeline.drops.add(
                route.sensor, reason, f"{topic}: messages come faster than they are taken in"
            )

    def _on_error(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._node.get_logger().error(f"unexpected error, going on: {text}", throttle_duration_sec=10.0)


def _image_topics(vehicle: VehicleConfig) -> frozenset[str]:
    return frozenset(sensor.topic for sensor in vehicle.sensors.values() if sensor.kind == "camera")


def _one_thread_each() -> None:
    """OpenCV's own threads would fight with ours for the cores."""
    import cv2

    cv2.setNumThreads(1)
