"""Where sensors meet: cameras in any slot, features painted early, and what stays the same by default."""

from __future__ import annotations

import pytest
import torch

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.fusion.choice import OPERATORS
from mm_fusion.network.model import FUSION_OUTPUTS, FusionModel
from mm_fusion.network_config import LearnedConfig, load_learned, with_fusion
from mm_fusion.runtime.model_files import SHIPPED
from test.network.scene import random_batch, small_config


def model_of(**changes: object) -> FusionModel:
    torch.manual_seed(0)
    model = FusionModel(small_config(**changes)).eval()
    for parameter in model.fusion.fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    if model.fusion.painting is not None:
        for paint in model.fusion.painting.paint:
            torch.nn.init.normal_(paint.weight, std=0.2)
    return model


def swapped_cameras(batch: dict[str, torch.Tensor], config: LearnedConfig) -> dict[str, torch.Tensor]:
    """The same scene with both cameras in each other's slot."""
    rows, bins = config.camera.rows_per_camera, config.camera.depth_bins
    index = batch["lift_index"]
    other = torch.where(index < rows, index + rows, index - rows)
    lift_bin = batch["lift_bin"] + (other - index) * bins
    seen = batch["lift_weight"] > 0
    return {
        **batch,
        "images": batch["images"].flip(1),
        "lift_index": torch.where(seen, other, index),
        "lift_bin": torch.where(seen, lift_bin, batch["lift_bin"]),
    }


@pytest.mark.parametrize("name", OPERATORS)
def test_the_order_of_cameras_changes_nothing(name: str) -> None:
    model = model_of(fusion=name)
    batch = random_batch(model.config)
    with torch.no_grad():
        one, other = model(batch), model(swapped_cameras(batch, model.config))
    for key in FUSION_OUTPUTS:
        torch.testing.assert_close(one[key], other[key], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("sensor", range(3))
def test_an_absent_sensor_cannot_change_a_bit_of_the_boxes(name: str, sensor: int) -> None:
    model = model_of(fusion=name)
    batch = random_batch(model.config)
    batch["coverage"][:, sensor] = 0
    names = (("camera_rows", "camera_full_rows"), ("lidar_features",), ("radar_features",))[sensor]
    with torch.no_grad():
        inputs = model.encode(batch)
        before = model.fusion(inputs)
        after = model.fusion({**inputs, **{key: torch.full_like(inputs[key], torch.nan) for key in names}})
    assert all(torch.equal(before[key], after[key]) for key in FUSION_OUTPUTS)


@pytest.mark.parametrize("sensor", range(3))
def test_early_keeps_the_rules_of_availability(sensor: int) -> None:
    model = model_of(joining="early")
    batch = random_batch(model.config)
    batch["coverage"][:, sensor] = 0
    names = (("camera_rows", "camera_full_rows"), ("lidar_features",), ("radar_features",))[sensor]
    with torch.no_grad():
        inputs = model.encode(batch)
        before = model.fusion(inputs)
        after = model.fusion({**inputs, **{key: torch.full_like(inputs[key], torch.nan) for key in names}})
    assert all(torch.equal(before[key], after[key]) for key in FUSION_OUTPUTS)
    assert all(bool(torch.isfinite(each.float()).all()) for each in before.values())


def test_early_paints_the_camera_onto_the_rasters() -> None:
    model = model_of(joining="early")
    batch = random_batch(model.config)
    dark = {**batch, "images": torch.zeros_like(batch["images"])}
    with torch.no_grad():
        seen, unseen = (model.fusion.sensor_features(model.encode(each)) for each in (batch, dark))
    assert not torch.equal(seen[1], unseen[1])
    plain = model_of()
    with torch.no_grad():
        seen, unseen = (plain.fusion.sensor_features(plain.encode(each)) for each in (batch, dark))
    assert torch.equal(seen[1], unseen[1])


def test_early_without_paint_is_the_plain_model() -> None:
    plain, early = model_of(), model_of(joining="early")
    state = plain.state_dict()
    for name in ("lidar", "radar"):
        body = early.fusion.painting.bodies[("lidar", "radar").index(name)]
        own = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
        body.load_state_dict({k: v for k, v in own.items() if not k.startswith("stem.")})
    early.load_state_dict(state, strict=False)
    for paint in early.fusion.painting.paint:
        torch.nn.init.zeros_(paint.weight)
    batch = random_batch(plain.config)
    with torch.no_grad():
        one, other = plain(batch), early(batch)
    torch.testing.assert_close(one["box"], other["box"])


def test_defaults_keep_the_hash_of_models_in_use() -> None:
    assert load_learned(str(SHIPPED / "astyx" / "model.yaml")).hash() == "7caec416f940"
    assert load_learned("tiny").model_copy(update={"bearing": False}).hash() == "f5ea81a9464b"
    assert with_fusion(load_learned("tiny"), "soft_gate").hash() == load_learned("tiny").hash()
    assert small_config(joining="late").hash() != small_config().hash()


def test_an_unknown_operator_says_the_choices() -> None:
    with pytest.raises(ConfigurationError, match="reinforce_gate"):
        with_fusion(load_learned("tiny"), "magic")
