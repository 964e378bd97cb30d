"""A look at frames that are not trained on: loss and a cheap precision, for curves and not for reports.

No checkpoint is chosen by it: `last.ckpt` is the run's result. What is chosen at all (settings, length) is
chosen on folds of the training recordings by run, never on the split that is reported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mm_fusion.network.model import final_score
from mm_fusion.training.averaging import RunningMean
from mm_fusion.training.batches import Collation
from mm_fusion.training.datasets import SampleDataset
from mm_fusion.training.evidence import learnable, sensor_evidence
from mm_fusion.training.losses import total
from mm_fusion.training.module import Batch, DetectorModule

REACH = 2.0
"""A candidate within this of an object's centre finds it, m: the middle one of nuScenes's distances."""
LINES = "validation.jsonl"
Found = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]
"""Scores (N,), classes (N,) and centres (N, 2) of one frame."""


class Validation(lightning.Callback):
    """Every `every` steps: the running mean of the weights on up to `most` frames, without anything missing.

    Written to TensorBoard and, a line each, to `validation.jsonl` of the run.
    """

    def __init__(
        self, frames: SampleDataset, mean: RunningMean, every: int, most: int, batch: int, out: Path
    ) -> None:
        self._frames, self._mean, self._every, self._out = frames, mean, every, out
        self._numbers = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int))
        self._batch = batch

    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        """Look, where it is time to."""
        if trainer.global_step % self._every or not trainer.is_global_zero:
            return
        figures = self.figures(module)
        trainer.logger.log_metrics(
            {f"val/{name}": value for name, value in figures.items()}, trainer.global_step
        )
        line = {"step": trainer.global_step, **{name: round(value, 4) for name, value in figures.items()}}
        with open(self._out / LINES, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @torch.no_grad()
    def figures(self, module: DetectorModule) -> dict[str, float]:
        """`loss`, `map` in percent and `ap_<class>` of classes that occur."""
        kept = {name: value.clone() for name, value in module.model.state_dict().items()}
        module.model.load_state_dict(self._mean.mean or kept)
        module.eval()
        try:
            return self._looked(module)
        finally:
            module.model.load_state_dict(kept)
            module.train()

    def _looked(self, module: DetectorModule) -> dict[str, float]:
        collate, losses = Collation(module.config), []
        found: list[Found] = []
        truth: list[Found] = []
        for first in range(0, len(self._numbers), self._batch):
            samples = [self._frames[int(n)] for n in self._numbers[first : first + self._batch]]
            batch = module.transfer_batch_to_device(collate(samples), module.device, 0)
            inputs = module.chosen(batch["inputs"])
            evidence = sensor_evidence(inputs, module.config)
            targets = learnable(batch["targets"], evidence, radius=2)
            losses.append(float(total(module.losses(inputs, targets, evidence))))
            found += candidates_of(module, inputs, batch)
            truth += objects_of(targets)
        names = module.config.classes
        precisions = {name: precision(found, truth, row) for row, name in enumerate(names)}
        known = {f"ap_{name}": value for name, value in precisions.items() if np.isfinite(value)}
        mean = float(np.mean(list(known.values()))) if known else 0.0
        return {"loss": float(np.mean(losses)), "map": mean, **known}


def candidates_of(module: DetectorModule, inputs: dict[str, Tensor], batch: Batch) -> list[Found]:
    """What is found in each frame, where it is labelled."""
    network, given = module.model.fusion, module.model.encode(inputs)
    features = network.sensor_features(given)
    maps = network.maps(features, given["coverage"])
    told = network.candidates(maps, features, given)
    region = batch["targets"]["region"].flatten(1).gather(1, told["cell"]) > 0
    rows = zip(final_score(told), told["class_index"], told["box"][..., :2], region)
    return [(_numbers(s[k]), _numbers(c[k]).astype(np.int64), _numbers(xy[k])) for s, c, xy, k in rows]


def objects_of(targets: dict[str, Tensor]) -> list[Found]:
    """The objects of each frame that can be known, with a score of one."""
    rows = zip(targets["valid"] > 0, targets["class_index"], targets["box"][..., :2])
    return [(np.ones(int(k.sum())), _numbers(c[k]).astype(np.int64), _numbers(xy[k])) for k, c, xy in rows]


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().float().cpu().numpy().astype(np.float64)


def precision(found: Sequence[Found], truth: Sequence[Found], class_index: int) -> float:
    """Average precision of a class in percent, at 2 m; NaN where it does not occur.

    The area below the curve of the best precision at each recall, with no part of it cut off.
    """
    objects = sum(int((classes == class_index).sum()) for _, classes, _ in truth)
    if not objects:
        return float("nan")
    rows = [_hits(one, other, class_index) for one, other in zip(found, truth)]
    score, hit = (np.concatenate(columns) for columns in zip(*rows))
    hits = np.cumsum(hit[np.argsort(-score, kind="stable")])
    share = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(share[::-1])[::-1]
    recall = np.concatenate([[0], hits / objects])
    return float(100 * (np.diff(recall) * best).sum())


def _hits(found: Found, truth: Found, class_index: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of a frame's candidates of a class, and whether each takes an object, best score first."""
    mine, theirs = found[1] == class_index, truth[2][truth[1] == class_index]
    order = np.argsort(-found[0][mine], kind="stable")
    score, place = found[0][mine][order], found[2][mine][order]
    hit, free = np.zeros(len(score), bool), np.ones(len(theirs), bool)
    for row, xy in enumerate(place):
        gaps = np.where(free, np.hypot(*(theirs - xy).T), np.inf)
        if len(gaps) and gaps.min() < REACH:
            hit[row] = True
            free[np.argmin(gaps)] = False
    return score, hit
