"""The whole model: three encoders and what joins them, as four graphs that run apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mm_fusion.network.bearing import CellPlace
from mm_fusion.network.decode import Decoder, pick
from mm_fusion.network.encoders import CameraEncoder, RasterEncoder
from mm_fusion.network.fusion.choice import make_fusion
from mm_fusion.network.head import AuxiliaryHead, Head
from mm_fusion.network.lift import CameraLift
from mm_fusion.network.neck import Neck
from mm_fusion.network.painting import Painting, RasterStem
from mm_fusion.network.refine import Refinement
from mm_fusion.network_config import LearnedConfig

SENSORS = ("camera", "lidar", "radar")
"""Order of sensors in features, coverage and contribution."""
FUSION_INPUTS = (
    "camera_rows", "camera_full_rows", "camera_depth", "lidar_features", "radar_features", "lift_index",
    "lift_bin", "lift_weight", "camera_age", "coverage",
)  # fmt: skip
"""Names of the fusion graph's inputs, in order; rows are those of all cameras, zeros where one is absent."""
FUSION_OUTPUTS = (
    "score", "class_index", "cell", "box", "velocity", "variance", "moving", "contribution", "weights",
)  # fmt: skip
"""Names of its outputs, in order: (1, K, ...) each, `weights` (1, K, 3) those of fusion at the candidate."""
IOU_POWER = 0.3
"""Share of the predicted overlap in the logarithm of the score."""


class ChannelNorm(nn.Module):
    """Features of each cell brought to mean 0 and spread 1 over their channels: no sensor sees another's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised features of the same shape."""
        centred = x - x.mean(1, keepdim=True)
        narrow = 1.0 / (centred.square().mean(1, keepdim=True) + 1e-3).sqrt()
        return centred * narrow * self.scale + self.shift


