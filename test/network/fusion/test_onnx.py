"""Each operator as an ONNX graph: the numbers of torch, from operators that every backend knows."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mm_fusion.network.fusion.choice import OPERATORS
from mm_fusion.training.export import ALLOWED_OPERATORS, OPSET
from test.network.fusion.test_contract import MASKS, masked, operator


def exported(name: str, path: Path) -> tuple[torch.nn.Module, onnx.ModelProto]:
    fusion = operator(name)
    examples = (torch.zeros(3, 1, 8, 6, 8), torch.ones(3, 1, 1, 6, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            fusion,
            examples,
            input_names=["features", "available"],
            output_names=["fused", "weights"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    program.save(str(path), external_data=False)
    return fusion, onnx.load(path)


@pytest.mark.parametrize("name", OPERATORS)
def test_onnxruntime_equals_torch_with_known_operators(name: str, tmp_path: Path) -> None:
    fusion, graph = exported(name, tmp_path / "operator.onnx")
    assert {node.op_type for node in graph.graph.node} - ALLOWED_OPERATORS == set()
    session = onnxruntime.InferenceSession(str(tmp_path / "operator.onnx"))
    torch.manual_seed(2)
    mixed = (torch.rand(3, 1, 1, 6, 8) > 0.4).float()
    for available in [mixed, *(masked(mask, (6, 8))[:, :1] for mask in MASKS)]:
        features = torch.randn(3, 1, 8, 6, 8)
        features = torch.where(available > 0, features, torch.tensor(float("nan")))
        with torch.no_grad():
            expected = fusion(features, available)
        given = {"features": features.numpy(), "available": available.numpy()}
        for one, other in zip(expected, session.run(None, given)):
            np.testing.assert_allclose(one.numpy(), other, atol=1e-4, rtol=1e-4)
