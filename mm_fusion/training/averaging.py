"""The running mean of a model's weights, which is what is evaluated and exported."""

from __future__ import annotations

from typing import Any

import lightning
import torch


class RunningMean(lightning.Callback):
    """Keeps `share` of the mean at each step; the mean goes into checkpoints as `ema`.

    In its first steps it follows faster, so that the start is soon forgotten.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.steps = 0
        self.mean: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        """Take the newest weights into the mean; whole numbers are copied."""
        state = module.model.state_dict()
        self.steps += 1
        keep = min(self.share, (1 + self.steps) / (10 + self.steps))
        for name, value in state.items():
            old = self.mean.get(name)
            if old is None or not value.is_floating_point():
                self.mean[name] = value.detach().clone()
            else:
                self.mean[name] = old.to(value.device).lerp_(value.detach(), 1 - keep)

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Put the mean beside the weights."""
        checkpoint["ema"] = {"steps": self.steps, "mean": self.mean}

    def on_load_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Go on from the mean of the checkpoint."""
        kept = checkpoint.get("ema", {"steps": 0, "mean": {}})
        self.steps, self.mean = kept["steps"], kept["mean"]
