"""Two threads: one owns the pipeline's calls in order of receipt, one detects and publishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mm_fusion.alignment.sensor_state import SensorState
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import FusionResult
from mm_fusion.errors import BackendError, DropReason, MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, Item
from mm_fusion.messages.routes import Route, decode, routes
from mm_fusion.nodes.camera_use import CameraUse
from mm_fusion.nodes.inbox import Inbox, Received
from mm_fusion.nodes.latest import Latest
from mm_fusion.nodes.load import Load
from mm_fusion.nodes.message_types import deserialized
from mm_fusion.nodes.stages import Stages
from mm_fusion.pipeline import Pipeline

FRAMES = "frames"
"""The name under which frames that found the detector busy stand among the drops."""
SHED_FRAMES = "shed frames"
"""The name of those that are left out so that the others meet their deadline."""
LOOK_EVERY = 5
"""What cameras contribute is looked at once in so many frames."""
GIVE_UP = 5
"""So many frames in a row without a backend that works: none is to be expected any more."""

IDLE_S = 0.1
SIMULATED_STEP_S = 0.002
"""Simulated time does not wake a thread: look again after this."""

SNAPSHOT_S = 0.5


@dataclass(frozen=True)
class Handover:
    """A frame on its way to the detector. caused_perf_ns: when the message that completed it came, or when
    a deadline ended; both times are of `time.perf_counter_ns`.
    """

    frame: Frame
    caused_perf_ns: int
    released_perf_ns: int


@dataclass(frozen=True)
class Snapshot:
    """What the pipeline's thread last knew, for diagnostics. now_ns: the node's clock then."""

    now_ns: int
    states: dict[str, SensorState]
    drops: dict[str, dict[str, int]]
    texts: dict[tuple[str, DropReason], str]


class PipelineThread(threading.Thread):
    """Takes messages from the inbox, decodes their headers, adds them and polls right after.

    on_frame: gets each frame, never blocks. on_item: gets each measurement, for preparing early. on_received:
    gets each message as it is added, for the log. on_error: gets what nobody expected; the thread goes on.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        vehicle: VehicleConfig,
        inbox: Inbox,
        stages: Stages,
        on_frame: Callable[[Handover], None],
        on_item: Callable[[str, Deferred], None],
        on_received: Callable[[Received], None],
        on_error: Callable[[Exception], None],
        simulated_time: bool,
    ) -> None:
        super().__init__(name="pipeline", daemon=True)
        self.snapshot: Snapshot | None = None
        self.frames = 0
        self._pipeline, self._vehicle, self._inbox, self._stages = pipeline, vehicle, inbox, stages
        self._on_frame, self._on_item = on_frame, on_item
        self._on_received, self._on_error = on_received, on_error
        self._longest_sleep_s = SIMULATED_STEP_S if simulated_time else IDLE_S
        self._routes = routes(vehicle)
        self._cameras = {name for name, sensor in vehicle.sensors.items() if sensor.kind == "camera"}
        self._added: list[tuple[str, Deferred]] = []
        self._halt = threading.Event()
        self._next_snapshot_s = 0.0

    def run(self) -> None:
        """Until `stop`; nothing that a message can contain ends it."""
        while not self._halt.is_set():
            try:
                self._step()
            except Exception as error:
                self._on_error(error)

    def stop(self) -> None:
        """Let the thread end and wait for it."""
        self._halt.set()
        self._inbox.wake()
        self.join()

    def _step(self) -> None:
        before, received = self.frames, self._inbox.take(self._sleep_s())
        if received is not None:
            self._receive(received)
        now_ns = self._inbox.idle_ns()
        if now_ns:
            caused_ns = received.arrived_perf_ns if received is not None else time.perf_counter_ns()
            self._hand_over(self._pipeline.poll(now_ns), caused_ns)
            self._take_snapshot(now_ns)
        for sensor, item in self._added:
            # of what completed a frame the detector is at work already; of images it may leave some to others
            if self.frames == before or sensor in self._cameras:
                self._on_item(sensor, item)
        self._added.clear()

    def _sleep_s(self) -> float:
        due_ns, now_ns = self._pipeline.next_due_ns(), self._inbox.idle_ns()
        if now_ns is None:
            return 0.0
        if due_ns is None:
            return IDLE_S
        return min(max(due_ns - now_ns, 0) / 1e9, self._longest_sleep_s)

    def _receive(self, received: Received) -> None:
        start = time.perf_counter_ns()
        self._stages.add("queue", (start - received.arrived_perf_ns) / 1e6)
        self._on_received(received)
        message = self._deserialized(received)
        if message is not None:
            for route in self._routes[received.topic]:
                self._add(route, message, received)
        self._stages.add("add", (time.perf_counter_ns() - start) / 1e6)

    def _deserialized(self, received: Received) -> Any:
        try:
            return deserialized(received.data, received.kind)
        except Exception as error:
            for route in self._routes[received.topic]:
                text = f"{received.topic}: not a {received.kind}: {error or type(error).__name__}"
                self._pipeline.drops.add(route.sensor, DropReason.MALFORMED, text)
            return None

    def _add(self, route: Route, message: Any, received: Received) -> None:
        try:
            item: Item = decode(route, message, self._vehicle, received.receipt_ns)
        except MeasurementError as error:
            self._pipeline.drops.add(route.sensor, error.reason, str(error))
            return
        frames = self._pipeline.add(route.sensor, item, received.receipt_ns)
        self._hand_over(frames, received.arrived_perf_ns)
        if isinstance(item, Deferred):
            self._added.append((route.sensor, item))

    def _hand_over(self, frames: list[Frame], caused_perf_ns: int) -> None:
        for frame in frames:
            self.frames += 1
            self._on_frame(Handover(frame, caused_perf_ns, time.perf_counter_ns()))

    def _take_snapshot(self, now_ns: int) -> None:
        if time.monotonic() < self._next_snapshot_s:
            return
        self._next_snapshot_s = time.monotonic() + SNAPSHOT_S
        drops = self._pipeline.drops
        self.snapshot = Snapshot(now_ns, dict(self._pipeline.states()), drops.counts(), dict(drops.texts()))


