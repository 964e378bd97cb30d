"""The stream of a drive: its order, its bytes, its truth, and what it refuses."""

from __future__ import annotations

import errno
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import EXTRA_FIELDS, read_truth
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import BagError, ConfigurationError
from mm_fusion.simulation.bag import write_bag
from mm_fusion.simulation.faults import Fault, FaultPlan
from mm_fusion.simulation.simulator import START_NS, Simulator
from test.simulation.stub_world import CAR_RANGE, SPEED, TREE, install, stub_vehicle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def test_messages_come_in_order_of_receipt_also_when_late() -> None:
    late = FaultPlan(faults=[Fault(fault="delay", sensor="all", start_s=0.5, end_s=1.0, severity=3)])
    receipts = [event.receipt_ns for event in Simulator(stub_vehicle(), faults=late).events(2.0)]
    assert len(receipts) > 100 and receipts == sorted(receipts)


def test_every_topic_that_is_announced_comes_with_its_type() -> None:
    simulator = Simulator(stub_vehicle())
    found = {event.topic: event.message.__msgtype__ for event in simulator.events(2.0)}
    assert found == simulator.topics()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_bag(tmp_path / name, Simulator(stub_vehicle(), seed=5), 1.0)
    write_bag(tmp_path / "c", Simulator(stub_vehicle(), seed=6), 1.0)
    a, b, c = (raw_of(tmp_path / name) for name in "abc")
    assert len(a) > 50 and a == b and a != c


def raw_of(path: Path) -> list[tuple[str, int, bytes]]:
    with open_bag(path) as reader:
        return [(raw.topic, raw.receipt_ns, bytes(raw.data)) for raw in reader.raw_messages()]


def test_a_longer_drive_begins_like_a_shorter_one(tmp_path: Path) -> None:
    for name, seconds in (("short", 0.8), ("long", 1.6)):
        write_bag(tmp_path / name, Simulator(stub_vehicle()), seconds)
    short = [entry for entry in raw_of(tmp_path / "short") if entry[1] < START_NS + 700_000_000]
    assert len(short) > 30 and raw_of(tmp_path / "long")[: len(short)] == short


