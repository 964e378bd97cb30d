"""One graph of a model as ONNX: its module, example inputs and names, and what the file may hold."""

from __future__ import annotations

import logging
import os
import warnings
from collections import Counter
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
    "Neg Not Or And Pad Pow Range Reciprocal ReduceMax ReduceMean ReduceSum ReduceL2 Relu Reshape Resize "
    "Shape Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Sum TopK Transpose Unsqueeze Where".split()
)
"""What every backend knows (TensorRT's parser takes each of them)."""
QUANTISING_OPERATORS = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Allowed beside them in an INT8 graph."""
_SCOPES = "pkg.torch.onnx.name_scopes"


class _PlainFusion(nn.Module):
    """The fusion graph with named tensors in place of dictionaries."""

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        found = self.network(dict(zip(FUSION_INPUTS, tensors)))
        return tuple(found[name] for name in FUSION_OUTPUTS)


def write_graph(model: FusionModel, name: str, path: Path, model_hash: str) -> None:
    """The graph `name` of `model` at `path`, whole or not at all; nodes are named by their modules."""
    module, inputs, input_names, output_names = graph_of(model, name)
    partial = path.with_suffix(".partial.onnx")
    # the exporter warns of every library that it could do with
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
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
    _drop_sums_of_one(graph)
    _name_nodes(graph)
    _shrink_choices(graph)
    save_graph(graph, path, model_hash)
    partial.unlink()


def save_graph(graph: onnx.ModelProto, path: Path, model_hash: str) -> None:
    """Check a graph, give it its hash and write it beside `path`, then rename it."""
    onnx.helper.set_model_props(graph, {HASH_KEY: model_hash})
    onnx.checker.check_model(graph)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    onnx.save(graph, beside)
    os.replace(beside, path)


def _name_nodes(graph: onnx.ModelProto) -> None:
    """Names such as `neck.down.0.0/Conv_3`; where the exporter ran is nobody's business, and is taken out."""
    counts: Counter[str] = Counter()
    for node in graph.graph.node:
        told = {each.key: each.value for each in node.metadata_props}
        scope = _scope_of(told.get(_SCOPES, ""))
        node.name = f"{scope}/{node.op_type}_{counts[node.op_type]}"
        counts[node.op_type] += 1
        del node.metadata_props[:]
        node.doc_string = ""


def _shrink_choices(graph: onnx.ModelProto) -> None:
    """Whole maps of one value that `Where` chooses from become that value: it is spread when it is chosen."""
    elsewhere = {
        name
        for node in graph.graph.node
        for name in (node.input[:1] if node.op_type == "Where" else node.input)
    }
    shapes = graph.graph.value_info
    for tensor in graph.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if tensor.name in elsewhere or values.size < 2 or (values != values.flat[0]).any():
            continue
        single = values.reshape(-1)[:1].reshape((1,) * values.ndim)
        tensor.CopyFrom(onnx.numpy_helper.from_array(single, tensor.name))
        for info in [each for each in shapes if each.name == tensor.name]:
            shapes.remove(info)


def _drop_sums_of_one(graph: onnx.ModelProto) -> None:
    """Sums over an axis of length one, as over a single lift slot, become the array without that axis."""
    shapes = {each.name: each.type.tensor_type.shape.dim for each in graph.graph.value_info}
    axes_of = {each.name: onnx.numpy_helper.to_array(each) for each in graph.graph.initializer}
    for node in graph.graph.node:
        if node.op_type != "ReduceSum" or len(node.input) < 2 or node.input[0] not in shapes:
            continue
        kept = next((each.i for each in node.attribute if each.name == "keepdims"), 1)
        axes, dims = axes_of.get(node.input[1]), shapes[node.input[0]]
        if axes is not None and len(axes) and not kept and all(dims[axis].dim_value == 1 for axis in axes):
            node.op_type = "Squeeze"
            del node.attribute[:]


def _scope_of(scopes: str) -> str:
    """The innermost module of a list as the exporter writes it, such as "['', 'neck', 'neck.up', 'relu']"."""
    names = [part.strip(" '\"") for part in scopes.strip("[]").split(",")]
    return names[-2].removeprefix("network.") if len(names) > 1 else ""


def fold_batch_norms(model: nn.Module) -> None:
    """Batch norms of an evaluated model folded into the convolutions before them, in place and in float32."""
    for sequence in [each for each in model.modules() if isinstance(each, nn.Sequential)]:
        for place in range(len(sequence) - 1):
            convolution, norm = sequence[place], sequence[place + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[place] = fuse_conv_bn_eval(convolution, norm)
                sequence[place + 1] = nn.Identity()


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