class DetectThread(threading.Thread):
    """Detects in the newest frame and hands the result on; frames it has no time for are `superseded`.

    load: says what to leave out. on_idle: called after each frame, when nobody waits for anything. `broken`
    says what went wrong once `GIVE_UP` frames in a row have found no backend that works.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        stages: Stages,
        load: Load,
        on_result: Callable[[Handover, FusionResult], None],
        on_idle: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__(name="detect", daemon=True)
        self.results = 0
        self.broken = ""
        self._pipeline, self._stages, self._load = pipeline, stages, load
        self._on_result, self._on_idle, self._on_error = on_result, on_idle, on_error
        self._place: Latest[Handover] = Latest()
        self._halt = threading.Event()
        self._use = CameraUse()
        self._offered = self._superseded = self._superseded_before = self._failures = 0

    def offer(self, handover: Handover) -> None:
        """Hand over a frame; never blocks."""
        self._offered += 1
        shed = self._load.shed
        if self._offered % shed.keep_every:
            self._pipeline.drops.add(SHED_FRAMES, DropReason.SUPERSEDED, f"overload: without {shed}")
        elif self._place.put(handover) is not None:
            self._superseded += 1
            self._pipeline.drops.add(FRAMES, DropReason.SUPERSEDED, "detection takes longer than frames come")

    def run(self) -> None:
        """Until `stop`; an error costs one frame."""
        while not self._halt.is_set():
            handover = self._place.take(IDLE_S)
            if handover is not None:
                try:
                    self._work(handover)
                    self._failures = 0
                except Exception as error:
                    self._fail(error)

    def stop(self) -> None:
        """Let the thread end and wait for it."""
        self._halt.set()
        self.join()

    def _work(self, handover: Handover) -> None:
        self._stages.add("handover", (time.perf_counter_ns() - handover.released_perf_ns) / 1e6)
        with self._stages.measure("detect"):
            result = self._pipeline.detect(handover.frame, without=self._load.shed.cameras)
        with self._stages.measure("publish"):
            self._on_result(handover, result)
        self.results += 1
        self._look_back(handover, result, (time.perf_counter_ns() - handover.released_perf_ns) / 1e6)

    def _look_back(self, handover: Handover, result: FusionResult, took_ms: float) -> None:
        """What can wait until the result is out."""
        skipped, self._superseded_before = self._superseded - self._superseded_before, self._superseded
        self._load.observe(took_ms, skipped, self._use.shares)
        if self.results % LOOK_EVERY == 0:
            self._use.observe(handover.frame, result)
        self._pipeline.examine()
        self._on_idle()

    def _fail(self, error: Exception) -> None:
        self._on_error(error)
        if isinstance(error, BackendError):  # of another kind it is about what came, and may pass with it
            self._failures += 1
        if self._failures >= GIVE_UP:
            self.broken = str(error) or type(error).__name__
