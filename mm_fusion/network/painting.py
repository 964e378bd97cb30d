"""Early fusion: image features painted onto the rasters before those are encoded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.encoders import RasterEncoder
from mm_fusion.network_config import LearnedConfig


class RasterStem(nn.Module):
    """A raster brought to the grid by its encoder's first convolutions, and nothing more.

    Channels beyond the stem's own are zero, so that the graph has the shape of a whole encoder. Its weights
    have the names of `RasterEncoder.stem`.
    """

    def __init__(self, encoder: RasterEncoder, width: int, channels: int) -> None:
        super().__init__()
        if width > channels:
            raise ConfigurationError(
                f"joining early: expected trunk.channels of at least {width}, the first width of a raster's "
                f"encoder, got {channels}"
            )
        self.stem = encoder.stem
        self.missing = channels - width

    def forward(self, raster: Tensor) -> Tensor:
        """Features (B, C, X, Y) of a raster (B, channels, scale X, scale Y)."""
        return functional.pad(self.stem(raster), (0, 0, 0, 0, 0, self.missing))


class Painting(nn.Module):
    """Features (B, C, X, Y) of LiDAR and radar from their painted stems: body(stem + P camera).

    P: 1x1, C -> the stem's channels, begins at zero. Painted is where camera and raster are both available;
    an absent camera leaves the raster as it is. The camera also goes on as a sensor of its own, or nothing
    would be left with it alone. Source: Vora et al. (2020), PointPainting. Different here: features in place
    of class scores, on cells in place of points, so that the same lift table serves; adding after the stem's
    convolution is what appending to its inputs would be.
    """

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        channels = config.trunk.channels
        self.widths = [config.lidar_encoder.widths[0], config.radar_encoder.widths[0]]
        parts = ((config.lidar, config.lidar_encoder), (config.radar, config.radar_encoder))
        self.bodies = nn.ModuleList(
            RasterEncoder(raster.channels, 1, encoder, channels) for raster, encoder in parts
        )
        for body in self.bodies:
            body.stem = nn.Identity()
        self.paint = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for width in self.widths)
        for paint in self.paint:
            nn.init.zeros_(paint.weight)

    def forward(self, camera: Tensor, stems: tuple[Tensor, Tensor], coverage: Tensor) -> list[Tensor]:
        """Features of LiDAR and radar; camera: (B, C, X, Y) lifted; coverage: (B, 3, X, Y)."""
        seen = coverage[:, :1] > 0
        shown = torch.where(seen, camera, torch.zeros_like(camera))
        found = []
        for number, (stem, body, paint) in enumerate(zip(stems, self.bodies, self.paint), 1):
            there = coverage[:, number : number + 1] > 0
            both = stem[:, : self.widths[number - 1]] + paint(shown)
            found.append(body(torch.where(there, both, torch.zeros_like(both))))
        return found
