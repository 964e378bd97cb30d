"""Frames that an export is calibrated and checked on: network inputs, and truth where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_fusion.config import VehicleConfig, load_vehicle, share_roots
from mm_fusion.errors import BagError
from mm_fusion.evaluation.labelled_data import open_data, scene_of
from mm_fusion.evaluation.matching import REGIONS, Region
from mm_fusion.evaluation.scenes import Scene
from mm_fusion.frame import Frame
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.network_config import LearnedConfig
from mm_fusion.simulation.dataset import MANIFEST
from mm_fusion.training.recorded_frames import frames_of, vehicle_of
from mm_fusion.training.shard_frames import ShardFrames

SAMPLE = "rosbags/sample"
SAMPLE_VEHICLE = "nuscenes_like"


@dataclass(frozen=True, slots=True, eq=False)
class ExportFrames:
    """Network inputs of some frames; scenes and runs are their truth, empty where there is none.

    name: where they are from, without its folder. simulated: whether nobody drove them.
    """

    name: str
    inputs: Sequence[NetworkInputs]
    simulated: bool
    scenes: Sequence[Scene] = ()
    runs: Sequence[int] = ()
    region: Region = REGIONS["everywhere"]


def calibration_frames(config: LearnedConfig, folder: Path | None, count: int) -> ExportFrames:
    """Up to `count` frames evenly over the training split of a data set, or over a recording, without truth.

    folder: None: the sample recording. Raises `BagError` where it holds no frame with a sensor of the model.
    """
    path = sample_recording() if folder is None else folder
    if (path / MANIFEST).is_file():
        shards = ShardFrames(path, "train")
        chosen, vehicle = [shards[number][0] for number in spread(len(shards), count)], shards.vehicle
    else:
        vehicle = load_vehicle(SAMPLE_VEHICLE) if folder is None else vehicle_of(path)
        frames = frames_of(path, vehicle)
        chosen = [frames[number] for number in spread(len(frames), count)]
    inputs = network_inputs(config, vehicle, chosen)
    if not inputs:
        raise BagError(f"{path}: expected frames to calibrate with, found none that any sensor is in")
    return ExportFrames(path.name, inputs, folder is None or (path / MANIFEST).is_file())


def scored_frames(config: LearnedConfig, folder: Path, split: str, count: int) -> ExportFrames:
    """Up to `count` frames with truth, evenly over the `split` of a data set or over a recording."""
    data = open_data(folder, split)
    pairs = [(number, *data.frames[number]) for number in spread(len(data), count)]
    return ExportFrames(
        f"{folder.name} {split}" if (folder / MANIFEST).is_file() else folder.name,
        network_inputs(config, data.vehicle, [frame for _, frame, _ in pairs], every=True),
        (folder / MANIFEST).is_file(),
        [scene_of(frame, truth) for _, frame, truth in pairs],
        [int(data.run[number]) for number, _, _ in pairs],
        data.region,
    )


def sample_recording() -> Path:
    """The recording that comes with the package; raises `BagError` where the installation lacks it."""
    for root in share_roots():
        if (root / SAMPLE).is_dir():
            return root / SAMPLE
    raise BagError(f"{SAMPLE}: not found beside config/; name a recording or a data set with --calibration")


def network_inputs(
    config: LearnedConfig, vehicle: VehicleConfig, frames: Sequence[Frame], every: bool = False
) -> list[NetworkInputs]:
    """Network inputs of frames; those without any sensor are left out, unless `every` one is wanted."""
    maker = InputMaker(config, vehicle)
    made = [maker.make(frame) for frame in frames]
    return [inputs for inputs in made if every or inputs["available"].any()]


def spread(total: int, count: int) -> list[int]:
    """Up to `count` numbers evenly over 0..total - 1."""
    return sorted({int(place) for place in np.linspace(0, total - 1, min(total, count))}) if total else []
