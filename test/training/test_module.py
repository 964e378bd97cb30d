"""One step of training on a known scene: the loss falls, dropout and evidence do what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mm_fusion.detections import CLASSES, make_detections
from mm_fusion.errors import FusionError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.evidence import sensor_evidence
from mm_fusion.training.losses import total
from mm_fusion.training.module import DetectorModule
from mm_fusion.training.settings import TrainingConfig
from mm_fusion.training.targets import make_targets
from test.network.scene import random_batch, small_config


def scene(config: LearnedConfig, frames: int = 2) -> dict[str, dict[str, torch.Tensor]]:
    truth = make_detections(
        2,
        center=np.array([[4.2, 0.3, 0.8], [9.0, -3.0, 0.9]]),
        size=np.array([[4.5, 1.9, 1.6], [0.7, 0.6, 1.7]]),
        yaw=np.array([0.3, -2.0]),
        velocity=np.array([[3.0, 0.0], [np.nan, np.nan]]),
        class_id=np.array([CLASSES.index("car"), CLASSES.index("pedestrian")]),
        score=np.ones(2),
    )
    targets = make_targets(truth, np.ones(config.grid.shape, bool), config)
    targets["depth_bins"] = np.full((config.camera.max_cameras, *config.camera.rows_shape), 3)
    stacked = {name: torch.from_numpy(np.stack([each] * frames)) for name, each in targets.items()}
    return {"inputs": random_batch(config, frames), "targets": stacked}


def test_the_loss_falls_and_the_objects_are_found() -> None:
    config = small_config()
    torch.manual_seed(0)
    module = DetectorModule(config, TrainingConfig())
    batch = scene(config)
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    evidence = sensor_evidence(batch["inputs"], config)
    seen = []
    for _ in range(60):
        loss = total(module.losses(batch["inputs"], batch["targets"], evidence))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss))
    assert seen[-1] < 0.4 * seen[0]
    found = module.model.train()(batch["inputs"])
    nearest = (found["box"][0, :2, :2] - torch.tensor([4.2, 0.3])).norm(dim=-1).min()
    assert nearest < 1.0


def test_every_parameter_that_serves_learns() -> None:
    config = small_config()
    module = DetectorModule(config, TrainingConfig())
    torch.nn.init.normal_(module.model.fusion.refinement.say[-1].weight, std=0.01)
    torch.nn.init.normal_(module.model.fusion.fusion.gate.weight, std=0.01)
    batch = scene(config)
    total(
        module.losses(batch["inputs"], batch["targets"], sensor_evidence(batch["inputs"], config))
    ).backward()
    idle = [name for name, p in module.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert idle == []


def test_a_loss_that_is_not_finite_stops_with_its_parts() -> None:
    config = small_config()
    module = DetectorModule(config, TrainingConfig())
    batch = scene(config)
    batch["inputs"]["lidar"].fill_(float("nan"))
    with pytest.raises(FusionError, match="finite loss"):
        module.training_step(batch, 0)


def test_a_frame_without_objects_has_a_finite_loss() -> None:
    config = small_config()
    module = DetectorModule(config, TrainingConfig())
    batch = scene(config)
    batch["targets"]["valid"].zero_()
    batch["targets"]["heatmap"].zero_()
    losses = module.losses(batch["inputs"], batch["targets"], sensor_evidence(batch["inputs"], config))
    assert all(bool(torch.isfinite(each)) for each in losses.values())


def test_a_checkpoint_of_another_config_is_refused() -> None:
    module = DetectorModule(small_config(), TrainingConfig())
    checkpoint: dict[str, object] = {}
    module.on_save_checkpoint(checkpoint)
    other = DetectorModule(small_config(top_k=11), TrainingConfig())
    with pytest.raises(FusionError, match="checkpoint of config"):
        other.on_load_checkpoint(checkpoint)
