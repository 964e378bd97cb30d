"""The two blocks that every part of the network is made of."""

from __future__ import annotations

from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """3x3 (or `size`) convolution, batch norm, ReLU; batch norm folds into the convolution at export."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, size: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs, momentum=0.05),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a short cut of the same width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels, momentum=0.05)
        )
        self.activate = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same shape."""
        return self.activate(x + self.second(self.first(x)))


class Upsample(nn.Sequential):
    """Twice the grid by nearest neighbour after a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(ConvBlock(inputs, outputs, size=1), nn.Upsample(scale_factor=2.0, mode="nearest"))
