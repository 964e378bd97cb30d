"""Exported files: same numbers as torch, only operators that every backend knows, one hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mm_fusion.errors import ConfigurationError, FusionError
from mm_fusion.evaluation.json_file import read_json
from mm_fusion.network.model import FUSION_INPUTS, FusionModel
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.training.checkpoint import load_checkpoint
from mm_fusion.training.export import ALLOWED_OPERATORS, GRAPHS, OPSET, export_model
from test.network.scene import random_batch, small_config


def trained(fusion: str = "soft_gate") -> FusionModel:
    torch.manual_seed(0)
    model = FusionModel(small_config(fusion=fusion)).eval()
    torch.nn.init.normal_(model.fusion.refinement.say[-1].weight, std=0.05)
    torch.nn.init.normal_(model.fusion.head.heatmap.weight, std=0.3)
    return model


@pytest.fixture(scope="module", params=("concat", "additive", "soft_gate"))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FusionModel, Path]:
    model = trained(request.param)
    return model, export_model(model, tmp_path_factory.mktemp(request.param))


def by_cell(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Peaks in order of cell: near-ties swap places between backends, and what fills the rest is any cell."""
    order = np.argsort(outputs["cell"][0], kind="stable")
    order = order[outputs["score"][0][order] > 0]
    return {name: array[0][order] for name, array in outputs.items()}


@pytest.mark.parametrize("subset", [(1, 1, 1), (0, 1, 1), (1, 0, 0)])
def test_onnxruntime_equals_torch(exported: tuple[FusionModel, Path], subset: tuple[int, ...]) -> None:
    model, folder = exported
    batch = random_batch(model.config)
    batch["coverage"] *= torch.tensor(subset).view(1, 3, 1, 1)
    reference = open_graphs(folder, model.config, "torch")
    graphs = open_graphs(folder, model.config, "onnxruntime")
    with torch.no_grad():
        given = {name: array.numpy() for name, array in model.encode(batch).items() if name in FUSION_INPUTS}
    one, other = (by_cell(each["fusion"].run(given)) for each in (reference, graphs))
    assert np.array_equal(one["cell"], other["cell"])
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-4, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", ["camera", "lidar", "radar"])
def test_encoders_equal_torch(exported: tuple[FusionModel, Path], name: str) -> None:
    model, folder = exported
    batch = random_batch(model.config)
    given = {"image": batch["images"][0, :1].numpy()} if name == "camera" else {"raster": batch[name].numpy()}
    one, other = (
        open_graphs(folder, model.config, each)[name].run(given) for each in ("torch", "onnxruntime")
    )
    for key in one:
        np.testing.assert_allclose(one[key], other[key], atol=1e-4, rtol=1e-4)


def test_only_known_operators_at_the_safe_opset(exported: tuple[FusionModel, Path]) -> None:
    for name in GRAPHS:
        graph = onnx.load(exported[1] / f"{name}.onnx", load_external_data=False)
        assert {node.op_type for node in graph.graph.node} - ALLOWED_OPERATORS == set()
        assert [each.version for each in graph.opset_import if each.domain == ""] == [OPSET]
        assert not any(each.external_data for each in graph.graph.initializer)
    suffixes = sorted(path.suffix for path in exported[1].iterdir())
    assert suffixes == [".json"] + [".onnx"] * 4 + [".safetensors", ".yaml"]


def test_the_manifest_names_every_file_with_its_hash(exported: tuple[FusionModel, Path]) -> None:
    manifest = read_json(exported[1] / "manifest.json")
    assert manifest["precision"] == "fp32" and manifest["hash"].startswith(exported[0].config.hash())
    assert set(manifest["files"]) == {p.name for p in exported[1].iterdir()} - {"manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((exported[1] / name).read_bytes()).hexdigest() == digest


def test_graphs_of_two_models_are_refused(exported: tuple[FusionModel, Path], tmp_path: Path) -> None:
    for path in exported[1].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    other = trained(exported[0].config.fusion)
    torch.nn.init.normal_(other.lidar.out.weight)
    export_model(other, tmp_path / "other")
    (tmp_path / "lidar.onnx").write_bytes((tmp_path / "other" / "lidar.onnx").read_bytes())
    with pytest.raises(ConfigurationError, match=r"lidar\.onnx"):
        open_graphs(tmp_path, exported[0].config)
    (tmp_path / "manifest.json").unlink()  # the graphs themselves say it too
    with pytest.raises(ConfigurationError, match="four graphs"):
        open_graphs(tmp_path, exported[0].config)


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"half a file")
    with pytest.raises(FusionError, match=r"last\.ckpt"):
        load_checkpoint(tmp_path / "last.ckpt")
