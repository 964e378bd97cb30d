"""The training loop's step: what goes missing, the loss, the optimiser and the running mean of weights."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from torch import Tensor

from mm_fusion.errors import FusionError
from mm_fusion.network.decode import pick
from mm_fusion.network.model import SENSORS, FusionModel, select_covered
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.availability import AvailabilityDropout
from mm_fusion.training.contribution import shapley
from mm_fusion.training.evidence import learnable, sensor_evidence
from mm_fusion.training.losses import depth_loss, focal, mean_over, object_losses, total
from mm_fusion.training.operator_loss import operator_loss
from mm_fusion.training.refinement import refinement_losses
from mm_fusion.training.settings import TrainingConfig

Batch = dict[str, dict[str, Tensor]]


class DetectorModule(lightning.LightningModule):
    """Trains a `FusionModel`; batches come from `batches.collate`."""

    def __init__(self, config: LearnedConfig, settings: TrainingConfig) -> None:
        super().__init__()
        self.config, self.settings = config, settings
        self.model = FusionModel(config)
        for part in self.model.modules():
            if isinstance(part, torch.nn.Conv2d):  # a tenth faster on a CPU
                part.to(memory_format=torch.channels_last)
        for name in settings.frozen:
            getattr(self.model, name).requires_grad_(False)
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._dropout = AvailabilityDropout(config, self._generator, **settings.dropout.model_dump())

    def on_train_start(self) -> None:
        """Let each of several processes lose other sensors than the rest."""
        if self.trainer.world_size > 1:
            place = self.global_step * self.trainer.world_size + self.trainer.global_rank
            self._generator.manual_seed(self.settings.seed + 1_000_003 * place)

    def on_train_batch_start(self, batch: Batch, number: int) -> None:
        """Keep frozen graphs as they are, their batch norm's running numbers too."""
        for name in self.settings.frozen:
            getattr(self.model, name).eval()

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """The weighted loss of one batch; raises `FusionError` where it is not finite."""
        with torch.no_grad():
            inputs = self._dropout(self.chosen(batch["inputs"]))
            evidence = sensor_evidence(inputs, self.config)
            targets = learnable(batch["targets"], evidence, radius=2)
        losses = self.losses(inputs, targets, evidence)
        loss = total(losses)
        if not math.isfinite(float(loss.detach())):
            named = ", ".join(f"{name} {float(value):g}" for name, value in losses.items())
            raise FusionError(
                f"expected a finite loss, got {float(loss):g} at step {self.global_step} ({named}); the last "
                "good checkpoint is kept: lower --rate, or look for bad data there"
            )
        self.log_dict({f"loss/{name}": value.detach() for name, value in losses.items()})
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def chosen(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inputs with the sensors that this run does not train taken away."""
        keep = torch.tensor([float(name in self.settings.sensors) for name in SENSORS])
        keep = keep.to(inputs["coverage"])
        available, coverage = inputs["available"] * keep, inputs["coverage"] * keep.view(1, -1, 1, 1)
        return {**inputs, "available": available, "coverage": coverage}

    def losses(
        self, inputs: dict[str, Tensor], targets: dict[str, Tensor], evidence: Tensor
    ) -> dict[str, Tensor]:
        """Every part of the loss by name; targets and evidence as what is left in the inputs allows."""
        network, given = self.model.fusion, self.model.encode(inputs)
        features = network.sensor_features(given)
        maps = network.maps(features, given["coverage"])
        region = targets["region"].unsqueeze(1)
        objects = targets["valid"].sum()
        decoder = network.decoder
        losses = {"heatmap": focal(maps["heatmap"], targets["heatmap"], region, objects)}
        losses["operator"] = operator_loss(network.fusion, maps, targets)
        losses |= object_losses(maps, targets, decoder)
        losses |= refinement_losses(network, maps, features, given, targets)
        losses["auxiliary"] = self._auxiliary(features, given["coverage"], evidence, targets)
        if bool((inputs["lift_weight"] > 0).any()):
            losses["depth"] = depth_loss(given["camera_depth"], self._depth_bins(inputs, targets))
        if self.global_step % self.settings.contribution_every == 0:
            values = self._shapley(features.detach(), given["coverage"], targets)
            told = pick(maps["contribution"], targets["cell"])
            losses["contribution"] = mean_over((told - values).abs().sum(-1), targets["valid"])
        return losses

    @staticmethod
    def _depth_bins(inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Bins (B, R) to learn: only of frames and slots whose camera is left."""
        left = (inputs["coverage"][:, 0] > 0).flatten(1).any(1, keepdim=True) & (inputs["camera_present"] > 0)
        bins = targets["depth_bins"].flatten(2)
        return torch.where(left.unsqueeze(-1), bins, -torch.ones_like(bins)).flatten(1)

    def _auxiliary(
        self, features: Tensor, coverage: Tensor, evidence: Tensor, targets: dict[str, Tensor]
    ) -> Tensor:
        """Each sensor's own heatmap against the truth, where that sensor sees."""
        parts = []
        for number, name in enumerate(SENSORS):
            seen = coverage[:, number : number + 1]
            logits = self.model.auxiliary[name](select_covered(features[number], seen))
            alone = learnable(targets, evidence[:, number : number + 1], radius=2)
            weight = (alone["region"].unsqueeze(1)) * (seen > 0)
            parts.append(focal(logits, targets["heatmap"], weight, alone["valid"].sum()))
        return torch.stack(parts).mean()

    @torch.no_grad()
    def _shapley(self, features: Tensor, coverage: Tensor, targets: dict[str, Tensor]) -> Tensor:
        network = self.model.fusion
        training = network.training
        # subsets must neither see nor change the batch norm's running numbers
        network.eval()

        def score(mask: Tensor) -> Tensor:
            maps = network.maps(features, coverage * mask.to(coverage).view(1, -1, 1, 1))
            heat = torch.sigmoid(pick(maps["heatmap"], targets["cell"]))
            return heat.gather(2, targets["class_index"].unsqueeze(-1)).squeeze(-1)

        values = shapley(score)
        network.train(training)
        return values

    def configure_optimizers(self) -> Any:
        """AdamW, warmed up and brought down by a cosine over the steps of the run."""
        decayed = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.settings.weight_decay}, {"params": others}]
        optimizer = torch.optim.AdamW(groups, lr=self.settings.rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate_at)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate_at(self, step: int) -> float:
        """Factor 0..1 of the learning rate at a step."""
        warm = min(1.0, (step + 1) / max(1, self.settings.warm_up))
        done = min(1.0, step / max(1, self.settings.steps))
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Beside the weights: the config they belong to, and where the draws stand."""
        checkpoint["config"] = self.config.model_dump(mode="json")
        checkpoint["config_hash"] = self.config.hash()
        checkpoint["settings"] = self.settings.model_dump(mode="json")
        checkpoint["draws"] = self._generator.get_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the draws; raises `FusionError` where the weights are of another config."""
        if checkpoint["config_hash"] != self.config.hash():
            raise FusionError(
                f"expected a checkpoint of config {self.config.hash()}, got {checkpoint['config_hash']}; "
                "train with its config, or start a new run in another folder"
            )
        self._generator.set_state(checkpoint["draws"].cpu())
