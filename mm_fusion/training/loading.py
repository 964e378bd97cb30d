"""From folders of data to batches: data sets, their order, and the processes that prepare them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from mm_fusion.config import VehicleConfig
from mm_fusion.detections import CLASSES
from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.augmentation import Augmentation
from mm_fusion.training.batches import Collation
from mm_fusion.training.changes import Frames
from mm_fusion.training.datasets import SampleDataset, open_frames
from mm_fusion.training.sampling import MixedBatches, Mixture, make_source, shares_of
from mm_fusion.training.settings import TrainingConfig


class TrainingData:
    """The labelled frames of every folder of a run; raises `FusionError` where a folder holds none."""

    def __init__(
        self,
        config: LearnedConfig,
        settings: TrainingConfig,
        folders: Sequence[Path],
        vehicle: VehicleConfig | None = None,
    ) -> None:
        self._config, self._settings = config, settings
        frames = [_opened(folder, vehicle) for folder in folders]
        self.shares = shares_of(settings.shares, [len(each) for each in frames])
        classes = [CLASSES.index(name) for name in config.classes]
        self._sources = [make_source(each, settings.balance, classes) for each in frames]
        self._parts = [self._samples(each) for each in frames]

    def loader(self, first: int, workers: int = 0, rank: int = 0, world: int = 1) -> Any:
        """Batches from step `first` on, without end; of process `rank` of `world` that train together."""
        settings = self._settings
        batches = MixedBatches(self._sources, self.shares, settings.batch, settings.seed, first, rank, world)
        joined: Any = Mixture(self._parts)
        return DataLoader(
            joined,
            batch_sampler=batches,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=Collation(self._config),
        )

    def _samples(self, frames: Frames) -> SampleDataset:
        settings = self._settings
        augment = Augmentation(frames, self._config, settings.augment)
        return SampleDataset(frames, self._config, augment, settings.seed, settings.steps * settings.batch)


def _opened(folder: Path, vehicle: VehicleConfig | None) -> Frames:
    frames = open_frames(folder, "train", vehicle)
    if not len(frames):
        raise ConfigurationError(f"{folder}: expected labelled frames, found none")
    return frames
