"""Each fault is written to a bag, read back and found, and only in its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.config import share_roots
from mm_fusion.errors import ConfigurationError, DropLog, MeasurementError
from mm_fusion.frame import decoded
from mm_fusion.measurements import CameraImage, LidarSweep, RadarScan
from mm_fusion.messages.images import decode_pixels
from mm_fusion.simulation.bag import write_bag
from mm_fusion.simulation.faults import (
    DESCRIPTIONS,
    FAULT_NAMES,
    Fault,
    FaultPlan,
    faults_by_sensor,
    load_faults,
)
from mm_fusion.simulation.simulator import START_NS, Simulator
from test.simulation.stub_world import install, stub_vehicle

START_S, END_S, SECONDS = 1.0, 2.0, 3.0
TIMING = {"drop", "delay", "jitter", "clock_offset", "clock_jump"}
PAYLOAD = [name for name in FAULT_NAMES if name not in TIMING]


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


def record(path: Path, *faults: Fault) -> dict[str, list[tuple[int, int, object]]]:
    """(stamp, receipt, payload or error) by sensor of a drive with `faults`, ns from the start."""
    write_bag(path, Simulator(stub_vehicle(), seed=3, faults=FaultPlan(faults=list(faults))), SECONDS)
    found: dict[str, list[tuple[int, int, object]]] = {"lidar": [], "camera": [], "radar": []}
    with open_bag(path) as reader:
        for sensor, item, receipt_ns in bag_items(reader, stub_vehicle(), DropLog()):
            if sensor in found and hasattr(item, "stamp_ns"):
                found[sensor].append((item.stamp_ns - START_NS, receipt_ns - START_NS, payload_of(item)))
    return found


def payload_of(item: object) -> object:
    try:
        record = decoded(item)  # type: ignore[arg-type]
        if isinstance(record, CameraImage):
            return decode_pixels(record).astype(int)
    except MeasurementError as error:
        return str(error)
    return record


def same(one: object, other: object) -> bool:
    if isinstance(one, LidarSweep) and isinstance(other, LidarSweep):
        return one.xyz.shape == other.xyz.shape and np.array_equal(one.xyz, other.xyz)
    if isinstance(one, RadarScan) and isinstance(other, RadarScan):
        pairs = ((one.xyz, other.xyz), (one.radial_velocity, other.radial_velocity))
        return all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs)
    return type(one) is type(other) and bool(np.array_equal(one, other))  # type: ignore[arg-type]


def inside(time_ns: int) -> bool:
    return START_S * 1e9 <= time_ns < END_S * 1e9


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, int, object]]]:
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        return record(tmp_path_factory.mktemp("faults") / "healthy")


def test_without_faults_nothing_is_planned() -> None:
    assert faults_by_sensor(FaultPlan(), stub_vehicle()) == {}


@pytest.mark.parametrize("sensor", ["lidar", "camera", "radar"])
@pytest.mark.parametrize("name", PAYLOAD)
def test_a_payload_fault_is_there_and_only_in_its_interval(
    name: str, sensor: str, tmp_path: Path, healthy: dict[str, list]
) -> None:
    if name in ("rotation", "translation") and sensor == "camera":
        pytest.skip("the stub camera sees the same from everywhere; the mount itself is tested below")
    fault = Fault(fault=name, sensor=sensor, start_s=START_S, end_s=END_S, severity=3)  # type: ignore[arg-type]
    spoilt = record(tmp_path / "bag", fault)
    for other in {"lidar", "camera", "radar"} - {sensor}:
        assert all(same(a[2], b[2]) for a, b in zip(spoilt[other], healthy[other]))
    found = {entry[:2]: entry[2] for entry in spoilt[sensor]}
    if name != "corruption":  # of which some are refused as soon as they come
        assert list(found) == [entry[:2] for entry in healthy[sensor]]
    changed = [not same(found.get(entry[:2]), entry[2]) for entry in healthy[sensor]]
    during = [inside(entry[0]) for entry in healthy[sensor]]
    assert not any(c for c, d in zip(changed, during) if not d)
    expected = 0.1 if name == "ghosts" else 0.85
    assert np.mean([c for c, d in zip(changed, during) if d]) >= expected


@pytest.mark.parametrize("sensor", ["lidar", "camera", "radar"])
def test_dropped_messages_are_missing_only_in_the_interval(
    sensor: str, tmp_path: Path, healthy: dict[str, list]
) -> None:
    fault = Fault(fault="drop", sensor=sensor, start_s=START_S, end_s=END_S, severity=3)
    spoilt = record(tmp_path / "bag", fault)
    assert [e[0] for e in spoilt[sensor]] == [e[0] for e in healthy[sensor] if not inside(e[0])]


@pytest.mark.parametrize(("name", "low_s", "high_s"), [("delay", 0.25, 0.25), ("jitter", 0.0, 0.12)])
def test_late_messages_are_rightly_stamped(
    name: str, low_s: float, high_s: float, tmp_path: Path, healthy: dict[str, list]
) -> None:
    fault = Fault(fault=name, sensor="radar", start_s=START_S, end_s=END_S)  # type: ignore[arg-type]
    receipt = {entry[0]: entry[1] for entry in record(tmp_path / "bag", fault)["radar"]}
    assert set(receipt) == {entry[0] for entry in healthy["radar"]}
    late = {stamp: receipt[stamp] - before for stamp, before, _ in healthy["radar"]}
    assert all(value == 0 for stamp, value in late.items() if not inside(stamp))
    during = np.array([value for stamp, value in late.items() if inside(stamp)]) / 1e9
    assert during.min() >= low_s - 1e-6 and during.max() <= high_s + 1e-6 and during.max() > 0.05


@pytest.mark.parametrize(("name", "shift_s"), [("clock_offset", 0.1), ("clock_jump", -5.0)])
def test_wrongly_stamped_messages_are_on_time(
    name: str, shift_s: float, tmp_path: Path, healthy: dict[str, list]
) -> None:
    fault = Fault(fault=name, sensor="lidar", start_s=START_S, end_s=END_S)  # type: ignore[arg-type]
    spoilt = record(tmp_path / "bag", fault)["lidar"]
    assert [entry[1] for entry in spoilt] == [entry[1] for entry in healthy["lidar"]]
    shifts = [(a[0] - b[0]) / 1e9 for a, b in zip(spoilt, healthy["lidar"])]
    expected = [shift_s if inside(entry[0]) else 0.0 for entry in healthy["lidar"]]
    assert np.allclose(shifts, expected, atol=1e-9)


def test_a_frozen_sensor_repeats_its_last_payload(tmp_path: Path) -> None:
    fault = Fault(fault="freeze", sensor="lidar", start_s=START_S, end_s=END_S, severity=3)
    sweeps = record(tmp_path / "bag", fault)["lidar"]
    last = [entry[2] for entry in sweeps if entry[0] < START_S * 1e9][-1]
    assert all(same(last, entry[2]) for entry in sweeps if inside(entry[0]))


def test_a_moved_sensor_is_off_by_what_the_severity_says(tmp_path: Path) -> None:
    from mm_fusion.simulation.clocks import make_clock, tick_at
    from mm_fusion.simulation.faults import deliver

    clock = make_clock("camera", stub_vehicle().sensors["camera"], 3)
    for name, sizes in (("rotation", (0.5, 1.5, 4.0)), ("translation", (0.05, 0.15, 0.4))):
        for severity, size in enumerate(sizes, 1):
            fault = Fault(fault=name, sensor="camera", severity=severity)  # type: ignore[arg-type]
            error = deliver(tick_at("camera", clock, 4, 3), clock, [(0, fault)], 3).mount_error
            assert error is not None
            angle = np.degrees(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)))
            moved = np.linalg.norm(error[:3, 3])
            assert (angle if name == "rotation" else moved) == pytest.approx(size, rel=1e-3)


def test_heavier_faults_do_more(tmp_path: Path, healthy: dict[str, list]) -> None:
    left = []
    for severity in (1, 2, 3):
        fault = Fault(fault="view_loss", sensor="lidar", start_s=START_S, end_s=END_S, severity=severity)
        sweeps = record(tmp_path / str(severity), fault)["lidar"]
        left.append(np.mean([len(e[2].xyz) for e in sweeps if inside(e[0])]))
    whole = np.mean([len(e[2].xyz) for e in healthy["lidar"]])
    assert np.allclose(np.array(left) / whole, [0.8, 0.55, 0.25], atol=0.03)


def test_the_list_is_whole_and_its_example_file_has_every_fault() -> None:
    assert set(DESCRIPTIONS) == set(FAULT_NAMES)
    example = load_faults("every_fault")
    assert {fault.fault for fault in example.faults} == set(FAULT_NAMES)
    assert faults_by_sensor(example, stub_vehicle())


@pytest.mark.parametrize("path", sorted((share_roots()[0] / "config" / "faults").glob("*.yaml")), ids=str)
def test_shipped_fault_files_load(path: Path) -> None:
    assert load_faults(str(path)).faults


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"fault": "gremlins", "sensor": "lidar"}, "gremlins"),
        ({"fault": "drop", "sensor": "lidar", "start_s": 3, "end_s": 2}, "must be after start_s"),
        ({"fault": "drop", "sensor": "lidar", "severity": 4}, "severity"),
        ({"fault": "drop", "sensor": "lidar", "begin": 4}, "unknown key faults.0.begin"),
        ({"fault": "drop"}, "faults.0.sensor is missing"),
    ],
)
def test_a_wrong_fault_is_named(entry: dict, words: str, tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(yaml.safe_dump({"faults": [entry]}))
    with pytest.raises(ConfigurationError, match=words):
        load_faults(str(path))


def test_a_fault_of_a_sensor_that_is_not_there_is_named() -> None:
    plan = FaultPlan(faults=[Fault(fault="drop", sensor="sonar")])
    with pytest.raises(ConfigurationError, match=r"'sonar' is no sensor.*lidar \(lidar\), camera"):
        Simulator(stub_vehicle(), faults=plan)
