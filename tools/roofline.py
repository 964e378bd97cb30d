"""How far a graph is from what a device can do: its work counted, the device's peaks measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTES = {1: 4, 2: 1, 3: 1, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}
"""Bytes per element by ONNX's number of a type."""


@dataclass(frozen=True)
class Work:
    """Floating point operations (2 per multiply-add) and bytes that must move at least once."""

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def times(self, count: float) -> Work:
        """The work of so many runs."""
        return Work(self.flops * count, self.bytes * count)

    def least_s(self, flops_per_s: float, bytes_per_s: float) -> float:
        """Shortest time that the roofline allows."""
        return max(self.flops / flops_per_s, self.bytes / bytes_per_s)


def work_of(path: Path) -> Work:
    """Multiply-adds of convolutions and matrix products; bytes of weights, inputs and outputs.

    What flows between layers is not counted: a perfect compiler would keep it on the chip.
    """
    import onnx

    model = onnx.load(path)
    del model.graph.value_info[:]  # some of the exporter's are of tensors before they were folded
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    weights = {each.name: (tuple(each.dims), each.data_type) for each in graph.initializer}
    shapes = {name: shape for name, (shape, _) in weights.items()}
    for value in (*graph.input, *graph.output, *graph.value_info):
        shapes[value.name] = _shape(value)
    moved = sum(_size(shape, kind) for shape, kind in weights.values())
    moved += sum(_size(_shape(v), v.type.tensor_type.elem_type) for v in (*graph.input, *graph.output))
    return Work(sum(_flops(node, shapes) for node in graph.node), moved)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(each.dim_value for each in value.type.tensor_type.shape.dim)


def _size(shape: tuple[int, ...], kind: int) -> int:
    return math.prod(shape) * BYTES.get(kind, 4)


def _flops(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> float:
    out = shapes.get(node.output[0], ())
    if node.op_type == "Conv":
        # weights may come through a DequantizeLinear, whose output shape is inferred
        return 2.0 * math.prod(out) * math.prod(shapes.get(node.input[1], (1,))[1:])
    if node.op_type in ("MatMul", "Gemm"):
        return 2.0 * math.prod(out) * (shapes.get(node.input[0], (1,)) or (1,))[-1]
    return 0.0


def peaks() -> tuple[float, float]:
    """FLOP/s of a large float16 product and bytes/s of a large copy on the first CUDA device."""
    import torch

    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
    block = torch.empty(1 << 28, device="cuda", dtype=torch.float32)
    product_s = _best_s(lambda: matrix @ matrix, torch)
    copy_s = _best_s(lambda: block.clone(), torch)
    return 2 * 8192**3 / product_s, 2 * block.nbytes / copy_s


def _best_s(work: Callable[[], object], torch: Any) -> float:
    best = math.inf
    for _ in range(12):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best
