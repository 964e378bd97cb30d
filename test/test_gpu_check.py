"""`make gpu-check` where there is nothing to check, and the counting of a graph's work."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mm_fusion.runtime.device_probe import probe

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def roofline():
    spec = importlib.util.spec_from_file_location("roofline", TOOLS / "roofline.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["roofline"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not probe().problem, reason="this machine has an NVIDIA GPU and TensorRT")
def test_without_a_gpu_it_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOLS / "gpu_check.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "nothing was checked" in done.stderr and "pip install" in done.stderr
    assert "processor" in done.stdout and "TensorRT    none" in done.stdout


def test_work_is_counted_from_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    weights = [
        helper.make_tensor("w", kind.FLOAT, [4, 3, 3, 3], [0.0] * 108),
        helper.make_tensor("m", kind.FLOAT16, [8, 5], [0.0] * 40),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["y"], ["h"], to=kind.FLOAT16),
        helper.make_node("MatMul", ["h", "m"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("z", kind.FLOAT16, [1, 4, 8, 5])],
        weights,
    )
    onnx.save(helper.make_model(graph), tmp_path / "g.onnx")
    work = roofline().work_of(tmp_path / "g.onnx")
    assert work.flops == 2 * 4 * 64 * 27 + 2 * 4 * 8 * 5 * 8
    assert work.bytes == 108 * 4 + 40 * 2 + 192 * 4 + 160 * 2
    assert work.least_s(work.flops, 2 * work.bytes) == 1.0
