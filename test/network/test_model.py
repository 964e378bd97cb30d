"""The whole model: sizes, absence, batches."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mm_fusion.network.model import FUSION_OUTPUTS, SENSORS, FusionModel, final_score
from mm_fusion.network_config import load_learned
from test.network.scene import random_batch, small_config

SUBSETS = [subset for n in range(4) for subset in itertools.combinations(range(3), n)]


def test_tiny_keeps_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    config = load_learned("tiny")
    model = FusionModel(config).eval()
    served = (model.camera, model.lidar, model.radar, model.fusion)
    parameters = sum(p.numel() for part in served for p in part.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(random_batch(config))
    flops = counter.get_total_flops()
    with capsys.disabled():
        print(f"\ntiny: {parameters / 1e6:.3f} M parameters, {flops / 1e9:.2f} GFLOP with six cameras")
    assert parameters <= 1.2e6
    assert flops <= 10e9


@pytest.mark.parametrize("subset", SUBSETS)
def test_any_subset_gives_finite_boxes(subset: tuple[int, ...]) -> None:
    config = small_config()
    model = FusionModel(config).eval()
    batch = random_batch(config)
    batch["coverage"] *= torch.tensor([float(i in subset) for i in range(3)]).view(1, 3, 1, 1)
    with torch.no_grad():
        found = model(batch)
    assert set(found) == set(FUSION_OUTPUTS)
    assert all(bool(torch.isfinite(each.float()).all()) for each in found.values())
    assert found["box"].shape == (1, 10, 8)


@pytest.mark.parametrize("sensor", range(3))
def test_an_absent_sensor_cannot_change_a_bit(sensor: int) -> None:
    config = small_config()
    model = FusionModel(config).eval()
    torch.nn.init.normal_(model.fusion.refinement.say[-1].weight, std=0.1)
    batch = random_batch(config)
    batch["coverage"][:, sensor] = 0
    with torch.no_grad():
        inputs = model.encode(batch)
        before = model.fusion(inputs)
        names = {0: ("camera_rows", "camera_full_rows"), 1: ("lidar_features",), 2: ("radar_features",)}
        wrong = {name: torch.full_like(inputs[name], float("nan")) for name in names[sensor]}
        after = model.fusion({**inputs, **wrong})
    assert all(torch.equal(before[name], after[name]) for name in FUSION_OUTPUTS)


def test_a_batch_gives_what_its_frames_give_alone() -> None:
    config = small_config()
    model = FusionModel(config).eval()
    batch = random_batch(config, frames=3)
    batch["coverage"][1, 0] = 0
    with torch.no_grad():
        together = model(batch)
        alone = [model({name: each[i : i + 1] for name, each in batch.items()}) for i in range(3)]
    for name in ("score", "box", "variance"):
        torch.testing.assert_close(
            together[name], torch.cat([each[name] for each in alone]), atol=1e-4, rtol=1e-4
        )


def test_absent_samples_leave_no_trace_in_batch_norm() -> None:
    config = small_config()
    batch = random_batch(config, frames=2)
    batch["coverage"][1, 1] = 0
    torch.manual_seed(1)
    model = FusionModel(config).train()
    state = {name: each.clone() for name, each in model.state_dict().items()}
    model.encode(batch)
    with_absent = model.lidar.stem[0][1].running_mean.clone()
    model.load_state_dict(state)
    model.encode({name: each[:1] for name, each in batch.items()})
    assert torch.equal(with_absent, model.lidar.stem[0][1].running_mean)


def test_what_is_no_peak_keeps_a_score_of_zero() -> None:
    score = final_score(
        {"score": torch.tensor([[0.0, 0.5]]), "iou": torch.ones(1, 2), "refined": torch.ones(1, 2) * 9}
    )
    assert score[0, 0] == 0
    assert score[0, 1] > 0.99


def test_sensors_stand_in_the_published_order() -> None:
    assert SENSORS == ("camera", "lidar", "radar")