@pytest.mark.parametrize("workers", [2])
def test_processes_give_the_same_bytes(workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real world, since stubs are not in other processes."""
    pytest.importorskip("open3d", reason="drives are made by Open3D's ray casting")
    monkeypatch.undo()
    sensors = {name: stub_vehicle().sensors[name] for name in ("camera", "radar")}
    alignment = stub_vehicle().alignment.model_copy(update={"reference": ["camera"]})
    vehicle = stub_vehicle().model_copy(update={"sensors": sensors, "alignment": alignment})
    for name, count in (("one", 1), ("many", workers)):
        write_bag(tmp_path / name, Simulator(vehicle, duration_s=5.0), 0.8, workers=count)
    assert len(raw_of(tmp_path / "one")) > 50 and raw_of(tmp_path / "one") == raw_of(tmp_path / "many")


def test_truth_says_what_is_there_and_what_sensors_got(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", Simulator(stub_vehicle()), 1.5)
    frames = read_truth(tmp_path / "bag")
    assert len(frames) >= 14 and {len(frame.objects) for frame in frames} == {1}
    middle = frames[len(frames) // 2]
    assert middle.objects.class_names() == ["car"] and middle.objects.track_id.tolist() == [5]
    assert middle.objects.center[0, 0] == pytest.approx(CAR_RANGE)
    assert middle.objects.velocity[0] == pytest.approx([SPEED, 0])
    assert set(middle.extra) >= set(EXTRA_FIELDS)
    assert middle.extra["num_lidar_points"][0] == 16 * 3
    assert middle.extra["num_camera_pixels"][0] == 200


def test_truth_counts_nothing_of_a_sensor_that_is_silent(tmp_path: Path) -> None:
    silent = FaultPlan(faults=[Fault(fault="drop", sensor="lidar", severity=3)])
    write_bag(tmp_path / "bag", Simulator(stub_vehicle(), faults=silent), 1.0)
    frames = read_truth(tmp_path / "bag")
    assert frames and all(frame.extra["num_lidar_points"].sum() == 0 for frame in frames)


def test_odometry_is_near_the_truth_and_not_the_truth() -> None:
    events = [event for event in Simulator(stub_vehicle()).events(2.0) if event.topic == "/odom"]
    speeds = np.array([event.message.twist.twist.linear.x for event in events])
    assert len(events) == pytest.approx(100, abs=12)
    assert 0.01 < np.std(speeds) < 0.06 and abs(np.mean(speeds) - SPEED) < 0.15
    assert events[-1].message.pose.pose.position.x == pytest.approx(SPEED * 2.18, abs=0.4)


def test_doppler_has_the_sign_of_the_vehicle_file() -> None:
    event = next(e for e in Simulator(stub_vehicle()).events(1.0) if e.topic == "/radar/points")
    names = {field.name: field.offset for field in event.message.fields}
    rows = np.frombuffer(event.message.data, np.float32).reshape(-1, event.message.point_step // 4)
    assert (rows[:, names["velocity"] // 4] > 0).all(), "approaching is positive with doppler_sign -1"


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = BagWriter.write_raw, []

    def fail(self, topic, kind, data, receipt_ns):
        calls.append(topic)
        if len(calls) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, topic, kind, data, receipt_ns)

    monkeypatch.setattr(BagWriter, "write_raw", fail)
    with pytest.raises(BagError, match="No space left"):
        write_bag(tmp_path / "bag", Simulator(stub_vehicle()), 2.0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_grow_leaves_nothing(tmp_path: Path) -> None:
    """As on a full disk, but by the kernel itself."""
    script = f"""
        import resource, sys
        sys.path.insert(0, {str(ROOT)!r})
        import pytest
        from test.simulation.stub_world import install, stub_vehicle
        install(pytest.MonkeyPatch())
        from mm_fusion.errors import BagError
        from mm_fusion.simulation.bag import write_bag
        from mm_fusion.simulation.simulator import Simulator
        simulator = Simulator(stub_vehicle())
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        try:
            write_bag(sys.argv[1], simulator, 3.0)
        except BagError as error:
            print("BagError", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "bag")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "BagError" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_what_was_there_before(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", Simulator(stub_vehicle()), 0.5)
    before = raw_of(tmp_path / "bag")

    def interrupt(share: float) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bag(tmp_path / "bag", Simulator(stub_vehicle(), seed=1), 1.0, interrupt, overwrite=True)
    assert raw_of(tmp_path / "bag") == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("lidar", {"mount": None}, "sensors.lidar: mount is missing"),
        ("camera", {"camera": None}, "sensors.camera: camera .* is missing"),
    ],
)
def test_a_sensor_that_lacks_something_is_named(name: str, change: dict, words: str) -> None:
    sensors = {**TREE["sensors"], name: {**TREE["sensors"][name], **change}}
    with pytest.raises(ConfigurationError, match=words):
        Simulator(VehicleConfig.model_validate({**TREE, "sensors": sensors}))


def test_a_vehicle_without_sensors_is_refused() -> None:
    sensors = {"tracks": {"kind": "radar_tracks", "topic": "/tracks"}}
    tree = {"alignment": {"reference": ["tracks"]}, "sensors": sensors}
    with pytest.raises(ConfigurationError, match="no camera, LiDAR or radar"):
        Simulator(VehicleConfig.model_validate(tree))


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e6])
def test_a_drive_that_is_too_long_or_too_short_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="expected above 0 and at most the 60 s"):
        next(Simulator(stub_vehicle()).events(seconds))


@pytest.mark.parametrize("stamp_at", ["start", "middle", "end"])
def test_readers_recover_the_middle_whatever_the_stamp_means(stamp_at: str) -> None:
    from mm_fusion.messages.routes import Route, decode

    timing = {"stamp_at": stamp_at, "stamp_offset_ms": 4.0}
    sensors = {**TREE["sensors"], "lidar": {**TREE["sensors"]["lidar"], **timing}}
    vehicle = VehicleConfig.model_validate({**TREE, "sensors": sensors})
    simulator = Simulator(vehicle)
    event = next(e for e in simulator.events(1.0) if e.topic == "/lidar/points")
    item = decode(Route("lidar", "measurement"), event.message, vehicle, event.receipt_ns)
    from mm_fusion.simulation.clocks import tick_at

    expected = START_NS + tick_at("lidar", simulator.clocks["lidar"], 0, simulator.seed).stamp_ns
    assert abs(item.stamp_ns - expected) <= 1
    assert np.abs(item.get().time_offset_ns).max() <= 1000
