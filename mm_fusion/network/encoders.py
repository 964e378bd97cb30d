"""One encoder per kind of sensor: images to feature rows, rasters to maps on the grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.blocks import ConvBlock, ResidualBlock, Upsample
from mm_fusion.network_config import CameraInputs, EncoderConfig

PIXEL_MEAN = (123.7, 116.3, 103.5)
PIXEL_SPREAD = (58.4, 57.1, 57.4)
"""Usual mean and standard deviation of RGB photographs, grey levels."""


class CameraEncoder(nn.Module):
    """Thin rows to lift, fuller rows for the second stage, and depth bins, of one or more images.

    Plain strided 3x3 convolutions: depthwise ones gain nothing from INT8. The image is cast and normalised
    inside, so that the host hands over uint8.
    """

    def __init__(self, config: CameraInputs) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(PIXEL_SPREAD).view(1, 3, 1, 1))
        widths = [3, *config.widths]
        halvings = (config.stride // 2).bit_length()
        steps = [
            ConvBlock(a, b, 2 if i < halvings else 1) for i, (a, b) in enumerate(zip(widths, widths[1:]))
        ]
        steps += [ConvBlock(widths[-1], widths[-1], 2) for _ in range(halvings - len(config.widths))]
        self.body = nn.Sequential(*steps, *(ConvBlock(widths[-1], widths[-1]) for _ in range(config.blocks)))
        self.rows = nn.Conv2d(widths[-1], config.rows_channels, 1)
        self.full_rows = nn.Conv2d(widths[-1], config.full_rows_channels, 1)
        self.depth = nn.Conv2d(widths[-1], config.depth_bins, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (N, R, thin), full rows (N, R, fuller) and depth probabilities (N, R, D).

        image: (N, 3, h, w) uint8 RGB. R counts the feature pixels of an image row by row.
        """
        pixels = (image.float() - self.mean) / self.spread
        features = self.body(pixels)
        depth = _as_rows(self.depth(features)).float().softmax(-1)
        return _as_rows(self.rows(features)), _as_rows(self.full_rows(features)), depth


def _as_rows(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)


class RasterEncoder(nn.Module):
    """A raster's features on the grid, seen at full and at half grid."""

    def __init__(self, inputs: int, scale: int, config: EncoderConfig, channels: int) -> None:
        super().__init__()
        full, half = config.widths[0], config.widths[-1]
        strides = {1: [1], 2: [2], 3: [3], 4: [2, 2]}[scale]
        widths = [inputs, *[full] * len(strides)]
        self.stem = nn.Sequential(*(ConvBlock(a, full, s) for a, s in zip(widths, strides)))
        self.at_full = nn.Sequential(*(ResidualBlock(full) for _ in range(config.blocks)))
        self.at_half = nn.Sequential(
            ConvBlock(full, half, 2), *(ResidualBlock(half) for _ in range(config.blocks))
        )
        self.up = Upsample(half, full)
        self.out = nn.Conv2d(full, channels, 1)

    def forward(self, raster: Tensor) -> Tensor:
        """Features (B, C, X, Y) of a raster (B, channels, scale X, scale Y)."""
        full = self.at_full(self.stem(raster))
        return self.out(full + self.up(self.at_half(full)))
