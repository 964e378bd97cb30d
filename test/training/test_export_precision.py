"""Half precision and INT8: the same detections, and graphs as TensorRT and CPUs take them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.json_file import read_json
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.samples import read_samples
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.training.export import export_model
from mm_fusion.training.export_graphs import ALLOWED_OPERATORS, GRAPHS, OPSET, QUANTISING_OPERATORS
from mm_fusion.training.export_manifest import write_manifest
from mm_fusion.training.export_parity import compare_outputs
from mm_fusion.training.graph_runs import run_graphs
from mm_fusion.training.quantise import quantise_folder
from test.network.scene import random_batch, small_config


def inputs_of(config: LearnedConfig, seed: int) -> NetworkInputs:
    """One frame as the vehicle hands it over."""
    batch = {name: array.numpy() for name, array in random_batch(config, seed=seed).items()}
    single = {name: batch[name][0] for name in ("images", "camera_present", "available")}
    return NetworkInputs(**{**batch, **single})  # type: ignore[typeddict-item]


@pytest.fixture(scope="module")
def model() -> FusionModel:
    torch.manual_seed(0)
    model = FusionModel(small_config()).eval()
    torch.nn.init.normal_(model.fusion.head.heatmap.weight, std=0.3)
    torch.nn.init.constant_(model.fusion.head.heatmap.bias, -0.5)
    return model


@pytest.fixture(scope="module")
def floats(model: FusionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [inputs_of(model.config, 0)]
    return export_model(model, tmp_path_factory.mktemp("fp32"), samples=frames)


@pytest.fixture(scope="module", params=["fp16", "int8", "int8-cpu"])
def exported(
    request: pytest.FixtureRequest, model: FusionModel, floats: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param) / "model"
    if request.param == "fp16":
        return "fp16", export_model(model, folder, "fp16", samples=[inputs_of(model.config, 0)])
    shutil.copytree(floats, folder)
    (folder / "manifest.json").unlink()
    frames = [inputs_of(model.config, seed) for seed in range(3)]
    model_hash = read_json(floats / "manifest.json")["hash"]
    quantise_folder(folder, model.config, frames, model_hash, for_cpu=request.param == "int8-cpu")
    write_manifest(folder, request.param, model_hash)
    return request.param, folder


def graphs_of(folder: Path) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(folder / f"{name}.onnx") for name in GRAPHS}


def test_the_detections_are_those_of_torch(exported: tuple[str, Path], model: FusionModel) -> None:
    precision, folder = exported
    reference, other = (open_graphs(folder, model.config, each) for each in ("torch", "onnxruntime"))
    frames = [inputs_of(model.config, seed) for seed in (0, 7)]
    pairs = [tuple(run_graphs(each, frame, model.config) for each in (reference, other)) for frame in frames]
    found = compare_outputs(pairs)  # type: ignore[arg-type]
    assert found["detections"] > 5
    assert found["near_percent"] >= (90 if precision == "fp16" else 30)
    assert found["score_error"]["max"] < (0.01 if precision == "fp16" else 0.3)


def test_only_known_operators_and_float_between_graphs(exported: tuple[str, Path]) -> None:
    precision, folder = exported
    allowed = ALLOWED_OPERATORS | (QUANTISING_OPERATORS if precision.startswith("int8") else set())
    for graph in graphs_of(folder).values():
        assert {node.op_type for node in graph.graph.node} - allowed == set()
        assert [each.version for each in graph.opset_import if each.domain in ("", "ai.onnx")] == [OPSET]
        ends = [*graph.graph.input, *graph.graph.output]
        assert not {each.type.tensor_type.elem_type for each in ends} & {onnx.TensorProto.FLOAT16}
    assert read_json(folder / "manifest.json")["precision"] == precision
    assert len(read_samples(folder / "samples.npz")) == 1


def test_half_precision_is_the_trunk_alone(exported: tuple[str, Path]) -> None:
    if exported[0] != "fp16":
        pytest.skip("of fp16 alone")
    half = {tensor.name for tensor in graphs_of(exported[1])["fusion"].graph.initializer if _is_half(tensor)}
    assert any("neck" in name for name in half) and any("head" in name for name in half)
    assert not any("refine" in name or "fusion.logits" in name or "norms" in name for name in half)


def _is_half(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == onnx.TensorProto.FLOAT16


def test_integers_are_in_the_flavour_asked_for(exported: tuple[str, Path]) -> None:
    precision, folder = exported
    if not precision.startswith("int8"):
        pytest.skip("of INT8 alone")
    for name, graph in graphs_of(folder).items():
        points = _zero_points(graph)
        assert points, f"{name}: nothing is quantised"
        kinds = {array.dtype for array in points}
        if precision == "int8":
            assert kinds == {np.dtype(np.int8)} and not any(array.any() for array in points)
        else:
            assert {np.dtype(np.uint8), np.dtype(np.int8)} <= kinds


def _zero_points(graph: onnx.ModelProto) -> list[np.ndarray]:
    """Zero points of every DequantizeLinear: those of a bias would be int32."""
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in graph.graph.initializer}
    nodes = [node for node in graph.graph.node if node.op_type == "DequantizeLinear"]
    return [tensors[node.input[2]] for node in nodes if len(node.input) > 2]


def test_stem_and_last_convolutions_stay_float(exported: tuple[str, Path]) -> None:
    if not exported[0].startswith("int8"):
        pytest.skip("of INT8 alone")
    for name, graph in graphs_of(exported[1]).items():
        made = {output: node.op_type for node in graph.graph.node for output in node.output}
        for node in graph.graph.node:
            scope = node.name.rsplit("/", 1)[0]
            if node.op_type == "Conv":
                quantised = made.get(node.input[1]) == "DequantizeLinear"
                plain = scope in ("rows", "full_rows", "depth", "out", "head.heatmap", "head.quantities")
                first = scope.startswith(("body.0", "stem", "lift.mix.0", "lift.out", "fusion", "place"))
                assert quantised != (plain or first), f"{name}: {node.name}"


def test_an_unknown_precision_and_missing_frames_are_named(model: FusionModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="fp8"):
        export_model(model, tmp_path / "a", "fp8")
    with pytest.raises(ConfigurationError, match="calibrate"):
        export_model(model, tmp_path / "b", "int8")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"):
        export_model(model, tmp_path / "file" / "model")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
