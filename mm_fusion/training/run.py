"""One training run: data, trainer, checkpoints; goes on where it stopped."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from mm_fusion.config import VehicleConfig, dump_config
from mm_fusion.errors import FusionError
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.model_files import shipped_models
from mm_fusion.training.averaging import RunningMean
from mm_fusion.training.checkpoint import load_checkpoint
from mm_fusion.training.loading import TrainingData
from mm_fusion.training.memory import keep_freed_memory
from mm_fusion.training.model_of import model_of
from mm_fusion.training.module import DetectorModule
from mm_fusion.training.settings import TrainingConfig
from mm_fusion.training.validation import Validation

LAST = "last.ckpt"


class StepsBar(TQDMProgressBar):
    """A bar over the steps of the whole run, which is one endless epoch."""

    def __init__(self, steps: int) -> None:
        super().__init__(refresh_rate=5)
        self._steps = steps

    @property
    def total_train_batches(self) -> int:
        """Steps of the run."""
        return self._steps


def train(
    config: LearnedConfig,
    settings: TrainingConfig,
    data: Sequence[Path],
    out: Path,
    vehicle: VehicleConfig | None = None,
    start: str | Path | None = None,
    workers: int = 0,
    quiet: bool = False,
    val: Path | None = None,
) -> Path:
    """The newest checkpoint of a run in `out`, trained up to `settings.steps`; goes on with what is there.

    start: what a new run begins with: a checkpoint, a run, or a model as `--model` names it. val: frames to
    look at every `val_every` steps; no checkpoint is chosen by them.

    Raises `FusionError` where a checkpoint is of another config, a folder holds no labelled frames, or a loss
    is not finite; the last good checkpoint stays.
    """
    keep_freed_memory()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    torch.set_float32_matmul_precision("high")
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    frames = TrainingData(config, settings, data, vehicle, val)
    last = out / LAST
    first = _steps_done(last)
    module = DetectorModule(config, settings)
    if start is not None and not last.is_file():
        _take_weights(module, start)
    out.mkdir(parents=True, exist_ok=True)
    trainer = _trainer(settings, out, _callbacks(settings, frames, out, quiet), quiet)
    if trainer.is_global_zero:
        _write_manifest(config, settings, data, frames.shares, out)
    loader = frames.loader(first, workers, trainer.global_rank, trainer.world_size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(module, loader, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    # written beside and renamed: whatever stops this, `last` is whole
    partial = out / "partial.ckpt"
    trainer.save_checkpoint(partial)
    if trainer.is_global_zero:
        partial.replace(last)
    return last


def _take_weights(module: DetectorModule, start: str | Path) -> None:
    """Begin with the averaged weights of another model; raises `FusionError` where they do not fit."""
    found = start_of(str(start))
    try:
        module.model.load_state_dict(found.state_dict())
    except RuntimeError as error:
        which = str(error).splitlines()[-1].strip().rstrip(".")
        raise FusionError(
            f"{start}: expected weights for config {module.config.hash()}, got those of "
            f"{found.config.hash()}, whose sizes differ: {which}; name its own --config, or leave --config "
            "out to take its sizes"
        ) from error


def start_of(name: str) -> FusionModel:
    """The model of a checkpoint or a run, else what `--model` names: its auxiliary heads begin anew.

    As there, a shipped name goes before a folder of that name. Raises `ConfigurationError`.
    """
    found = [path for path in (Path(name), Path(name) / LAST) if path.is_file()]
    return load_checkpoint(found[0]) if found and name not in shipped_models() else model_of(name)


def _steps_done(last: Path) -> int:
    """Steps behind the checkpoint to go on from, 0 where there is none yet; raises `FusionError`."""
    if not last.is_file():
        return 0
    try:
        return int(torch.load(last, map_location="cpu", weights_only=True)["global_step"])
    except Exception as error:
        raise FusionError(
            f"{last}: expected a whole checkpoint, got {str(error).splitlines()[0]}; remove it to start anew"
        ) from error


def _callbacks(settings: TrainingConfig, frames: TrainingData, out: Path, quiet: bool) -> list[Any]:
    mean = RunningMean(settings.ema)
    callbacks: list[Any] = [mean]
    if settings.val_every:
        held_out = frames.held_out()
        callbacks.append(
            Validation(held_out, mean, settings.val_every, settings.val_frames, settings.batch, out)
        )
    return callbacks if quiet else [*callbacks, StepsBar(settings.steps)]


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
        callbacks=[*callbacks, checkpoints],
        logger=TensorBoardLogger(out, name="log", version=""),
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=not quiet,
        use_distributed_sampler=False,
        default_root_dir=out,
        **launched_with(os.environ),
    )


def launched_with(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the trainer must know of PyTorch's launcher (`torchrun`); nothing where it did not start this.

    A sensor that no frame of a process holds leaves its encoder without gradients there: hence the strategy.
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return {}
    world, local = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    return {"devices": local, "num_nodes": world // local, "strategy": "ddp_find_unused_parameters_true"}


def _write_manifest(
    config: LearnedConfig, settings: TrainingConfig, data: Sequence[Path], shares: Sequence[float], out: Path
) -> None:
    (out / "model.yaml").write_text(dump_config(config), encoding="utf-8")
    manifest = {
        "config_hash": config.hash(),
        "settings": settings.model_dump(mode="json"),
        "data": [folder.name for folder in data],
        "shares": list(shares),
        "torch": torch.__version__,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
