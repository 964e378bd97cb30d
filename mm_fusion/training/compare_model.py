"""What is trained on cached features: norms, an operator, neck and head, and what a row needs beside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mm_fusion.network.blocks import ResidualBlock
from mm_fusion.network.decode import pick
from mm_fusion.network.encoders import RasterEncoder
from mm_fusion.network.head import AuxiliaryHead
from mm_fusion.network.model import (
    FUSION_OUTPUTS,
    SENSORS,
    FusionModel,
    FusionNetwork,
    final_score,
    select_covered,
)
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.losses import focal, object_losses
from mm_fusion.training.operator_loss import operator_loss
from mm_fusion.training.refinement import refinement_losses


class ComparedNetwork(nn.Module):
    """A fusion network without its lift and second stage, fed with cached features.

    The second stage is left out: it is the same for all, and asks for the pixels. adapters: a residual block
    per sensor before the norms, trained with a head of its own, for what changes the gradients of sensors.
    """

    def __init__(self, config: LearnedConfig, encoders: FusionModel, adapters: bool = False) -> None:
        super().__init__()
        plain = {**config.model_dump(), "refine": {**config.refine.model_dump(), "enabled": False}}
        self.config = LearnedConfig.model_validate(plain)
        self.network = FusionNetwork(self.config)
        # the lift's features are cached; as a part it would only be weighed and counted
        self.network.lift = nn.Identity()  # type: ignore[assignment]
        if self.network.painting is not None:
            for body, encoder in zip(self.network.painting.bodies, (encoders.lidar, encoders.radar)):
                _take_body(body, encoder)
        channels = config.trunk.channels
        self.adapters = nn.ModuleList(ResidualBlock(channels) for _ in SENSORS) if adapters else None
        self.own = nn.ModuleList(AuxiliaryHead(config) for _ in SENSORS) if adapters else None
        for part in self.modules():
            if isinstance(part, nn.Conv2d):  # a tenth faster on a CPU
                part.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> ComparedNetwork:
        """Frozen bodies of early joining stay in evaluation."""
        super().train(mode)
        if self.network.painting is not None:
            self.network.painting.bodies.eval()
        return self

    def sensor_features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features (S, B, C, X, Y) as fusion takes them."""
        parts = list(inputs["features"])
        if self.network.painting is not None:
            stems = (inputs["stems"][0], inputs["stems"][1])
            parts[1:] = self.network.painting(parts[0], stems, inputs["coverage"])
        if self.adapters is not None:
            parts = [adapter(part) for adapter, part in zip(self.adapters, parts)]
        return torch.stack([norm(part) for norm, part in zip(self.network.norms, parts)])

    def losses(self, inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Parts of the loss by name, without those of encoders, second stage and contribution."""
        network, coverage = self.network, inputs["coverage"]
        features = self.sensor_features(inputs)
        maps = network.maps(features, coverage)
        objects = targets["valid"].sum()
        region = targets["region"].unsqueeze(1)
        losses = {"heatmap": focal(maps["heatmap"], targets["heatmap"], region, objects)}
        losses["operator"] = operator_loss(network.fusion, maps, targets)
        losses |= object_losses(maps, targets, network.decoder)
        losses |= refinement_losses(network, maps, features, {"coverage": coverage}, targets)
        if self.own is not None:
            self.seen = self.heatmaps(features, coverage)
            own = [focal(each, targets["heatmap"], region, objects) for each in self.seen]
            losses["auxiliary"] = torch.stack(own).mean()
        return losses

    def heatmaps(self, features: Tensor, coverage: Tensor) -> list[Tensor]:
        """Each sensor's own heatmap."""
        own = self.own or []
        return [
            head(select_covered(part, coverage[:, i : i + 1]))
            for i, (head, part) in enumerate(zip(own, features))
        ]

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The top K by the names of `FUSION_OUTPUTS`."""
        maps = self.network.maps(self.sensor_features(inputs), inputs["coverage"])
        found = self.network.decoder(maps)
        published = {**found, "score": final_score(found), "weights": pick(maps["weights"], found["cell"])}
        return {name: published[name] for name in FUSION_OUTPUTS}


def _take_body(body: nn.Module, encoder: nn.Module) -> None:
    """The weights of a trained encoder after its stem, frozen."""
    if isinstance(encoder, RasterEncoder):
        state = {k: v for k, v in encoder.state_dict().items() if not k.startswith("stem.")}
        body.load_state_dict(state)
    body.requires_grad_(False)
