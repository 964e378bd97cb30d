"""What the node itself adds, over real DDS: `python -m test.benchmarks.bench_node [SECONDS] [--raw]`.

Six 1600x900 cameras (JPEG, or raw with --raw), a 35k-point LiDAR and five radars are played to the fusion
node, whose detector finds nothing and whose health check gets images without decoding. Printed is the time
from the arrival of the message that completed a frame to the end of publication, and what it is made of. The
recorder listens, so that everything is encoded and sent.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, EgoMotion, LidarSweep, Measurement, RadarScan
from mm_fusion.messages.encode_clouds import encode_lidar, encode_radar_cloud
from mm_fusion.messages.encode_sensors import encode_compressed_image, encode_odometry
from mm_fusion.nodes.demo_summary import read_diagnostics
from mm_fusion.nodes.processes import Child, own_domain

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = {"camera": 83_333_333, "lidar": 100_000_000, "radar": 76_923_077, "odometry": 20_000_000}
LATENCY_NS = {"camera": 20_000_000, "lidar": 55_000_000, "radar": 30_000_000, "odometry": 2_000_000}
ODOMETRY = "/odom"
LIDAR_POINTS, RADAR_POINTS = 35_000, 125
AIM_MS = 5.0


class NullDetector:
    """Finds nothing; decodes early what the geometric detector would decode."""

    def detect(self, frame: Frame) -> Detections:
        return empty_detections()

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        if isinstance(item, Deferred):
            item.get()


def write_load(path: Path, vehicle: VehicleConfig, seconds: float, raw: bool) -> None:
    """A recording with every sensor of `vehicle` at its rate, phase and latency."""
    rng = np.random.default_rng(3)
    events = []
    for index, (name, sensor) in enumerate(vehicle.sensors.items()):
        period_ns = PERIOD_NS[sensor.kind]
        for stamp_ns in range(START_NS + index * 7_000_000, START_NS + round(seconds * 1e9), period_ns):
            events.append((stamp_ns + LATENCY_NS[sensor.kind], name, stamp_ns))
    for stamp_ns in range(START_NS, START_NS + round(seconds * 1e9), PERIOD_NS["odometry"]):
        events.append((stamp_ns + LATENCY_NS["odometry"], ODOMETRY, stamp_ns))
    pictures = [picture(rng, raw) for _ in range(4)]
    with BagWriter(path) as writer:
        for receipt_ns, name, stamp_ns in sorted(events):
            if name == ODOMETRY:
                ego = EgoMotion(stamp_ns, np.array([8.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.02]), np.eye(4))
                writer.write(ODOMETRY, encode_odometry(ego, message_type), receipt_ns)
                continue
            message = measurement(vehicle.sensors[name].kind, name, stamp_ns, rng, pictures, raw)
            writer.write(vehicle.sensors[name].topic, message, receipt_ns)


def measurement(kind: str, name: str, stamp_ns: int, rng: np.random.Generator, pictures: list, raw: bool):
    if kind == "camera":
        payload = pictures[stamp_ns // 1_000_000 % len(pictures)]
        return (
            raw_image(payload, name, stamp_ns)
            if raw
            else encode_compressed_image(payload, stamp_ns, name, message_type)
        )
    count = LIDAR_POINTS if kind == "lidar" else RADAR_POINTS
    xyz = rng.uniform((-50, -50, -2), (50, 50, 3), (count, 3)).astype(np.float32)
    column = np.ones(count, np.float32)
    if kind == "lidar":
        times = np.linspace(-5e7, 5e7, count).astype(np.int32)
        return encode_lidar(
            LidarSweep(stamp_ns, name, xyz, column, times, np.zeros(count, np.int16)), message_type
        )
    return encode_radar_cloud(RadarScan(stamp_ns, name, xyz, column, column, "rcs"), message_type)


def picture(rng: np.random.Generator, raw: bool):
    """1600x900 pixels with structure, as JPEG bytes of about 250 kB or as raw bytes."""
    import cv2

    coarse = rng.integers(0, 255, (90, 160, 3), np.uint8)
    pixels = cv2.resize(coarse, (1600, 900), interpolation=cv2.INTER_LINEAR)
    pixels = cv2.add(pixels, rng.integers(0, 12, pixels.shape, np.uint8))
    return (
        pixels.reshape(-1) if raw else bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])
    )


def raw_image(data: np.ndarray, name: str, stamp_ns: int):
    from mm_fusion.messages.build import header_of

    return message_type("sensor_msgs/msg/Image")(
        header=header_of(stamp_ns, name, message_type),
        height=900,
        width=1600,
        encoding="bgr8",
        is_bigendian=0,
        step=4800,
        data=data,
    )


def play(folder: Path, bag: Path) -> Path:
    """What the node published while `bag` was played to it."""
    environment, out = own_domain(10 + os.getpid() % 90), folder / "out.mcap"
    parameters = ["-p", "vehicle:=nuscenes_like"]
    with (
        Child(
            "test.benchmarks.bench_node", ["--node", "--ros-args", *parameters], environment, folder / "n.log"
        ) as node,
        Child(
            "mm_fusion.nodes.recorder_node", ["--out", str(out)], environment, folder / "r.log"
        ) as recorder,
    ):
        node.wait_for("[fusion]: active", 120.0)
        with Child(
            "mm_fusion.nodes.player_node", [str(bag), "--wait-for", "20"], environment, folder / "p.log"
        ) as player:
            if player.wait(300.0) != 0:
                raise RuntimeError(player.text())
        time.sleep(1.5)
        node.check()
        recorder.stop()
    return out


def run_node(arguments: list[str]) -> None:
    """The fusion node with a detector that finds nothing, and with images that need no decoding."""
    from mm_fusion.alignment import condition
    from mm_fusion.nodes import fusion_node, model_swap

    small = np.zeros((113, 200, 3), np.uint8)
    condition.decode_pixels = lambda image, reduction=1: small
    model_swap.make_detector = lambda *_, **__: NullDetector()
    fusion_node.main(arguments)


def main() -> None:
    if "--node" in sys.argv:
        run_node(["fusion_node", *sys.argv[2:]])
        return
    numbers = [word for word in sys.argv[1:] if not word.startswith("-")]
    seconds = float(numbers[0]) if numbers else 20.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_load(folder / "bag", load_vehicle("nuscenes_like"), seconds, raw="--raw" in sys.argv)
        drops, stages = read_diagnostics(play(folder, folder / "bag"))
    print(f"{'ms':12} {'p50':>8} {'p95':>8} {'p99':>8}")
    for stage, times in stages.items():
        print(f"{stage:12} " + " ".join(f"{ms:8.2f}" for ms in times.values()))
    print(f"drops: {drops or 'none'}")
    print(f"the node adds {stages['after_last']['p95_ms']:.2f} ms (p95); the aim is {AIM_MS} ms")


if __name__ == "__main__":
    main()
