"""The pipeline: frames from items, calibration as known at release, absence as an input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest

from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.detectors.protocol import unmeasured
from mm_fusion.errors import DropReason, MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.measurements import (
    CameraImage,
    CameraModel,
    Deferred,
    EgoMotion,
    LidarSweep,
    Measurement,
    RadarScan,
    StampedTransform,
)
from mm_fusion.pipeline import Pipeline

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000


class SeesNothing:
    """A detector that keeps the frames it was given."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def detect(self, frame: Frame) -> Detections:
        self.frames.append(frame)
        return empty_detections()

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Nothing to do early."""


def vehicle(**changes: object) -> VehicleConfig:
    tree: dict[str, object] = {
        "sensors": {
            "lidar": {"kind": "lidar", "topic": "/lidar"},
            "camera": {"kind": "camera", "topic": "/camera", "info_topic": "/info"},
            "radar": {"kind": "radar", "topic": "/radar"},
        },
        "ego_motion": [{"kind": "odometry", "topic": "/odom"}, {"kind": "radar"}],
        "alignment": {"reference": ["lidar", "radar"], "budget_ms": 40},
    }
    return parse_config({**tree, **changes}, VehicleConfig, "test")


def sweep(stamp_ns: int, frame_id: str = "lidar") -> LidarSweep:
    return LidarSweep(
        stamp_ns, frame_id, np.ones((4, 3), np.float32), np.ones(4, np.float32), np.zeros(4, np.int32)
    )


def image(stamp_ns: int) -> CameraImage:
    return CameraImage(stamp_ns, "camera", np.full((4, 6, 3), 90, np.uint8))


def scan(stamp_ns: int, speed: float = 5.0) -> RadarScan:
    """Returns of standing things all round ahead, seen by a radar that drives at `speed`."""
    bearing = np.linspace(-1, 1, 80)
    xyz = 20 * np.column_stack([np.cos(bearing), np.sin(bearing), 0 * bearing])
    doppler = -speed * np.cos(bearing)
    return RadarScan(
        stamp_ns, "radar", xyz.astype(np.float32), doppler.astype(np.float32), np.zeros(80, np.float32)
    )


def places(*names: str) -> tuple[StampedTransform, ...]:
    return tuple(StampedTransform(0, "base_link", name, np.eye(4), static=True) for name in names)


MODEL = CameraModel(np.array([[5.0, 0, 3], [0, 5, 2], [0, 0, 1]]), np.zeros(0), "plumb_bob", 6, 4)


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    made = Pipeline(vehicle(), SeesNothing())
    made.add("/tf", places("lidar", "camera", "radar"), START_NS - MS)
    made.add("camera", MODEL, START_NS - MS)
    yield made


def drive(pipeline: Pipeline, first: int, count: int, skip: tuple[str, ...] = ()) -> list[Frame]:
    frames: list[Frame] = []
    for index in range(first, first + count):
        stamp_ns = START_NS + index * 100 * MS
        for offset, name, make in ((0, "lidar", sweep), (1, "camera", image), (2, "radar", scan)):
            if name not in skip:
                frames += pipeline.add(name, make(stamp_ns), stamp_ns + (10 + offset) * MS)
    return frames


def test_nothing_in_nothing_out() -> None:
    empty = Pipeline(vehicle(), SeesNothing())
    assert empty.poll(START_NS) == [] and empty.flush() == [] and empty.next_due_ns() is None


def test_one_frame_for_each_sweep_with_every_sensor(pipeline: Pipeline) -> None:
    frames = drive(pipeline, 0, 5) + pipeline.flush()
    assert [frame.stamp_ns for frame in frames] == [START_NS + i * 100 * MS for i in range(5)]
    assert all(all(frame.available.values()) for frame in frames[1:])
    assert pipeline.detect(frames[-1]).mode == "CLR"


def test_output_goes_on_while_the_lidar_is_silent(pipeline: Pipeline) -> None:
    drive(pipeline, 0, 5)
    frames = drive(pipeline, 5, 15, skip=("lidar",)) + pipeline.flush()
    silent = [frame for frame in frames if not frame.available["lidar"]]
    assert len(silent) >= 10
    assert pipeline.detect(silent[-1]).mode == "CR"


def test_a_camera_without_model_is_absent_and_counted() -> None:
    blind = Pipeline(vehicle(), SeesNothing())
    blind.add("/tf", places("lidar", "camera", "radar"), START_NS - MS)
    frames = drive(blind, 0, 4) + blind.flush()
    assert not any(frame.available["camera"] for frame in frames)
    assert blind.drops.counts()["camera"][DropReason.NO_CALIBRATION.value] >= 3
    assert "no CameraInfo on /info" in blind.drops.texts()["camera", DropReason.NO_CALIBRATION]


def test_a_sensor_nowhere_in_the_tree_is_absent_and_its_frame_is_named() -> None:
    lost = Pipeline(vehicle(), SeesNothing())
    lost.add("/tf", places("lidar", "camera"), START_NS - MS)
    lost.add("camera", MODEL, START_NS - MS)
    frames = drive(lost, 0, 4) + lost.flush()
    assert not any(frame.available["radar"] for frame in frames)
    assert "radar" in lost.drops.texts()["radar", DropReason.UNKNOWN_FRAME]


def test_a_mount_stands_in_for_a_missing_transform() -> None:
    sensors = {"lidar": {"kind": "lidar", "topic": "/lidar", "mount": {"xyz": [1, 2, 3]}}}
    mounted = Pipeline(vehicle(sensors=sensors, alignment={"reference": ["lidar"]}), SeesNothing())
    frames = mounted.add("lidar", sweep(START_NS), START_NS) + mounted.flush()
    assert frames[0].calibration.base_from_sensor["lidar"][:3, 3].tolist() == [1, 2, 3]


def test_a_payload_that_cannot_be_decoded_makes_its_sensor_absent(pipeline: Pipeline) -> None:
    def broken() -> LidarSweep:
        raise MeasurementError("cut in half")

    pipeline.add("lidar", Deferred(START_NS, "lidar", 10, broken), START_NS)
    pipeline.add("radar", scan(START_NS), START_NS)
    result = pipeline.detect(pipeline.flush()[0])
    assert result.mode == "R" and not result.available["lidar"]
    assert result.drops == {"lidar": {"malformed": 1}} == pipeline.drops.counts()


def test_calibration_counts_from_the_instant_it_is_known(pipeline: Pipeline) -> None:
    pipeline.add("lidar", sweep(START_NS), START_NS)
    moved = StampedTransform(0, "base_link", "lidar", np.diag([-1.0, -1, 1, 1]), static=True)
    frames = pipeline.add("/tf", (moved,), START_NS + 500 * MS)
    assert np.allclose(frames[0].calibration.base_from_sensor["lidar"], np.eye(4))
    pipeline.add("lidar", sweep(START_NS + 500 * MS), START_NS + 500 * MS)
    assert pipeline.flush()[0].calibration.base_from_sensor["lidar"][0, 0] == -1


def test_ego_motion_is_the_first_source_that_is_alive(pipeline: Pipeline) -> None:
    pipeline.add("/odom", EgoMotion(START_NS, np.array([7.0, 0, 0]), np.zeros(3)), START_NS)
    fresh = (drive(pipeline, 0, 1) + pipeline.flush())[0]
    assert fresh.ego is not None and fresh.ego.linear_velocity[0] == 7
    detector = SeesNothing()
    stale = Pipeline(vehicle(), detector)
    stale.add("/tf", places("lidar", "radar"), START_NS)
    stale.add("/odom", EgoMotion(START_NS, np.array([7.0, 0, 0]), np.zeros(3)), START_NS)
    later_ns = START_NS + 300 * MS
    stale.add("lidar", sweep(later_ns), later_ns)
    stale.add("radar", scan(later_ns, speed=5.0), later_ns)
    frame = stale.flush()[0]
    assert frame.ego is None
    stale.detect(frame)
    estimated = detector.frames[0].ego
    assert estimated is not None and estimated.linear_velocity[0] == pytest.approx(5.0, abs=0.1)


def test_without_any_source_ego_motion_is_unknown() -> None:
    detector = SeesNothing()
    still = Pipeline(vehicle(ego_motion=[]), detector)
    still.add("/tf", places("lidar", "radar"), START_NS)
    frames = drive(still, 0, 1, skip=("camera",)) + still.flush()
    still.detect(frames[0])
    assert detector.frames[0].ego is None


def test_polling_changes_when_and_never_what(pipeline: Pipeline) -> None:
    polled = Pipeline(vehicle(), SeesNothing())
    polled.add("/tf", places("lidar", "camera", "radar"), START_NS - MS)
    polled.add("camera", MODEL, START_NS - MS)
    expected = drive(pipeline, 0, 8) + pipeline.flush()
    got: list[Frame] = []
    for index in range(8):
        got += drive(polled, index, 1)
        for _ in range(3):
            due_ns = polled.next_due_ns()
            if due_ns is not None and due_ns < START_NS + ((index + 1) * 100 + 10) * MS:
                got += polled.poll(due_ns)
    got += polled.flush()
    assert [(f.stamp_ns, f.age_ns) for f in got] == [(f.stamp_ns, f.age_ns) for f in expected]


def test_a_recording_that_loops_starts_anew(pipeline: Pipeline) -> None:
    first = drive(pipeline, 0, 6)
    pipeline.add(
        "/odom", EgoMotion(START_NS + 500 * MS, np.array([7.0, 0, 0]), np.zeros(3)), START_NS + 600 * MS
    )
    second = drive(pipeline, 0, 6) + pipeline.flush()
    stamps = [frame.stamp_ns for frame in first + second]
    assert stamps.count(START_NS + 300 * MS) == 2
    assert all(frame.ego is None for frame in second if frame.stamp_ns == START_NS)


def test_sensors_that_the_host_leaves_out_are_absent(pipeline: Pipeline) -> None:
    frame = (drive(pipeline, 0, 3) + pipeline.flush())[-1]
    result = pipeline.detect(frame, without=("camera", "nobody"))
    assert result.mode == "LR"
    assert result.available == {"lidar": True, "camera": False, "radar": True}
    assert "camera" not in result.age_ns and result.drops == {}
    assert pipeline.detect(frame).mode == "CLR"


def frozen(pipeline: Pipeline) -> list[Frame]:
    """A drive whose payloads never change, which is what a frozen sensor looks like."""
    return drive(pipeline, 0, 8) + pipeline.flush()


@pytest.mark.parametrize("eager", [False, True])
def test_health_is_that_of_the_frames_before_whenever_the_host_has_it_examined(eager: bool) -> None:
    detector = SeesNothing()
    watched = Pipeline(vehicle(), detector)
    watched.add("/tf", places("lidar", "radar"), START_NS - MS)
    for frame in frozen(watched):
        watched.detect(frame)
        if eager:
            watched.examine()
            watched.examine()
    remarks = [frame.health["lidar"].remarks if frame.health else None for frame in detector.frames]
    assert remarks[0] is None and remarks[1] == ()
    first = next(number for number, said in enumerate(remarks) if said)
    assert first == 4 and all(said for said in remarks[first:])


class Encodes(SeesNothing):
    """A detector that takes images with their models, and lets itself be timed."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[tuple[str, CameraModel]] = []
        self.plain: list[str] = []
        self.measure = unmeasured

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        self.plain.append(sensor)

    def prepare_image(self, sensor: str, item: Measurement | Deferred, model: CameraModel) -> None:
        self.images.append((sensor, model))


def test_images_are_prepared_with_the_model_that_is_known() -> None:
    detector = Encodes()
    early = Pipeline(vehicle(), detector)
    early.prepare("camera", image(START_NS))
    early.prepare("lidar", sweep(START_NS))
    early.add("camera", MODEL, START_NS)
    early.prepare("camera", image(START_NS))
    assert detector.plain == ["camera", "lidar"] and detector.images == [("camera", MODEL)]


def test_another_detector_takes_over_between_frames_and_is_timed_too(pipeline: Pipeline) -> None:
    first, second = SeesNothing(), Encodes()
    swapped = Pipeline(vehicle(), first, measure=lambda stage: nullcontext())
    frames = drive(pipeline, 0, 3) + pipeline.flush()
    swapped.detect(frames[0])
    swapped.use(second)
    swapped.detect(frames[1])
    assert (len(first.frames), len(second.frames)) == (1, 1)
    assert second.measure is not unmeasured
