"""From folders of data to batches: data sets, their order, and the processes that prepare them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from mm_fusion.config import VehicleConfig
from mm_fusion.detections import CLASSES
from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.simulation.dataset import MANIFEST
from mm_fusion.training.augmentation import Augmentation
from mm_fusion.training.batches import Collation
from mm_fusion.training.changes import Frames
from mm_fusion.training.datasets import SampleDataset, open_frames
from mm_fusion.training.recorded_frames import BagFrames
from mm_fusion.training.sampling import MixedBatches, Mixture, class_presence, make_source, shares_of
from mm_fusion.training.selected_frames import ShuffledLabels, split_by_runs
from mm_fusion.training.settings import TrainingConfig


class TrainingData:
    """The labelled frames of every folder of a run; raises `FusionError` where a folder holds none."""

    def __init__(
        self,
        config: LearnedConfig,
        settings: TrainingConfig,
        folders: Sequence[Path],
        vehicle: VehicleConfig | None = None,
        val: Path | None = None,
    ) -> None:
        self._config, self._settings = config, settings
        opened = [_opened(folder, "train", vehicle) for folder in folders]
        self._held_out = [_opened(val, "val", vehicle)] if val is not None else []
        if settings.folds > 1:
            opened, held_out = _folded(opened, settings)
            self._held_out = self._held_out or held_out
        for folder, each in zip(folders, opened):
            _check_sensors(folder, each, config, settings)
        frames = [ShuffledLabels(f, settings.seed) for f in opened] if settings.shuffle_labels else opened
        self.shares = shares_of(settings.shares, [len(each) for each in frames])
        present = [_presence(folder, each, config) for folder, each in zip(folders, frames)]
        self._sources = [make_source(f, each, settings.balance) for f, each in zip(frames, present)]
        self._parts = [self._samples(each) for each in frames]
        self._folders, self._vehicle = folders, vehicle

    def loader(self, first: int, workers: int = 0, rank: int = 0, world: int = 1) -> Any:
        """Batches from step `first` on, without end; of process `rank` of `world` that train together."""
        settings = self._settings
        batches = MixedBatches(self._sources, self.shares, settings.batch, settings.seed, first, rank, world)
        for part in self._parts:
            part.turns = settings.steps * settings.batch * world
        joined: Any = Mixture(self._parts)
        return DataLoader(
            joined,
            batch_sampler=batches,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=Collation(self._config),
        )

    def held_out(self) -> SampleDataset:
        """Frames to look at while training, as they are: of `val`, of the fold, or of the data's own `val`.

        Raises `ConfigurationError` where there are none.
        """
        found = self._held_out or _own_val(self._folders, self._vehicle)
        if not found:
            raise ConfigurationError(
                "val_every: expected frames to look at; name them with --val, leave out a fold with --folds, "
                "or give a data set with a val split"
            )
        return SampleDataset(found[-1], self._config)

    def _samples(self, frames: Frames) -> SampleDataset:
        settings = self._settings
        augment = Augmentation(frames, self._config, settings.augment)
        return SampleDataset(frames, self._config, augment, settings.seed)


def _opened(folder: Path, split: str, vehicle: VehicleConfig | None) -> Frames:
    frames = open_frames(folder, split, vehicle)
    if not len(frames):
        raise ConfigurationError(f"{folder}: expected labelled frames, found none")
    if vehicle is not None and _kinds(frames.vehicle) != _kinds(vehicle):
        raise ConfigurationError(
            f"{folder}: data of another vehicle: expected sensors {', '.join(vehicle.sensors)}, got "
            f"{', '.join(frames.vehicle.sensors)}; leave --vehicle out, or name its own"
        )
    return frames


def _kinds(vehicle: VehicleConfig) -> dict[str, str]:
    return {name: sensor.kind for name, sensor in vehicle.sensors.items()}


def _check_sensors(folder: Path, frames: Frames, config: LearnedConfig, settings: TrainingConfig) -> None:
    """Raise `ConfigurationError` where the model cannot take the vehicle's sensors, or none is trained."""
    kinds = list(_kinds(frames.vehicle).values())
    cameras, most = kinds.count("camera"), config.camera.max_cameras
    if "camera" in settings.sensors and cameras > most:
        raise ConfigurationError(
            f"{folder}: data of another vehicle: expected at most {most} cameras for config {config.name}, "
            f"got {cameras}; raise max_cameras, or choose a config for it"
        )
    if not set(kinds) & set(settings.sensors):
        raise ConfigurationError(
            f"{folder}: data of another vehicle: expected one of {', '.join(settings.sensors)}, got "
            f"{', '.join(sorted(set(kinds)))}"
        )


def _presence(folder: Path, frames: Frames, config: LearnedConfig) -> NDArray[np.bool_]:
    """(N, K): which classes of the config each frame holds; raises `ConfigurationError` where none does."""
    present = class_presence(frames, [CLASSES.index(name) for name in config.classes])
    if not present.any():
        raise ConfigurationError(
            f"{folder}: expected objects of {', '.join(config.classes)}, found none in {len(frames)} frames"
        )
    return present


def _folded(opened: Sequence[Frames], settings: TrainingConfig) -> tuple[list[Frames], list[Frames]]:
    """What is trained on and what is left out; simulated data sets have a split of their own, and stay."""
    kept: list[Frames] = []
    left: list[Frames] = []
    for frames in opened:
        if not isinstance(frames, BagFrames):
            kept.append(frames)
            continue
        inside, outside = split_by_runs(frames, settings.folds, settings.fold)
        kept.append(inside)
        left.append(outside)
    if not left:
        raise ConfigurationError("folds: expected a recording among the data, whose runs can be divided")
    return kept, left


def _own_val(folders: Sequence[Path], vehicle: VehicleConfig | None) -> list[Frames]:
    """The `val` splits of folders that have splits; a recording is no split of its own."""
    return [_opened(folder, "val", vehicle) for folder in folders if (folder / MANIFEST).is_file()]
