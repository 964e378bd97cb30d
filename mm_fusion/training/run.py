"""One training run: data, trainer, checkpoints; goes on where it stopped."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import ConcatDataset, DataLoader

from mm_fusion.config import VehicleConfig, dump_config
from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.augmentation import SceneAugmentation
from mm_fusion.training.averaging import RunningMean
from mm_fusion.training.batches import Collation
from mm_fusion.training.checkpoint import load_checkpoint
from mm_fusion.training.datasets import SampleDataset, open_frames
from mm_fusion.training.module import DetectorModule
from mm_fusion.training.settings import TrainingConfig

LAST = "last.ckpt"


class EpochOrder(lightning.Callback):
    """Tells the data sets which epoch it is, so that their draws differ from epoch to epoch."""

    def __init__(self, parts: Sequence[SampleDataset]) -> None:
        self._parts = parts

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        """Set the epoch."""
        for part in self._parts:
            part.epoch = trainer.current_epoch


def train(
    config: LearnedConfig,
    settings: TrainingConfig,
    data: Sequence[Path],
    out: Path,
    vehicle: VehicleConfig | None = None,
    start: Path | None = None,
    workers: int = 0,
    quiet: bool = False,
) -> Path:
    """The newest checkpoint of a run in `out`, trained up to `settings.steps`; goes on with what is there.

    start: another run's checkpoint, whose weights a new run begins with.

    Raises `FusionError` where a checkpoint is of another config, a folder holds no labelled frames, or a loss
    is not finite; the last good checkpoint stays.
    """
    torch.set_float32_matmul_precision("high")
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    parts = [_samples(config, settings, folder, vehicle) for folder in data]
    out.mkdir(parents=True, exist_ok=True)
    _write_manifest(config, settings, data, out)
    last = out / LAST
    module = DetectorModule(config, settings)
    if start is not None and not last.is_file():
        _take_weights(module, start)
    trainer = _trainer(settings, out, [EpochOrder(parts), *([] if quiet else [TQDMProgressBar(5)])], quiet)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(
            module,
            _loader(config, settings, parts, workers),
            ckpt_path=_checked(last),
            weights_only=True,
        )
    # written beside and renamed: whatever stops this, `last` is whole
    partial = out / "partial.ckpt"
    trainer.save_checkpoint(partial)
    partial.replace(last)
    return last


def _take_weights(module: DetectorModule, start: Path) -> None:
    """Begin with the averaged weights of another run; raises `FusionError` where they do not fit."""
    found = load_checkpoint(start)
    try:
        module.model.load_state_dict(found.state_dict())
    except RuntimeError as error:
        raise FusionError(
            f"{start}: expected weights for config {module.config.hash()}, got those of "
            f"{found.config.hash()}, whose sizes differ: {str(error).splitlines()[-1].strip()}"
        ) from error


def _checked(last: Path) -> str | None:
    """The checkpoint to go on from, None where there is none yet; raises `FusionError` where it is broken."""
    if not last.is_file():
        return None
    try:
        torch.load(last, map_location="cpu", weights_only=True)
    except Exception as error:
        raise FusionError(
            f"{last}: expected a whole checkpoint, got {str(error).splitlines()[0]}; remove it to start anew"
        ) from error
    return str(last)


def _samples(
    config: LearnedConfig, settings: TrainingConfig, folder: Path, vehicle: VehicleConfig | None
) -> SampleDataset:
    frames = open_frames(folder, "train", vehicle)
    if not len(frames):
        raise ConfigurationError(f"{folder}: expected labelled frames, found none")
    augment = SceneAugmentation() if settings.augment else None
    return SampleDataset(frames, config, augment, settings.seed)


def _loader(
    config: LearnedConfig, settings: TrainingConfig, parts: Sequence[SampleDataset], workers: int
) -> Any:
    joined: Any = ConcatDataset(list(parts))  # type: ignore[arg-type]
    return DataLoader(
        joined,
        settings.batch,
        shuffle=True,
        drop_last=len(joined) >= settings.batch,
        num_workers=workers,
        collate_fn=Collation(config),
    )


def _trainer(settings: TrainingConfig, out: Path, callbacks: list[Any], quiet: bool) -> Any:
    # only checkpoints written whole are named `last`: Lightning renames them when they are
    checkpoints = ModelCheckpoint(
        out, filename="step", save_last=True, every_n_train_steps=settings.save_every, save_top_k=0
    )
    return lightning.Trainer(
        max_steps=settings.steps,
        accelerator="auto",
        precision=settings.precision,
        gradient_clip_val=settings.clip,
        callbacks=[RunningMean(settings.ema), checkpoints, *callbacks],
        logger=TensorBoardLogger(out, name="log", version=""),
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=not quiet,
        default_root_dir=out,
    )


def _write_manifest(config: LearnedConfig, settings: TrainingConfig, data: Sequence[Path], out: Path) -> None:
    (out / "model.yaml").write_text(dump_config(config), encoding="utf-8")
    manifest = {
        "config_hash": config.hash(),
        "settings": settings.model_dump(mode="json"),
        "data": [folder.name for folder in data],
        "torch": torch.__version__,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
