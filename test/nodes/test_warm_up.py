from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, Measurement
from mm_fusion.nodes.message_types import message_class
from mm_fusion.nodes.warm_up import warm_up

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
