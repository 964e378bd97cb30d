"""A trained model as files: four ONNX graphs under one hash, their config, and weights in half precision."""

from __future__ import annotations

import copy
import hashlib
import os
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from mm_fusion.config import dump_config
from mm_fusion.network.model import FUSION_INPUTS, FUSION_OUTPUTS, FusionModel, FusionNetwork
from mm_fusion.network_config import LearnedConfig

OPSET = 18
"""TensorRT 10.13 to 11.1 read opset 20's GridSample wrongly; none is used, and 18 stays the safe choice."""
HASH_KEY = "mm_fusion_hash"
"""Metadata of each graph: config and weights that it belongs to."""
GRAPHS = ("camera", "lidar", "radar", "fusion")
ALLOWED_OPERATORS = frozenset(
    "Abs Add ArgMax Cast Clip Concat Constant ConstantOfShape Conv Cos Div Equal Exp Expand Floor Gather "
    "GatherElements GatherND Gemm Greater GreaterOrEqual Identity LessOrEqual Log MatMul Max MaxPool Min Mul "
    "Neg Not Or And Pow Range Reciprocal ReduceMax ReduceMean ReduceSum ReduceL2 Relu Reshape Resize Shape "
    "Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Sum TopK Transpose Unsqueeze Where".split()
)
"""What every backend knows (TensorRT's parser takes each of them)."""


class _PlainFusion(nn.Module):
    """The fusion graph with named tensors in place of dictionaries."""

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = self.network(dict(zip(FUSION_INPUTS, tensors)))
        return tuple(found[name] for name in FUSION_OUTPUTS)


def export_model(model: FusionModel, out: Path) -> Path:
    """The folder `out` with the four graphs `<name>.onnx`, `model.yaml` and `weights.safetensors`.

    The graphs hold the weights as they come back from half precision, so that all files say the same.
    Auxiliary heads stay behind.
    """
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    served = _served_weights(model)
    partial = out / "weights.safetensors.partial"
    save_file(served, partial)
    partial.chmod(0o644)
    os.replace(partial, out / "weights.safetensors")
    rounded = copy.deepcopy(model).eval()
    rounded.load_state_dict({name: value.float() for name, value in served.items()}, strict=False)
    digest = hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest()[:12]
    for name in GRAPHS:
        _write_graph(rounded, name, out / f"{name}.onnx", f"{model.config.hash()}-{digest}")
    (out / "model.yaml").write_text(dump_config(model.config), encoding="utf-8")
    return out


def _served_weights(model: FusionModel) -> dict[str, Tensor]:
    state = model.state_dict()
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in state.items()
        if not name.startswith("auxiliary.")
    }


def _write_graph(model: FusionModel, name: str, path: Path, digest: str) -> None:
    module, inputs, input_names, output_names = graph_of(model, name)
    partial = path.with_suffix(".partial.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs),
            input_names=input_names,
            output_names=output_names,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    program.save(str(partial), external_data=False)
    graph = onnx.load(partial)
    # where the exporter ran is nobody's business, and differs from machine to machine
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(graph, {HASH_KEY: digest})
    onnx.checker.check_model(graph)
    onnx.save(graph, partial)
    os.replace(partial, path)


def graph_of(model: FusionModel, name: str) -> tuple[nn.Module, list[Tensor], list[str], list[str]]:
    """One graph: module, example inputs, names of inputs and outputs."""
    camera = model.config.camera
    if name == "camera":
        image = torch.zeros(1, 3, camera.height_px, camera.width_px, dtype=torch.uint8)
        return model.camera, [image], ["image"], ["rows", "full_rows", "depth"]
    if name in ("lidar", "radar"):
        shape = model.config.lidar_shape if name == "lidar" else model.config.radar_shape
        return getattr(model, name), [torch.zeros(1, *shape)], ["raster"], ["features"]
    return (
        _PlainFusion(model.fusion),
        fusion_examples(model.config),
        list(FUSION_INPUTS),
        list(FUSION_OUTPUTS),
    )


def fusion_examples(config: LearnedConfig) -> list[Tensor]:
    """Zeros in the shapes of `FUSION_INPUTS`."""
    camera, (nx, ny) = config.camera, config.grid.shape
    rows = camera.rows_per_camera * camera.max_cameras
    widths = (camera.rows_channels, camera.full_rows_channels, camera.depth_bins)
    features = (1, config.trunk.channels, nx, ny)
    lift = config.lift_shape
    return [
        *(torch.zeros(1, rows, width) for width in widths),
        *(torch.zeros(features) for _ in range(2)),
        *(torch.zeros(lift, dtype=torch.int32) for _ in range(2)),
        torch.zeros(lift),
        torch.zeros(1, 1, nx, ny),
        torch.ones(1, 3, nx, ny),
    ]
