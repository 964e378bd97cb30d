"""The second stage: each candidate is looked at again in every sensor, and its box and score refined."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.bearing import RANGE_UNIT_M, VELOCITY_UNIT_MPS, along_across, from_ray, rays
from mm_fusion.network.decode import LOG_SIZE, pick, unit
from mm_fusion.network.lift import gather_rows, tap_weights
from mm_fusion.network_config import LearnedConfig


class Refinement(nn.Module):
    """Corrections of candidates from fused and raster features inside the box and fuller camera rows.

    The last layer starts at zero: an untrained second stage leaves the first as it is.
    """

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        self.grid = config.grid
        self.use_depth, self.bearing = config.depth, config.bearing
        edge = (
            torch.linspace(-0.45, 0.45, config.refine.points) if config.refine.points > 1 else torch.zeros(1)
        )
        places = torch.stack(torch.meshgrid(edge, edge, indexing="ij"), -1).reshape(-1, 2)
        self.register_buffer("places", places, persistent=False)
        width = config.refine.channels
        camera = len(config.camera.heights) * config.camera.full_rows_channels
        moves, said = (5, 11) if config.bearing else (0, 9)
        inputs = len(places) * 3 * config.trunk.channels + camera + 3 + moves
        self.look = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(inplace=True))
        self.say = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, said))
        nn.init.zeros_(self.say[-1].weight)
        nn.init.zeros_(self.say[-1].bias)

    def forward(
        self,
        candidates: dict[str, Tensor],
        maps: Tensor,
        coverage: Tensor,
        full_rows: Tensor,
        depth: Tensor,
        table: tuple[Tensor, Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """The candidates with `box` refined and `refined` (B, K), the logit added to their score.

        With `bearing` their `velocity` is refined too.

        maps: (B, 3 C, X, Y) fused, LiDAR and radar features, absent ones zero; coverage: (B, 3, X, Y).
        """
        box = candidates["box"]
        inside = self._inside(maps, box)
        camera = self._camera(candidates["cell"], full_rows, depth, table)
        present = pick(coverage, candidates["cell"]) > 0
        camera = torch.where(present[..., :1], camera, torch.zeros_like(camera))
        seen = [inside, camera, present.to(inside.dtype)]
        if self.bearing:
            seen.append(motion_seen(box, candidates["velocity"]).to(inside.dtype))
        delta = self.say(self.look(torch.cat(seen, -1))).float()
        refined = {"box": refined_box(box, delta), "refined": delta[..., 8], "delta": delta}
        if self.bearing:
            turned = from_ray(VELOCITY_UNIT_MPS * delta[..., 9:].clamp(-4.0, 4.0), rays(box[..., :2]))
            refined["velocity"] = candidates["velocity"] + turned
        return {**candidates, **refined}

    def _inside(self, maps: Tensor, box: Tensor) -> Tensor:
        """Features (B, K, P 3C) of the cells under P places inside each box."""
        cells = self._cells(box)  # (B, K, P)
        seen = pick(maps, cells.flatten(1))
        return seen.reshape(*box.shape[:2], -1)

    def _cells(self, box: Tensor) -> Tensor:
        sine, cosine = box[..., 6:7], box[..., 7:8]
        along, across = box[..., 3:4] * self.places[:, 0], box[..., 4:5] * self.places[:, 1]
        nx, ny = self.grid.shape
        x = (box[..., 0:1] + cosine * along - sine * across - self.grid.x_min) / self.grid.cell
        y = (box[..., 1:2] + sine * along + cosine * across - self.grid.y_min) / self.grid.cell
        return _cell(x, nx) * ny + _cell(y, ny)

    def _camera(
        self, cell: Tensor, full_rows: Tensor, depth: Tensor, table: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """Fuller rows (B, K, Z C) seen at each height of the candidate's cell; zero where no camera looks."""
        batch, count = cell.shape
        index, bins, weight = (gather_rows(t.flatten(1, 2).flatten(2), cell) for t in table)  # (B, K, Z S)
        slots = table[0].shape[-1]
        scale = tap_weights(depth if self.use_depth else None, bins, weight).unsqueeze(-1)
        taps = gather_rows(full_rows, index) * scale.to(full_rows.dtype)
        taps = torch.where(weight.unsqueeze(-1) > 0, taps, torch.zeros_like(taps))
        return taps.reshape(batch, count, -1, slots, taps.shape[-1]).sum(3).flatten(2)


def _cell(place: Tensor, count: int) -> Tensor:
    """Whole cells int64 within 0..count - 1; NaN, which no clamp holds, is cell 0."""
    held = place.detach().floor().clamp(max=count - 1)
    return torch.where(held > 0, held, torch.zeros_like(held)).long()


def motion_seen(box: Tensor, velocity: Tensor) -> Tensor:
    """What turns a speed along the ray into a velocity (..., 5): heading against the ray, velocity, range.

    box: (..., 8); velocity: (..., 2) m/s; the result is without unit.
    """
    ray = rays(box[..., :2])
    heading = along_across(box[..., 6:8].flip(-1), ray)
    moved = along_across(velocity, ray) / VELOCITY_UNIT_MPS
    return torch.cat([heading, moved, box[..., :2].norm(dim=-1, keepdim=True) / RANGE_UNIT_M], -1)


def refined_box(box: Tensor, delta: Tensor) -> Tensor:
    """Boxes (..., 8) moved by delta's x y z in m, stretched by its log of l w h, turned by its angle."""
    centre = box[..., :3] + delta[..., :3].clamp(-4.0, 4.0)
    low, high = LOG_SIZE
    size = (box[..., 3:6].log() + delta[..., 3:6].clamp(-0.7, 0.7)).clamp(low, high).exp()
    sine, cosine, turn = box[..., 6:7], box[..., 7:8], delta[..., 6:7]
    # a turn by a small angle, kept on the circle: no sine of a learned number is needed in the graph
    return torch.cat([centre, size, unit(torch.cat([sine + turn * cosine, cosine - turn * sine], -1))], -1)
