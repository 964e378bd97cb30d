"""Frame by frame: collect -> detect -> result; the one pipeline of node, bag and simulator.

Owns no thread, clock, file or socket: time comes in with each call. `add`, `poll` and `flush` belong to one
thread, `detect` to one that may be another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from mm_fusion.alignment.collector import Collector, Release
from mm_fusion.alignment.health import HealthMonitor
from mm_fusion.alignment.sensor_state import SensorState, SensorTiming, Stamped
from mm_fusion.calibration_store import CalibrationStore
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import FusionResult, mode_of
from mm_fusion.detectors.protocol import Detector, EncodesImages, Measure, Timed, unmeasured
from mm_fusion.errors import DropLog, MeasurementError
from mm_fusion.frame import Calibration, Frame, decoded
from mm_fusion.geometry.radar_ego import RadarReturns, estimate_ego_motion
from mm_fusion.measurements import (
    CameraModel,
    Deferred,
    EgoMotion,
    Float64,
    Item,
    Measurement,
    RadarScan,
    SensorKind,
)

GROUP_OF_KIND: Mapping[SensorKind, str] = {
    "camera": "camera",
    "image_detections": "camera",
    "lidar": "lidar",
    "radar": "radar",
    "radar_tracks": "radar",
}


class Pipeline:
    """Fused detections from items in order of receipt.

    vehicle: its sensors, alignment and ego motion sources. detector: what finds objects in a frame. `drops`
    counts all that was not used. A measurement without a way to `base_frame`, or an image without a camera
    model, is dropped when its frame is released; a payload that cannot be decoded when it is detected: its
    sensor is absent from that frame. measure: times the stages of `detect` and `prepare` for a host; times
    never enter a result.
    """

    def __init__(self, vehicle: VehicleConfig, detector: Detector, measure: Measure = unmeasured) -> None:
        self.vehicle = vehicle
        self.drops = DropLog()
        self._measure = measure
        self.use(detector)
        self._unexamined: Frame | None = None
        self._kinds: dict[str, SensorKind] = {name: sensor.kind for name, sensor in vehicle.sensors.items()}
        timings = {name: SensorTiming.of(sensor) for name, sensor in vehicle.sensors.items()}
        self._collector = Collector(timings, vehicle.alignment, self.drops)
        self._known = CalibrationStore(vehicle)
        self._health = HealthMonitor(vehicle)
        self._resets_seen = 0
        self._asks_radar = any(source.kind == "radar" for source in vehicle.ego_motion)

    def add(self, sensor: str, item: Item, receipt_ns: int) -> list[Frame]:
        """Frames released before `item`, which is then taken in.

        sensor: the name of a sensor; for transforms and ego motion any name of their source (its topic).
        receipt_ns: when it was received, never before that of the call before but after a whole reset.
        """
        frames = self._frames(self._collector.advance(receipt_ns))
        if isinstance(item, tuple):
            self._known.add_transforms(item)
        elif isinstance(item, EgoMotion):
            self._known.add_ego_motion(sensor, item)
        elif isinstance(item, CameraModel):
            self._known.add_camera_model(sensor, item)
        else:
            frames += self._frames(self._collector.add(sensor, item.stamp_ns, receipt_ns, item))
        return frames

    def poll(self, now_ns: int) -> list[Frame]:
        """Frames due by `now_ns`, which is not later than the receipt of anything still to be added."""
        return self._frames(self._collector.poll(now_ns))

    def next_due_ns(self) -> int | None:
        """When to call `poll` next, None while nothing can become due by time alone."""
        return self._collector.next_due_ns()

    def flush(self) -> list[Frame]:
        """All frames still open: the end of a recording."""
        return self._frames(self._collector.flush())

    def use(self, detector: Detector) -> None:
        """Detect with `detector` from the next frame on; from any thread."""
        if isinstance(detector, Timed):
            detector.measure = self._measure
        self._detector = detector

    def detect(self, frame: Frame, without: Collection[str] = ()) -> FusionResult:
        """The objects of one frame; undecodable payloads make their sensor absent and are counted.

        without: sensors that the host leaves out, absent like those that sent nothing. Health is what the
        frames before showed: a frame is examined after it (`examine`), not while its result is waited for.
        """
        self.examine()
        drops, detector = DropLog(), self._detector
        frame = _without(frame, without)
        with self._measure("payloads"):
            frame = self._decoded(frame, drops)
            frame = self._with_radar_ego(frame)
        frame = replace(frame, health=self._health.known(frame.measurements))
        detections = detector.detect(frame)
        self._health.observe_matches(getattr(detector, "last_matches", ()))
        self._unexamined = frame
        present = [GROUP_OF_KIND[self._kinds[name]] for name in frame.measurements]
        return FusionResult(
            frame.stamp_ns,
            self.vehicle.output_frame,
            dict(frame.available),
            dict(frame.age_ns),
            detections,
            mode_of(present),
            drops.counts(),
        )

    def examine(self) -> None:
        """Take the last frame's sensors into account for health; the next `detect` does it at the latest.

        For a host to call in the thread of `detect` when it has time; never changes a result.
        """
        frame, self._unexamined = self._unexamined, None
        if frame is not None:
            with self._measure("health"):
                self._health.examine(frame)

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Do early what needs no frame, such as decoding; from any thread, never changes a result."""
        detector = self._detector
        if self._kinds[sensor] == "camera" and isinstance(detector, EncodesImages):
            try:
                detector.prepare_image(sensor, item, self._known.camera_model(sensor))
                return
            except MeasurementError:
                pass  # no camera model yet
        detector.prepare(sensor, item)

    def states(self) -> dict[str, SensorState]:
        """Rate, latency, jitter and liveness of every sensor, for diagnostics."""
        return self._collector.states()

    @property
    def health(self) -> HealthMonitor:
        """What is known of the sensors' condition."""
        return self._health

    # From releases to frames.

    def _frames(self, releases: list[Release]) -> list[Frame]:
        frames = [self._frame(release) for release in releases]
        if self._collector.resets != self._resets_seen:
            self._resets_seen = self._collector.resets
            self._known.forget_the_past()
        return frames

    def _frame(self, release: Release) -> Frame:
        base_from_sensor: dict[str, Float64] = {}
        models: dict[str, CameraModel] = {}
        chosen: dict[str, Stamped] = {}
        for name, stamped in release.chosen.items():
            try:
                base_from_sensor[name] = self._place(name, stamped)
                if self._kinds[name] in ("camera", "image_detections"):
                    models[name] = self._known.camera_model(name)
            except MeasurementError as error:
                self.drops.add(name, error.reason, str(error))
            else:
                chosen[name] = stamped
        return Frame(
            stamp_ns=release.stamp_ns,
            measurements={name: stamped.payload for name, stamped in chosen.items()},
            kinds=self._kinds,
            available={name: name in chosen for name in self._kinds},
            age_ns={name: release.stamp_ns - stamped.time_ns for name, stamped in chosen.items()},
            calibration=Calibration(base_from_sensor, models),
            ego=self._known.ego_motion(release.stamp_ns, chosen),
            earlier={
                n: tuple(s.payload for s in older)
                for n, older in release.earlier.items()
                if n in chosen and older
            },
        )

    def _place(self, name: str, stamped: Stamped) -> Float64:
        return self._known.base_from_sensor(name, stamped.payload.frame_id, stamped.time_ns)

    # From frames to results.

    def _decoded(self, frame: Frame, drops: DropLog) -> Frame:
        measurements: dict[str, Measurement] = {}
        for name, item in frame.measurements.items():
            self._decode_into(measurements, name, item, drops)
        earlier: dict[str, tuple[Measurement, ...]] = {}
        for name in measurements.keys() & frame.earlier.keys():
            kept: dict[str, Measurement] = {}
            for index, item in enumerate(frame.earlier[name]):
                self._decode_into(kept, f"{index}", item, None)
            earlier[name] = tuple(kept.values())
        return replace(
            frame,
            measurements=measurements,
            earlier=earlier,
            available={name: name in measurements for name in frame.available},
            age_ns={name: age for name, age in frame.age_ns.items() if name in measurements},
        )

    def _decode_into(
        self, found: dict[str, Measurement], name: str, item: Measurement | Deferred, drops: DropLog | None
    ) -> None:
        """`drops` None: an older sweep, which was counted when it was the newest."""
        try:
            found[name] = decoded(item)
        except MeasurementError as error:
            if drops is not None:
                drops.add(name, error.reason, str(error))
                self.drops.add(name, error.reason, str(error))

    def _with_radar_ego(self, frame: Frame) -> Frame:
        """The frame with ego motion from its own radar scans, where configured and nothing better lives."""
        if frame.ego is not None or not self._asks_radar:
            return frame
        scans = [
            _returns(scan, frame.calibration.base_from_sensor[name])
            for name, scan in frame.of_kind("radar").items()
            if isinstance(scan, RadarScan) and not scan.compensated and len(scan.xyz)
        ]
        estimate = estimate_ego_motion(scans) if scans else None
        if estimate is None:
            return frame
        return replace(frame, ego=estimate.ego_motion(frame.stamp_ns))


def _without(frame: Frame, names: Collection[str]) -> Frame:
    """The frame as if the sensors of these names had sent nothing."""
    if not names:
        return frame
    return replace(
        frame,
        measurements={name: item for name, item in frame.measurements.items() if name not in names},
        earlier={name: items for name, items in frame.earlier.items() if name not in names},
        available={name: there and name not in names for name, there in frame.available.items()},
        age_ns={name: age for name, age in frame.age_ns.items() if name not in names},
    )


def _returns(scan: RadarScan, base_from_radar: Float64) -> RadarReturns:
    """A scan as rays in `base_link` axes."""
    distance = np.linalg.norm(scan.xyz, axis=1)
    seen = distance > 0
    rays = (scan.xyz[seen] / distance[seen, None]).astype(np.float64) @ base_from_radar[:3, :3].T
    velocity = scan.radial_velocity[seen].astype(np.float64)
    return RadarReturns(rays, base_from_radar[:3, 3].copy(), velocity, scan.ambiguity_mps)
