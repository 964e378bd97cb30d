"""The convolution trunk of exported graphs in INT8, by QDQ, calibrated on frames.

What is quantised are the 3x3 convolutions and what lies between them. The first convolution of each graph and
the last of each head stay in float, as do lift, fusion, exponentials, decoding and the second stage: there
INT8 costs accuracy and gains no time.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx

from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Arrays
from mm_fusion.training.export_graphs import GRAPHS, save_graph
from mm_fusion.training.graph_runs import Graphs, fusion_inputs

OPERATORS = ("Conv", "Relu", "Add", "Resize")
TRUNK: Mapping[str, re.Pattern[str]] = {
    "camera": re.compile(r"body\.(?!0\.)"),
    "lidar": re.compile(r"at_full|at_half|up"),
    "radar": re.compile(r"at_full|at_half|up"),
    "fusion": re.compile(r"lift\.mix\.(?!0\.)|neck|head\.shared"),
}
"""Names of the nodes that are quantised, by graph; `export_graphs` names nodes by their modules."""


def quantise_folder(
    folder: Path, config: LearnedConfig, frames: Sequence[NetworkInputs], model_hash: str, for_cpu: bool
) -> None:
    """Turn the float graphs of a folder into INT8 ones, in place.

    for_cpu: unsigned activations and quantised biases, which CPU backends run fastest. Otherwise everything
    is signed and symmetric and biases stay float, as TensorRT takes it.
    """
    from mm_fusion.runtime.choice import open_graphs

    graphs = open_graphs(folder, config, "onnxruntime")
    for name in GRAPHS:
        path = folder / f"{name}.onnx"
        seen = _inputs_of(name, graphs, config, frames)
        save_graph(_quantised(path, name, seen, for_cpu), path, model_hash)


def _inputs_of(
    name: str, graphs: Graphs, config: LearnedConfig, frames: Sequence[NetworkInputs]
) -> Iterator[Arrays]:
    """What one graph sees of the frames; one image per frame is enough, of each camera in turn."""
    for number, frame in enumerate(frames):
        if name == "fusion":
            yield fusion_inputs(graphs, frame, config)
        elif name == "camera":
            slots = np.flatnonzero(frame["camera_present"])
            for slot in np.roll(slots, -number)[:1]:
                yield {"image": frame["images"][slot : slot + 1]}
        elif frame["coverage"][0, 1 if name == "lidar" else 2].any():
            yield {"raster": frame["lidar"] if name == "lidar" else frame["radar"]}


def _quantised(path: Path, name: str, seen: Iterator[Arrays], for_cpu: bool) -> onnx.ModelProto:
    """The graph with QDQ around the trunk; unchanged where no frame has its sensor."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    graph = onnx.load(path)
    trunk = [
        node.name for node in graph.graph.node if node.op_type in OPERATORS and TRUNK[name].match(node.name)
    ]
    reader = _Reader(seen, [each.name for each in graph.graph.input])
    if not trunk or reader.is_empty:
        return graph
    with tempfile.TemporaryDirectory() as folder, _quiet():
        quantize_static(
            path,
            Path(folder) / "int8.onnx",
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_quantize=trunk,
            per_channel=True,
            activation_type=QuantType.QUInt8 if for_cpu else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={} if for_cpu else {"ActivationSymmetric": True, "QuantizeBias": False},
        )
        return onnx.load(Path(folder) / "int8.onnx")


class _Reader:
    """What ONNX Runtime's calibration asks for the inputs of one frame after another."""

    def __init__(self, seen: Iterator[Arrays], names: list[str]) -> None:
        self._seen, self._names = seen, names
        self._next = next(seen, None)
        self.is_empty = self._next is None

    def get_next(self) -> Arrays | None:
        """Inputs of the next frame, None after the last."""
        now, self._next = self._next, next(self._seen, None)
        return None if now is None else {name: now[name] for name in self._names}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that the quantiser gives on standard output's logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
