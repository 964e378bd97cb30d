"""Frames of a recording, decoded and with ego motion, as a detector would get them; nothing is detected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, Measurement
from mm_fusion.pipeline import Pipeline


def vehicle_of_recording(path: str | Path) -> VehicleConfig:
    """The vehicle file that `mm-fusion info --write-vehicle` would write for this recording."""
    import yaml

    from mm_fusion.bags.info import inspect_bag, vehicle_yaml

    return parse_config(yaml.safe_load(vehicle_yaml(inspect_bag(path))), VehicleConfig, str(path))


def decoded_frames(path: str | Path, vehicle: VehicleConfig) -> Iterator[Frame]:
    """Every frame of a recording as the pipeline releases it, in order of time."""
    onlooker = _Onlooker()
    pipeline = Pipeline(vehicle, onlooker)
    with open_bag(path) as reader:
        for sensor, item, receipt_ns in bag_items(reader, vehicle, pipeline.drops):
            for frame in pipeline.add(sensor, item, receipt_ns):
                yield onlooker.look(pipeline, frame)
        for frame in pipeline.flush():
            yield onlooker.look(pipeline, frame)


class _Onlooker:
    """A detector that finds nothing and keeps the frame it was shown."""

    def __init__(self) -> None:
        self._shown: Frame | None = None

    def detect(self, frame: Frame) -> Detections:
        self._shown = frame
        return empty_detections()

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        return

    def look(self, pipeline: Pipeline, frame: Frame) -> Frame:
        pipeline.detect(frame)
        return self._shown or frame
