"""What a training run tunes beside the model's sizes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mm_fusion.config import Section

Share = Annotated[float, Field(ge=0, le=1)]


class DropoutConfig(Section):
    """What goes missing while training."""

    subsets: Share = Field(0.5, description="share of frames with one of the six subsets in place of all")
    cameras: Share = Field(0.15, description="chance of each camera to go, where there are several")
    sectors: Share = Field(0.15, description="share of frames in which a sensor loses a wedge")


class PasteConfig(Section):
    """Objects of other frames pasted into a frame."""

    share: Share = Field(0.0, description="share of frames that get some")
    at_most: Annotated[int, Field(ge=1, le=50)] = Field(6, description="objects in one frame")
    until: Share = Field(0.8, description="share of the run after which no more are pasted")


class AugmentConfig(Section):
    """How frames are changed, each alike for all sensors; a share or size of 0 switches it off."""

    flip: Share = Field(0.5, description="share of frames mirrored left to right")
    turn_deg: Annotated[float, Field(ge=0, le=180)] = Field(23.0, description="largest turn to either side")
    scale: Annotated[float, Field(ge=0, le=0.5)] = Field(0.05, description="largest change of size")
    photometric: Share = Field(0.7, description="share of frames with other light, colour, blur or noise")
    time_jitter: Share = Field(0.3, description="share of frames with wrong stamps")
    time_jitter_ms: Annotated[float, Field(ge=0, le=500)] = Field(50.0, description="largest, of images")
    calibration_jitter: Share = Field(0.5, description="share of frames with mounts that are off")
    calibration_deg: Annotated[float, Field(ge=0, le=10)] = Field(0.3, description="sigma per axis")
    calibration_m: Annotated[float, Field(ge=0, le=1)] = Field(0.03, description="sigma per axis")
    fewer_sweeps: Share = Field(0.5, description="share of frames in which earlier sweeps are missing")
    lies: Share = Field(0.04, description="share of frames in which a kind of sensor is present but wrong")
    paste: PasteConfig = PasteConfig()


class BalanceConfig(Section):
    """How much more often frames with rare classes come."""

    at_most: Annotated[float, Field(ge=1, le=100)] = Field(4.0, description="times per pass; 1: all alike")
    seen_in: Share = Field(0.25, description="classes in a smaller share of the frames than this are rare")


class TrainingConfig(Section):
    """One run: how long, how fast, from which draws."""

    steps: Annotated[int, Field(ge=1)] = Field(1000, description="optimiser steps in all")
    batch: Annotated[int, Field(ge=1, le=1024)] = Field(4, description="frames per step")
    rate: Annotated[float, Field(gt=0, le=1)] = Field(2e-3, description="highest learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="of AdamW, on kernels alone")
    warm_up: Annotated[int, Field(ge=1)] = Field(100, description="steps up to the highest rate")
    clip: Annotated[float, Field(gt=0)] = Field(10.0, description="largest norm of the gradient")
    ema: Share = Field(0.998, description="share of the running mean of weights that stays at each step")
    contribution_every: Annotated[int, Field(ge=1)] = Field(8, description="steps between Shapley values")
    save_every: Annotated[int, Field(ge=1)] = Field(100, description="steps between checkpoints")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(1, description="of weights, order and dropout")
    sensors: tuple[Literal["camera", "lidar", "radar"], ...] = Field(
        ("camera", "lidar", "radar"), min_length=1, description="sensors that take part; fewer for an expert"
    )
    frozen: tuple[Literal["camera", "lidar", "radar", "fusion"], ...] = Field(
        (), description="graphs that stay as they are"
    )
    precision: Literal["32-true", "bf16-mixed"] = Field("32-true", description="of convolutions")
    augment: AugmentConfig = AugmentConfig()
    shares: tuple[float, ...] | None = Field(
        None, description="share of each folder of data in every batch; unset: by their sizes"
    )
    balance: BalanceConfig = BalanceConfig()
    folds: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="parts into which the runs of each recording fall; all but one are trained on"
    )
    fold: Annotated[int, Field(ge=0, le=99)] = Field(0, description="the part that is left out")
    shuffle_labels: bool = Field(False, description="each frame gets another's truth: nothing can be learned")
    val_every: Annotated[int, Field(ge=0)] = Field(
        0, description="steps between looks at other frames; 0: none"
    )
    val_frames: Annotated[int, Field(ge=1)] = Field(64, description="frames looked at")
    dropout: DropoutConfig = DropoutConfig()

    @model_validator(mode="after")
    def _fold_is_one_of_them(self) -> TrainingConfig:
        if self.fold >= self.folds:
            raise ValueError(f"fold: expected below folds {self.folds}, got {self.fold}")
        return self