class FusionNetwork(nn.Module):
    """The fourth graph: rows, raster features, lift table and coverage in; the top K boxes out."""

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        self.lift = CameraLift(config)
        self.norms = nn.ModuleList(ChannelNorm(config.trunk.channels) for _ in SENSORS)
        self.fusion = make_fusion(config.fusion, len(SENSORS), config.trunk.channels)
        self.neck = Neck(config.trunk)
        self.head = Head(config)
        self.decoder = Decoder(config)
        self.place = CellPlace(config, self.decoder.centres) if config.bearing else None
        self.refinement = Refinement(config) if config.refine.enabled else None
        self.painting = Painting(config) if config.joining == "early" else None

    def sensor_features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features (S, B, C, X, Y) of each sensor on the grid; absent ones are finite, but mean nothing."""
        table = (inputs["lift_index"], inputs["lift_bin"], inputs["lift_weight"])
        camera = self.lift(inputs["camera_rows"], inputs["camera_depth"], *table, inputs["camera_age"])
        parts = [camera, inputs["lidar_features"], inputs["radar_features"]]
        if self.painting is not None:
            parts[1:] = self.painting(camera, (parts[1], parts[2]), inputs["coverage"])
        return torch.stack([norm(part) for norm, part in zip(self.norms, parts)])

    def maps(self, features: Tensor, coverage: Tensor) -> dict[str, Tensor]:
        """The head's maps by name, with `fused` and the operator's `weights` (B, S, X, Y).

        features: (S, B, C, X, Y); coverage: (B, S, X, Y) 0..1, above zero is available.
        """
        available = coverage.transpose(0, 1).unsqueeze(2)
        fused, weights = self.fusion(features, available)
        if self.place is not None:
            fused = fused + self.place(available)
        seen = self.neck(fused)
        return {**self.head(seen), "fused": seen, "weights": weights.squeeze(2).transpose(0, 1)}

    def candidates(
        self, maps: dict[str, Tensor], features: Tensor, inputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The top K by name, refined where the model has a second stage."""
        found = self.decoder(maps)
        if self.refinement is None:
            return found
        coverage = inputs["coverage"]
        rasters = [select_covered(features[i], coverage[:, i : i + 1]) for i in (1, 2)]
        table = (inputs["lift_index"], inputs["lift_bin"], inputs["lift_weight"])
        seen = torch.cat([maps["fused"], *rasters], 1)
        rows, depth = inputs["camera_full_rows"], inputs["camera_depth"]
        return self.refinement(found, seen, coverage, rows, depth, table)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Everything that is published of the top K, by the names of `FUSION_OUTPUTS`."""
        features = self.sensor_features(inputs)
        maps = self.maps(features, inputs["coverage"])
        found = self.candidates(maps, features, inputs)
        published = {**found, "score": final_score(found)}
        published["weights"] = pick(maps["weights"], found["cell"])
        return {name: published[name] for name in FUSION_OUTPUTS}


def select_covered(features: Tensor, coverage: Tensor) -> Tensor:
    """Features (B, C, X, Y) where coverage (B, 1, X, Y) is above zero, else 0."""
    return features.masked_fill(~(coverage > 0), 0.0)


def final_score(candidates: dict[str, Tensor]) -> Tensor:
    """Score (B, K): the heatmap's, turned by the second stage and by the predicted overlap.

    What is no peak has a score of zero and keeps it.
    """
    heat = candidates["score"].clamp(1e-6, 1 - 1e-6)
    logit = torch.log(heat) - torch.log(1 - heat)
    if "refined" in candidates:
        logit = logit + candidates["refined"]
    overlap = torch.exp(IOU_POWER * torch.log(candidates["iou"].clamp(min=1e-3)))
    score = torch.sigmoid(logit) * overlap
    return torch.where(candidates["score"] > 0, score, torch.zeros_like(score))


class FusionModel(nn.Module):
    """All four graphs in one module, for training and as reference of the exported files.

    Batches are dictionaries of `inputs.arrays.NetworkInputs` put together along the first axis: images (B, N,
    3, h, w), everything else (B, ...).
    """

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.trunk.channels
        self.camera = CameraEncoder(config.camera)
        self.lidar = RasterEncoder(config.lidar.channels, config.lidar.scale, config.lidar_encoder, channels)
        self.radar = RasterEncoder(config.radar.channels, config.radar.scale, config.radar_encoder, channels)
        self.fusion = FusionNetwork(config)
        if config.joining == "early":
            self.lidar = RasterStem(self.lidar, config.lidar_encoder.widths[0], channels)
            self.radar = RasterStem(self.radar, config.radar_encoder.widths[0], channels)
        self.auxiliary = nn.ModuleDict({name: AuxiliaryHead(config) for name in SENSORS})

    def encode(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fusion graph's inputs by name.

        Each encoder sees only the samples, and the camera's only the slots, that have its sensor: the others
        cost nothing and leave no trace in its batch norm.
        """
        seen = batch["coverage"].flatten(2).amax(2) > 0  # (B, S)
        given = {name: batch[name] for name in FUSION_INPUTS if name in batch}
        features = {
            f"{name}_features": self._encode_raster(name, batch[name], seen[:, SENSORS.index(name)])
            for name in ("lidar", "radar")
        }
        return {**given, **features, **self._encode_cameras(batch, seen[:, 0])}

    def _encode_raster(self, name: str, raster: Tensor, seen: Tensor) -> Tensor:
        shape = (len(raster), self.config.trunk.channels, *self.config.grid.shape)
        return _spread(self.lidar if name == "lidar" else self.radar, raster, seen, [shape])[0]

    def _encode_cameras(self, batch: dict[str, Tensor], seen: Tensor) -> dict[str, Tensor]:
        images, camera = batch["images"], self.config.camera
        frames, slots = images.shape[:2]
        used = ((batch["camera_present"] > 0) & seen.unsqueeze(1)).flatten()
        widths = (camera.rows_channels, camera.full_rows_channels, camera.depth_bins)
        shapes = [(frames * slots, camera.rows_per_camera, width) for width in widths]
        parts = _spread(self.camera, images.flatten(0, 1), used, shapes)
        names = ("camera_rows", "camera_full_rows", "camera_depth")
        return {
            name: part.reshape(frames, slots * part.shape[1], part.shape[2])
            for name, part in zip(names, parts)
        }

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the fusion graph gives for a batch."""
        return self.fusion(self.encode(batch))


def _spread(
    encoder: nn.Module, items: Tensor, used: Tensor, shapes: Sequence[tuple[int, ...]]
) -> list[Tensor]:
    """Outputs of `encoder` for the items that are used, zeros of `shapes` for the others."""
    reference = next(encoder.parameters())
    if not bool(used.any()):
        return [reference.new_zeros(shape) for shape in shapes]
    found = encoder(items[used])
    outputs = found if isinstance(found, tuple) else (found,)
    if bool(used.all()):
        return list(outputs)
    where = used.nonzero().squeeze(1)
    return [part.new_zeros(shape).index_copy(0, where, part) for shape, part in zip(shapes, outputs)]
