"""Sensors that go missing while training: one checkpoint must serve every subset."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mm_fusion.network.decode import cell_centres
from mm_fusion.network_config import LearnedConfig

SUBSETS = torch.tensor(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=torch.float32
)
"""The six subsets beside all: each sensor is in three of them, so camera and LiDAR go equally often."""


class AvailabilityDropout:
    """Draws what is left of each frame: half keep all, half one of six subsets; cameras and sectors beside.

    Draws come from `generator` alone.
    """

    def __init__(
        self,
        config: LearnedConfig,
        generator: torch.Generator,
        subsets: float = 0.5,
        cameras: float = 0.15,
        sectors: float = 0.15,
    ) -> None:
        self._config = config
        self._generator = generator
        self._shares = {"subsets": subsets, "cameras": cameras, "sectors": sectors}
        x, y = cell_centres(config.grid).T
        self._azimuth = torch.atan2(y, x).view(config.grid.shape)

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch with coverage, rasters and lift weights of what is gone set to zero."""
        batch = dict(batch)
        frames = len(batch["coverage"])
        keep = self._subsets(batch["available"])
        cover = batch["coverage"] * keep.view(frames, 3, 1, 1)
        batch["coverage"] = cover * self._sector_mask(frames).to(cover.device)
        self._drop_cameras(batch)
        return blanked(batch, self._config)

    def _draw(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator)

    def _subsets(self, available: Tensor) -> Tensor:
        """Kept sensors (B, 3) of those available; a draw that would leave none leaves all."""
        frames = len(available)
        choice = torch.randint(len(SUBSETS), (frames,), generator=self._generator)
        keep = torch.where(
            self._draw(frames, 1) < self._shares["subsets"], SUBSETS[choice], torch.ones(frames, 3)
        )
        kept = keep.to(available) * available
        return torch.where(kept.sum(1, keepdim=True) > 0, kept, available)

    def _sector_mask(self, frames: int) -> Tensor:
        """Coverage factor (B, 3, X, Y): now and then one sensor loses a wedge of 20 to 120 degrees."""
        mask = torch.ones(frames, 3, *self._azimuth.shape)
        for frame in torch.nonzero(self._draw(frames) < self._shares["sectors"]).flatten().tolist():
            sensor = int(torch.randint(3, (), generator=self._generator))
            start, width = (self._draw(2) * torch.tensor([2 * math.pi, math.radians(100)])).tolist()
            away = torch.remainder(self._azimuth - start, 2 * math.pi)
            mask[frame, sensor][away < width + math.radians(20)] = 0
        return mask

    def _drop_cameras(self, batch: dict[str, Tensor]) -> None:
        camera = self._config.camera
        gone = self._draw(*batch["camera_present"].shape) < self._shares["cameras"]
        gone &= bool(camera.max_cameras > 1)
        gone = gone.to(batch["camera_present"].device)
        batch["camera_present"] = batch["camera_present"] * (~gone)
        slot = torch.div(batch["lift_index"].long(), camera.rows_per_camera, rounding_mode="floor")
        lost = gone.gather(1, slot.flatten(1)).view_as(slot)
        batch["lift_weight"] = torch.where(lost, torch.zeros_like(batch["lift_weight"]), batch["lift_weight"])
        seen = (batch["lift_weight"] > 0).flatten(3).any(3)
        coverage = batch["coverage"].clone()
        coverage[:, 0] = torch.where(seen, coverage[:, 0], torch.zeros_like(coverage[:, 0]))
        batch["coverage"] = coverage


def blanked(batch: dict[str, Tensor], config: LearnedConfig) -> dict[str, Tensor]:
    """The batch with rasters and lift weights zero where their sensor's coverage is."""
    batch = dict(batch)
    coverage = batch["coverage"]
    for number, (name, scale) in enumerate((("lidar", config.lidar.scale), ("radar", config.radar.scale)), 1):
        seen = coverage[:, number : number + 1].repeat_interleave(scale, 2).repeat_interleave(scale, 3) > 0
        batch[name] = torch.where(seen, batch[name], torch.zeros_like(batch[name]))
    seen = (coverage[:, 0] > 0).unsqueeze(-1).unsqueeze(-1)
    batch["lift_weight"] = torch.where(seen, batch["lift_weight"], torch.zeros_like(batch["lift_weight"]))
    return batch
