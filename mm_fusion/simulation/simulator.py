"""A drive as the stream of messages that a vehicle would receive, the same for the same seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from mm_fusion.bags.truth import TRUTH_CLOUD_TOPIC, TRUTH_TOPIC
from mm_fusion.bags.types import message_type
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import StampedTransform
from mm_fusion.messages.build import Types
from mm_fusion.messages.encode import encode_detections, encode_detections_cloud, encode_transforms
from mm_fusion.simulation.clocks import Tick, make_clocks, random_of
from mm_fusion.simulation.fault_messages import spoil_message
from mm_fusion.simulation.faults import Delivery, FaultPlan, faults_by_sensor
from mm_fusion.simulation.odometry import TF, Odometry, odometry_messages, odometry_topics
from mm_fusion.simulation.rig import Measured, Rig, RigOptions
from mm_fusion.simulation.schedule import Due, OdometryDue, schedule
from mm_fusion.simulation.sensor_messages import message_topics, messages_of
from mm_fusion.simulation.truth_frames import Sightings, truth_frame
from mm_fusion.simulation.workers import DriveSpec, measured_ahead

START_NS = 1_700_000_000_000_000_000
"""Stamp of a drive's beginning, fixed so that the same seed gives the same bytes."""
CALIBRATION_LEAD_NS = 1_000_000
DURATION_S = 30.0


class Event(NamedTuple):
    """One message and when it is received."""

    receipt_ns: int
    topic: str
    message: Any


class Simulator:
    """One drive. Raises `ConfigurationError` for what cannot be: scenario, weather, vehicle, faults.

    start_ns: the stamp of its beginning; duration_s: how long it can last.
    """

    def __init__(
        self,
        vehicle: VehicleConfig,
        scenario: str = "urban",
        seed: int = 7,
        weather: str = "clear",
        faults: FaultPlan | None = None,
        start_ns: int = START_NS,
        options: RigOptions | None = None,
        duration_s: float = DURATION_S,
    ) -> None:
        from mm_fusion.simulation.world import make_world

        self.vehicle, self.seed, self.start_ns = vehicle, seed, start_ns
        self.rig = Rig(vehicle, seed, options or RigOptions())
        self.clocks = make_clocks(vehicle, seed)
        self.faults = faults_by_sensor(faults or FaultPlan(), vehicle)
        self.world = make_world(scenario, seed, weather, duration_s=duration_s)
        self._spec = DriveSpec(vehicle, scenario, seed, weather, duration_s, options or RigOptions())
        self._sightings = Sightings()

    @property
    def reference(self) -> str:
        """The sensor at whose measurements truth is told."""
        chosen = [name for name in self.vehicle.alignment.reference if name in self.rig.sensors]
        return (chosen or list(self.rig.sensors))[0]

    def topics(self) -> dict[str, str]:
        """Type by topic of everything that a drive sends."""
        found = {"/tf_static": TF, **odometry_topics(self.vehicle)}
        for sensor in self.rig.sensors.values():
            found.update(message_topics(sensor))
        truth = {
            TRUTH_TOPIC: "vision_msgs/msg/Detection3DArray",
            TRUTH_CLOUD_TOPIC: "sensor_msgs/msg/PointCloud2",
        }
        return {**found, **truth}

    def events(
        self,
        seconds: float,
        types: Types = message_type,
        wanted: Collection[str] | None = None,
        workers: int = 1,
    ) -> Iterator[Event]:
        """Every message of the first `seconds` in order of receipt; made when it is asked for.

        types: gives the message classes. wanted: topics to send (None: all). workers: processes that measure,
        the messages are the same with any number.
        """
        if not 0 < seconds <= self.world.duration_s:
            raise ConfigurationError(
                f"{seconds} seconds: expected above 0 and at most the {self.world.duration_s:g} s "
                "that a drive of this scenario lasts"
            )
        self._sightings = Sightings()
        drive = Odometry(self.world, self.seed)
        self._wanted = frozenset(self.topics() if wanted is None else wanted)
        yield Event(self.start_ns - CALIBRATION_LEAD_NS, "/tf_static", self._calibration(types))
        due_in_order = schedule(self.clocks, self.faults, self.reference, drive, seconds, self.seed)
        if workers > 1:
            stream = measured_ahead(due_in_order, self._spec, self.start_ns, workers)
        else:
            stream = ((receipt_ns, due, self._measured(due)) for receipt_ns, due in due_in_order)
        for receipt_ns, due, measured in stream:
            for topic, message in self._messages(due, measured, drive, types):
                if topic in self._wanted:
                    yield Event(self.start_ns + receipt_ns, topic, message)

    def _measured(self, due: Due) -> Measured | None:
        if not isinstance(due, Delivery) or due.dropped:
            return None
        return self.rig.measure(self.world, due, self.start_ns + due.stamp_ns)

    def _messages(
        self, due: Due, measured: Measured | None, drive: Odometry, types: Types
    ) -> Iterator[tuple[str, Any]]:
        if isinstance(due, Delivery):
            if measured is not None:
                yield from self._delivered(due, measured, types)
        elif isinstance(due, OdometryDue):
            yield from self._odometry(drive, due.index, types)
        else:
            yield from self._truth(due.tick, types)

    def _delivered(self, delivery: Delivery, measured: Measured, types: Types) -> Iterator[tuple[str, Any]]:
        name = delivery.tick.sensor
        stamp_ns = self.start_ns + delivery.stamp_ns
        self._sightings.add(name, delivery.content.time_ns, measured)
        sensor = self.rig.sensors[name]
        for topic, message in messages_of(measured, stamp_ns, self.rig.frame_of(name), sensor, types):
            if topic == sensor.topic:
                message = self._corrupted(message, delivery)
            yield topic, message

    def _corrupted(self, message: Any, delivery: Delivery) -> Any:
        for number, fault in delivery.spoilt:
            tick = delivery.tick
            message = spoil_message(
                message, fault, random_of(self.seed, tick.sensor, "corruption", number, tick.index)
            )
        return message

    def _odometry(self, drive: Odometry, index: int, types: Types) -> Iterator[tuple[str, Any]]:
        ego = drive.at(index, self.start_ns)
        yield from odometry_messages(ego, self.vehicle, types)

    def _truth(self, tick: Tick, types: Types) -> Iterator[tuple[str, Any]]:
        stamp_ns = self.start_ns + tick.stamp_ns
        frame = truth_frame(self.world, self.rig, self.clocks, self._sightings, tick.time_ns, stamp_ns)
        if TRUTH_TOPIC in self._wanted:
            yield TRUTH_TOPIC, encode_detections(frame.objects, stamp_ns, frame.frame_id, types)
        extra = {name: np.asarray(column, np.float32) for name, column in frame.extra.items()}
        yield (
            TRUTH_CLOUD_TOPIC,
            encode_detections_cloud(frame.objects, stamp_ns, frame.frame_id, types, extra),
        )

    def _calibration(self, types: Types) -> Any:
        base = self.vehicle.base_frame
        edges = tuple(
            StampedTransform(self.start_ns, base, self.rig.frame_of(name), mount, static=True)
            for name, mount in self.rig.mounts.items()
        )
        return encode_transforms(edges, types)
