"""Real processes over DDS: player -> fusion -> recorder."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import Detections
from mm_fusion.detectors.choice import make_detector
from mm_fusion.messages.encode_clouds import decode_detections_cloud, encode_detections_cloud
from mm_fusion.nodes.demo_summary import read_diagnostics
from mm_fusion.nodes.processes import Child
from mm_fusion.pipeline import Pipeline

from .conftest import CAR_XY, FRAMES, PERIOD_NS, START_NS, write_frame, write_statics

pytestmark = pytest.mark.ros
READY_S = 120.0
PATIENT = "deadline_ms:=60000"
"""Tests run on busy machines: no load is shed."""
Start = Callable[..., Child]
Published = tuple[dict[int, Detections], set[int]]
OUTPUTS = ("mode", "detections", "detections_cloud", "objects", "markers", "overlay/camera")


def play_through(
    start: Start, bag: Path, vehicle: Path, out: Path, *fusion: str, topics: tuple[str, ...] = OUTPUTS
) -> Child:
    """Record `out` while `bag` is played to a fusion node; the node, which still runs."""
    parameters = [f"vehicle:={vehicle}", PATIENT, *fusion]
    node = start("fusion_node", "--ros-args", *(word for p in parameters for word in ("-p", p)))
    names = [f"/fusion/{topic}" for topic in topics]
    recorder = start("recorder_node", "--out", out, "--topics", *names, "/diagnostics")
    node.wait_for("[fusion]: active", READY_S)
    recorder.wait_for("[recorder]: listening", READY_S)
    player = start("player_node", bag, "--wait-for", "20")
    assert player.wait(60.0) == 0, player.text()
    time.sleep(2.5)  # the last diagnostics: once a second, half a second later where no frame comes
    node.check()
    assert recorder.stop() == 0, recorder.text()
    return node


def clouds(path: Path) -> dict[int, Detections]:
    """Published detections by stamp."""
    found = {}
    with open_bag(path) as reader:
        for message in reader.messages({"/fusion/detections_cloud"}):
            stamp = message.message.header.stamp
            found[stamp.sec * 10**9 + stamp.nanosec] = decode_detections_cloud(message.message)[0]
    return found


def counts(path: Path) -> dict[str, int]:
    with open_bag(path) as reader:
        return {name: info.count for name, info in reader.topics.items()}


def skipped(drops: dict[str, dict[str, int]]) -> int:
    """Frames that found the detector busy, as happens on a busy machine."""
    return sum(drops.get("frames", {}).values())


def replay(log: Path, vehicle: VehicleConfig, wanted: Collection[int], model: str = "geometric") -> Published:
    """What the pipeline finds in the logged sequence of calls, as it would be published, and all its stamps.

    wanted: stamps of frames to detect in; what is skipped takes no part in the health of sensors.
    """
    pipeline = Pipeline(vehicle, make_detector(model, vehicle, backend="onnxruntime"))
    frames = []
    with open_bag(log) as reader:
        for sensor, item, receipt_ns in bag_items(reader, vehicle):
            frames += pipeline.add(sensor, item, receipt_ns)
    frames += pipeline.flush()
    results = [pipeline.detect(frame) for frame in frames if frame.stamp_ns in wanted]
    messages = [encode_detections_cloud(r.detections, r.stamp_ns, r.frame_id, message_type) for r in results]
    found = {r.stamp_ns: decode_detections_cloud(m)[0] for r, m in zip(results, messages)}
    return found, {frame.stamp_ns for frame in frames}


@pytest.mark.parametrize("simulated", ["true", "false"])
def test_every_frame_comes_out_as_offline(
    start: Start, tiny_bag: Path, vehicle: VehicleConfig, vehicle_file: Path, tmp_path: Path, simulated: str
) -> None:
    out, log = tmp_path / "out.mcap", tmp_path / "receipts.mcap"
    parameters = [f"use_sim_time:={simulated}", f"record_receipts:={log}"]
    node = play_through(start, tiny_bag, vehicle_file, out, *parameters)
    assert node.stop() == 0
    live = clouds(out)
    offline, made = replay(log, vehicle, live)
    drops, stages = read_diagnostics(out)
    assert sorted(live) == sorted(offline)
    assert made >= {START_NS + number * PERIOD_NS for number in range(1, FRAMES)}
    assert len(made) == len(live) + skipped(drops)
    for stamp_ns, detections in live.items():
        for name, array in detections.arrays().items():
            np.testing.assert_array_equal(
                array, getattr(offline[stamp_ns], name), err_msg=f"{stamp_ns} {name}"
            )
    centers = np.concatenate([detections.center[:, :2] for detections in live.values()])
    assert np.hypot(*(centers - CAR_XY).T).min() < 1.5
    found = counts(out)
    assert [found[f"/fusion/{name}"] for name in OUTPUTS[1:5]] == [len(offline)] * 4
    assert found["/fusion/overlay/camera"] > 0
    assert {reason for found in drops.values() for reason in found} <= {"superseded"}
    assert {"add", "detect", "publish", "latency"} <= set(stages)


def test_bad_messages_are_counted_and_a_silent_lidar_stops_nothing(
    start: Start, vehicle_file: Path, tmp_path: Path
) -> None:
    bag, out = tmp_path / "bad", tmp_path / "out.mcap"
    with BagWriter(bag) as writer:
        write_statics(writer)
        for number in range(20):
            stamp_ns = START_NS + number * PERIOD_NS
            write_frame(writer, stamp_ns, "clr" if number < 10 else "cr")
            if number == 3:
                write_bad_messages(writer, stamp_ns)
    node = play_through(start, bag, vehicle_file, out, topics=("mode", "detections"))
    drops, _ = read_diagnostics(out)
    assert drops["lidar"] == {"malformed": 2}
    # on a busy machine the next image may come before a bad one is looked at
    assert sum(drops["camera"].values()) >= 2 and drops["camera"].keys() <= {"malformed", "superseded"}
    assert drops["radar"] == {"malformed": 1}
    assert "lidar: " in node.text() and "(malformed)" in node.text()
    with open_bag(out) as reader:
        stamps = [m.message.header.stamp for m in reader.messages({"/fusion/detections"})]
    last_ns = stamps[-1].sec * 10**9 + stamps[-1].nanosec
    assert last_ns >= START_NS + 17 * PERIOD_NS
    assert len(stamps) + skipped(drops) >= 16
    with open_bag(out) as reader:
        assert [m.message.data for m in reader.messages({"/fusion/mode"})][-2:] == ["CR", "-"]


def write_bad_messages(writer: BagWriter, stamp_ns: int) -> None:
    """Between good ones: bytes that are no message, a cloud without its data, no JPEG, an empty image."""
    from mm_fusion.messages.encode_clouds import encode_lidar
    from mm_fusion.messages.encode_sensors import encode_compressed_image

    from .conftest import lidar_sweep

    bytes_of_no_message = b"\x00\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
    writer.write_raw(
        "/lidar/points", "sensor_msgs/msg/PointCloud2", bytes_of_no_message, stamp_ns + 60_000_000
    )
    cloud = encode_lidar(lidar_sweep(stamp_ns + 30_000_000), message_type)
    cloud.data = cloud.data[:-100]
    writer.write("/lidar/points", cloud, stamp_ns + 62_000_000)
    writer.write_raw(
        "/radar/points", "sensor_msgs/msg/PointCloud2", bytes_of_no_message, stamp_ns + 64_000_000
    )
    for number, payload in enumerate((b"", b"no jpeg at all")):
        image = encode_compressed_image(payload, stamp_ns + 40_000_000 + number, "camera", message_type)
        writer.write("/camera/image/compressed", image, stamp_ns + 66_000_000 + 20_000_000 * number)


def test_a_recording_that_loops_starts_anew(
    start: Start, tiny_bag: Path, vehicle_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mcap"
    node = start(
        "fusion_node",
        "--ros-args",
        "-p",
        f"vehicle:={vehicle_file}",
        "-p",
        "use_sim_time:=true",
        "-p",
        PATIENT,
    )
    recorder = start("recorder_node", "--out", out, "--topics", "/fusion/detections_cloud", "/diagnostics")
    node.wait_for("[fusion]: active", READY_S)
    recorder.wait_for("[recorder]: listening", READY_S)
    player = start("player_node", tiny_bag, "--wait-for", "20", "--loop", "--rate", "2")
    player.wait_for("messages played", 60.0)
    player.log.write_text("")
    player.wait_for("messages played", 60.0)
    player.stop()
    node.check()
    recorder.stop()
    drops, _ = read_diagnostics(out)
    assert counts(out)["/fusion/detections_cloud"] + skipped(drops) >= 2 * FRAMES - 2
    assert skipped(drops) or len(clouds(out)) in (FRAMES - 1, FRAMES)


def test_without_any_message_the_node_says_what_is_missing_and_its_mode(
    start: Start, vehicle_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mcap"
    node = start("fusion_node", "--ros-args", "-p", f"vehicle:={vehicle_file}")
    recorder = start("recorder_node", "--out", out, "--topics", "/fusion/mode", "/fusion/detections")
    node.wait_for("nobody publishes /lidar/points (lidar)", READY_S)
    assert recorder.stop() == 0
    with open_bag(out) as reader:
        assert [m.message.data for m in reader.messages()] == ["-"]
