from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, Measurement
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.warm_up import warm_up

from .conftest import FRAMES

pytestmark = pytest.mark.ros


class Witness:
    """A detector that notes what it was given."""

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def detect(self, frame: Frame) -> Detections:
        self.seen.append(set(frame.measurements))
        return empty_detections(2)

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        pass


@pytest.mark.parametrize("name", ["minimal", "nuscenes_like", "astyx"])
def test_every_camera_lidar_and_radar_goes_through_the_detector(name: str) -> None:
    vehicle = load_vehicle(name)
    witness = Witness()
    assert warm_up(vehicle, witness, message_class) == len(witness.seen) > 0
    assert set.union(*witness.seen) == set(vehicle.sensors)


def test_a_vehicle_of_objects_alone_needs_no_warm_up(vehicle: VehicleConfig) -> None:
    tracks = vehicle.sensors["radar"].model_copy(update={"kind": "radar_tracks"})
    alignment = vehicle.alignment.model_copy(update={"reference": ["radar"]})
    only = vehicle.model_copy(update={"sensors": {"radar": tracks}, "alignment": alignment})
    assert warm_up(only, Witness(), message_class) == 0


COMPILED = """
import gc, json, sys
from pathlib import Path

from numba.core.dispatcher import Dispatcher

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.config import load_vehicle
from mm_fusion.nodes.model_swap import Choice
from mm_fusion.pipeline import Pipeline


def compiled():
    found = [loop for loop in gc.get_objects() if isinstance(loop, Dispatcher)]
    return {f"{loop.py_func.__qualname__}{types}" for loop in found for types in loop.signatures}


bag, vehicle_file, model = sys.argv[1:]
vehicle = load_vehicle(vehicle_file)
detector = Choice(model, "onnxruntime").build(vehicle, lambda text: None)
before, pipeline, frames = compiled(), Pipeline(vehicle, detector), []
with open_bag(Path(bag)) as reader:
    for sensor, item, receipt_ns in bag_items(reader, vehicle):
        frames += pipeline.add(sensor, item, receipt_ns)
for frame in frames:
    pipeline.detect(frame)
print(json.dumps({"before": len(before), "frames": len(frames), "later": sorted(compiled() - before)}))
"""


def compiled_later(bag: Path, vehicle: Path, model: str) -> list[str]:
    """Loops that are compiled, or loaded from a cache, by the frames of a recording after a warm-up."""
    command = [sys.executable, "-c", COMPILED, str(bag), str(vehicle), model]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["frames"] >= FRAMES - 2 and found["before"] > 10
    later: list[str] = found["later"]
    return later


@pytest.mark.parametrize("model", ["tiny", "geometric"])
def test_no_loop_is_compiled_once_frames_come(tiny_bag: Path, vehicle_file: Path, model: str) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime to run a network")
    assert compiled_later(tiny_bag, vehicle_file, model) == []
