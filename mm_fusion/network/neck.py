"""What follows fusion: context at half and quarter grid, brought back to the full one."""

from __future__ import annotations

from torch import Tensor, nn

from mm_fusion.network.blocks import ConvBlock, ResidualBlock, Upsample
from mm_fusion.network_config import TrunkConfig


class Neck(nn.Module):
    """Features (B, C, X, Y) with context, from fused features of the same shape."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        widths = [config.channels, *config.widths]
        self.down = nn.ModuleList(
            nn.Sequential(ConvBlock(a, b, 2), *(ResidualBlock(b) for _ in range(blocks)))
            for a, b, blocks in zip(widths, widths[1:], config.blocks)
        )
        self.up = nn.ModuleList(Upsample(b, a) for a, b in zip(widths, widths[1:]))

    def forward(self, fused: Tensor) -> Tensor:
        """Features of the same shape: each level adds what it saw to the finer one."""
        levels = [fused]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up, level in zip(reversed(self.up), reversed(levels)):
            x = level + up(x)
        return x
