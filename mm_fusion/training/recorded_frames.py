"""Labelled frames of a recording, as the pipeline makes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from mm_fusion.bags.info import inspect_bag, vehicle_yaml
from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import TruthFrame, read_truth
from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.detections import Detections, empty_detections
from mm_fusion.errors import BagError
from mm_fusion.frame import Frame
from mm_fusion.measurements import Deferred, Measurement
from mm_fusion.pipeline import Pipeline
from mm_fusion.training.labelled import ASTYX_REGION, EVERYWHERE, LabelledRegion

MATCH_NS = 50_000_000
"""Truth within this of a frame is moved by its velocity to the frame's time."""


class BagFrames:
    """The frames of a recording that have truth, decoded and in memory; images stay encoded."""

    def __init__(
        self, path: str | Path, vehicle: VehicleConfig | None = None, region: LabelledRegion | None = None
    ) -> None:
        """vehicle: None: that of the recording. region: None: `region_of` the vehicle."""
        self.vehicle = vehicle_of(Path(path)) if vehicle is None else vehicle
        self.region = region_of(self.vehicle) if region is None else region
        truths = read_truth(path)
        paired = [(frame, truth_at(truths, frame.stamp_ns)) for frame in frames_of(Path(path), self.vehicle)]
        self._pairs = [(frame, truth) for frame, truth in paired if truth is not None]
        if not self._pairs:
            raise BagError(f"{path}: no frame of this vehicle lies within 50 ms of its truth")

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        return self._pairs[number]

    def class_ids(self) -> list[NDArray[np.int16]]:
        """Class ids of each frame's objects."""
        return [truth.objects.class_id for _, truth in self._pairs]


class _Keeper:
    """A detector that finds nothing and keeps the frames it was shown."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def detect(self, frame: Frame) -> Detections:
        self.frames.append(frame)
        return empty_detections()

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        return


def frames_of(path: Path, vehicle: VehicleConfig) -> list[Frame]:
    """Every frame of a recording, decoded, with ego motion and health as a detector gets it."""
    keeper = _Keeper()
    pipeline = Pipeline(vehicle, keeper)
    with open_bag(path) as reader:
        for sensor, item, receipt_ns in bag_items(reader, vehicle, pipeline.drops):
            for frame in pipeline.add(sensor, item, receipt_ns):
                pipeline.detect(frame)
        for frame in pipeline.flush():
            pipeline.detect(frame)
    return keeper.frames


def truth_at(truths: list[TruthFrame], stamp_ns: int) -> TruthFrame | None:
    """The nearest of `truths` (sorted by stamp) within 50 ms, moved to `stamp_ns`; None where none is."""
    if not truths:
        return None
    nearest = min(truths, key=lambda truth: abs(truth.stamp_ns - stamp_ns))
    ahead_ns = stamp_ns - nearest.stamp_ns
    if abs(ahead_ns) > MATCH_NS:
        return None
    center = nearest.objects.center.copy()
    center[:, :2] += np.nan_to_num(nearest.objects.velocity) * np.float32(ahead_ns * 1e-9)
    return replace(nearest, stamp_ns=stamp_ns, objects=replace(nearest.objects, center=center))


def vehicle_of(path: Path) -> VehicleConfig:
    """The vehicle file that `mm-fusion info --write-vehicle` would write for a recording."""
    return parse_config(yaml.safe_load(vehicle_yaml(inspect_bag(path))), VehicleConfig, str(path))


def region_of(vehicle: VehicleConfig) -> LabelledRegion:
    """Where a recording's vehicle is labelled: with one camera and a radar as Astyx is, else everywhere."""
    kinds = [sensor.kind for sensor in vehicle.sensors.values()]
    alone = kinds.count("camera") == 1 and "radar" in kinds
    return ASTYX_REGION if alone else EVERYWHERE
