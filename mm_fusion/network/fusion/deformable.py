"""Each sensor's map is looked up where it fits the others, before all are joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.fusion.contract import FusionOperator, presence, where_any
from mm_fusion.network.fusion.masking import each, normalised, pointwise, selected, sizes

REACH = 4.0
"""Farthest look, in cells."""


class DeformableFusion(FusionOperator):
    """fused = sum_s V_s x_s(c + d_s(c)), with d_s (2, X, Y) in cells told by a network over all sensors.

    x_s: (B, C, X, Y); c: the cell; x_s(.): bilinear over the four cells around, absent ones left out; d is
    within 4 cells. Source: Dai et al. (2017), Deformable Convolutional Networks; learned alignment of maps as
    in Huang et al. (2021), FaPN. Different here: one point per sensor, and neither GridSample nor DeformConv:
    indices and weights are computed and rows gathered, which every backend reads the same way. A sensor
    absent in a cell says nothing there, wherever it would look. Weights: the normalised mean size of V_s x_s.
    """

    def __init__(self, sensors: int, channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.look = nn.Conv2d(sensors * (channels + 1), hidden, 3, padding=1)
        self.say = nn.Conv2d(hidden, 2 * sensors, 3, padding=1)
        nn.init.zeros_(self.say.weight)
        nn.init.zeros_(self.say.bias)
        self.values = pointwise(sensors, channels, channels)

    def forward(self, features: Tensor, available: Tensor) -> tuple[Tensor, Tensor]:
        """Fused (B, C, X, Y) and weights (S, B, 1, X, Y) of features (S, B, C, X, Y)."""
        chosen, mask = selected(features, available), presence(available, features)
        offsets = self.offsets(chosen, mask)
        aligned = torch.stack([sampled(*each_) for each_ in zip(chosen, mask, offsets)])
        parts = selected(each(self.values, aligned), available)
        return where_any(parts.sum(0), available), normalised(sizes(parts), available)

    def offsets(self, chosen: Tensor, mask: Tensor) -> Tensor:
        """Where each sensor is looked up: (S, B, 2, X, Y) float32 cells along x and y from the cell."""
        seen = torch.cat([torch.cat([part, there], 1) for part, there in zip(chosen, mask)], 1)
        said = self.say(torch.relu(self.look(seen))).float()
        # 2 sigmoid(2 d) - 1 is tanh(d): near zero an offset of d / REACH is said as it is
        bounded = REACH * (2 * torch.sigmoid(2 * said / REACH) - 1)
        return bounded.unflatten(1, (len(chosen), 2)).transpose(0, 1)


def sampled(maps: Tensor, mask: Tensor, offset: Tensor) -> Tensor:
    """Maps (B, C, X, Y) at places off by `offset` (B, 2, X, Y) cells: the mean of the present cells around.

    mask: (B, 1, X, Y), 0 where there is nothing to see; beyond the grid there is nothing either.
    """
    nx, ny = maps.shape[-2:]
    rows = torch.cat([maps, mask], 1).flatten(2).transpose(1, 2)  # (B, X Y, C + 1)
    x = torch.arange(nx, dtype=torch.float32, device=maps.device).view(1, -1, 1) + offset[:, 0]
    y = torch.arange(ny, dtype=torch.float32, device=maps.device).view(1, 1, -1) + offset[:, 1]
    low_x, low_y = x.detach().floor(), y.detach().floor()
    found = torch.zeros_like(rows)
    for step_x in (0, 1):
        for step_y in (0, 1):
            at_x, at_y = low_x + step_x, low_y + step_y
            weight = (1 - (x - at_x).abs()) * (1 - (y - at_y).abs())
            weight = torch.where(_inside(at_x, nx) & _inside(at_y, ny), weight, torch.zeros_like(weight))
            index = at_x.clamp(0, nx - 1) * ny + at_y.clamp(0, ny - 1)
            taken = _rows(rows, index.flatten(1).long())
            found = found + taken * weight.flatten(1).unsqueeze(-1).to(rows.dtype)
    seen = found.transpose(1, 2).unflatten(2, (nx, ny))
    # where under a quarter of what is looked at is present, what is there fades
    return seen[:, :-1] / seen[:, -1:].clamp(min=0.25)


def _inside(place: Tensor, count: int) -> Tensor:
    return (place >= 0) & (place <= count - 1)


def _rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (B, N, C) that `index` (B, N) names in `rows` (B, R, C)."""
    batch, count, channels = rows.shape
    if batch > 1:
        index = index + torch.arange(batch, device=index.device).view(-1, 1) * count
    return rows.reshape(-1, channels).index_select(0, index.reshape(-1)).reshape(batch, -1, channels)
