"""Labelled frames of simulated shards or of a recording, with what scoring asks of them beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import BagError, ConfigurationError, ResultError
from mm_fusion.evaluation.drive_again import DriveAgain
from mm_fusion.evaluation.folds import fold_of_frames
from mm_fusion.evaluation.matching import REGIONS, Region, nearest_partners, runs_of
from mm_fusion.evaluation.scenes import Camera, Scene
from mm_fusion.frame import Frame
from mm_fusion.geometry.transforms import inverse

Int64 = NDArray[np.int64]


class Frames(Protocol):
    """Labelled frames of one vehicle, by number."""

    vehicle: VehicleConfig

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        """Frame and truth; raises `BagError` where its file is broken."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LabelledData:
    """The scored frames of one folder.

    run: (N,) number of the drive of each frame, whose frames follow each other in time. digest: names the
    content. again: makes other moments of a simulated drive, None where that cannot be. unmatched: truth
    frames of a recording without a frame within 50 ms. split: of a simulated data set; fold: of a recording
    by runs, in words.
    """

    folder: Path
    frames: Frames
    region: Region
    run: NDArray[np.int64]
    digest: str
    again: DriveAgain | None = None
    unmatched: int = 0
    split: str | None = None
    fold: str | None = None

    def __len__(self) -> int:
        return len(self.run)

    @property
    def vehicle(self) -> VehicleConfig:
        """The vehicle that the frames were recorded with."""
        return self.frames.vehicle

    def kinds(self) -> set[str]:
        """Kinds of sensors that the vehicle carries."""
        return {str(sensor.kind) for sensor in self.vehicle.sensors.values()}


def open_data(
    folder: Path,
    split: str,
    region: str = "auto",
    limit: int | None = None,
    folds: int = 1,
    fold: int = 0,
) -> LabelledData:
    """The labelled frames of a simulated data set's `split`, or of a recording with truth.

    limit: score the first so many alone. folds, fold: of a recording only the runs that `train` with the same
    numbers leaves out; 1: all of it. Raises `BagError` where the folder is neither, has no truth or no frame
    of that split, and `ConfigurationError` where there is no such fold.
    """
    from mm_fusion.simulation.dataset import MANIFEST

    simulated = (folder / MANIFEST).is_file()
    if simulated and folds > 1:
        raise ConfigurationError(
            f"{folder}: --folds parts the runs of recordings, and this is simulated data with splits of its "
            "own; leave --folds out and choose with --split"
        )
    whole = _shards(folder, split) if simulated else _recording(folder, folds, fold)
    if not len(whole):
        raise BagError(f"{folder}: has no labelled frame to score")
    chosen = _region_of(whole.vehicle) if region == "auto" else _named(region)
    count = len(whole) if limit is None else min(limit, len(whole))
    return replace(whole, region=chosen, run=whole.run[:count])


def _shards(folder: Path, split: str) -> LabelledData:
    from mm_fusion.simulation.dataset import read_manifest
    from mm_fusion.simulation.shards import shard_meta
    from mm_fusion.training.shard_frames import ShardFrames

    frames, manifest = ShardFrames(folder, split), read_manifest(folder)
    drives = [
        drive for entry in manifest["splits"][split] for drive in shard_meta(folder / entry["file"])["drives"]
    ]
    run = np.repeat(np.arange(len(drives)), [drive["frames"] for drive in drives])
    again = DriveAgain.of(manifest, split, drives)
    digest = f"{manifest['hash']} {split} {len(run)}"
    return LabelledData(folder, frames, REGIONS["everywhere"], run, digest, again, split=split)


def _recording(path: Path, folds: int, fold: int) -> LabelledData:
    from mm_fusion.bags.truth import read_truth
    from mm_fusion.offline import input_hashes
    from mm_fusion.training.recorded_frames import BagFrames

    frames = BagFrames(path)
    stamps = np.array([frames[number][0].stamp_ns for number in range(len(frames))], np.int64)
    told = np.array([truth.stamp_ns for truth in read_truth(path)], np.int64)
    alone = nearest_partners(told, stamps) < 0
    digest = input_hashes(path, frames.vehicle, "geometric")
    name = hashlib.sha256(f"{digest['recording']} {digest['vehicle']}".encode()).hexdigest()
    whole = LabelledData(path, frames, REGIONS["everywhere"], runs_of(stamps), name)
    if folds == 1:
        return replace(whole, unmatched=int(alone.sum()))
    return _left_out(whole, stamps, told[alone], folds, fold)


def _left_out(whole: LabelledData, stamps: Int64, alone: Int64, folds: int, fold: int) -> LabelledData:
    """The frames of one fold; truth without a frame (`alone`, its stamps) belongs to the nearest frame's."""
    from mm_fusion.training.selected_frames import SelectedFrames

    fold_of = fold_of_frames(stamps, folds)
    chosen = np.flatnonzero(fold_of == fold)
    nearest = np.abs(alone[:, None] - stamps[None]).argmin(axis=1)
    words = f"fold {fold} of {folds}"
    return replace(
        whole,
        frames=SelectedFrames(whole.frames, chosen),  # type: ignore[arg-type]
        run=np.unique(whole.run[chosen], return_inverse=True)[1],
        digest=f"{whole.digest} {words}",
        unmatched=int((fold_of[nearest] == fold).sum()),
        fold=words,
    )


def _region_of(vehicle: VehicleConfig) -> Region:
    """One camera and a radar: labelled as Astyx is; else within nuScenes' ranges by class."""
    kinds = [sensor.kind for sensor in vehicle.sensors.values()]
    return REGIONS["astyx" if kinds.count("camera") == 1 and "radar" in kinds else "nuscenes"]


def _named(name: str) -> Region:
    if name not in REGIONS:
        raise ResultError(f"unknown region {name!r}; known are auto, {', '.join(REGIONS)}")
    return REGIONS[name]


def cameras_of(frame: Frame) -> Mapping[str, Camera]:
    """The calibrated cameras of a frame, by name."""
    placed = frame.calibration.base_from_sensor
    return {
        name: Camera(model, inverse(placed[name]))
        for name, model in frame.calibration.camera_models.items()
        if name in placed
    }


def scene_of(frame: Frame, truth: TruthFrame) -> Scene:
    """The truth of a frame as scoring takes it, seen by the frame's cameras."""
    return Scene(frame.stamp_ns, truth.frame_id, truth.objects, truth.extra, cameras_of(frame), frame.ego)
