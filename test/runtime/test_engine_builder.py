"""The one build path for TensorRT 10 to 11: by a fake of its API, and for real through TensorRT-RTX."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mm_fusion.errors import BackendError
from mm_fusion.runtime.engine_builder import PROFILES, Job, build_plan, build_plans, network_flags
from mm_fusion.runtime.model_files import GRAPHS, find_model, shipped_models
from test.runtime import fake_tensorrt


def path_with(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "lidar.onnx").write_bytes(content)
    return tmp_path / "lidar.onnx"


def test_networks_are_strongly_typed_where_that_is_a_choice() -> None:
    assert network_flags(fake_tensorrt) == 2

    class Newer:
        NetworkDefinitionCreationFlag = object

    assert network_flags(Newer) == 0


def test_only_tf32_is_cleared_and_nothing_else_is_set(tmp_path: Path) -> None:
    said: list[str] = []
    plan, timing = build_plan(fake_tensorrt, path_with(tmp_path, b"graph"), "best", b"old", said.append)
    assert fake_tensorrt.Builder.built is not None
    network, config = fake_tensorrt.Builder.built
    assert plan.endswith(b"graph") and timing == b"old+" and network.flags == 2
    assert config.cleared == [fake_tensorrt.BuilderFlag.TF32]
    assert config.builder_optimization_level == PROFILES["best"]
    assert said == ["lidar: Building", "lidar: Building 50 %"]


def test_a_timing_cache_of_another_device_is_left_aside(tmp_path: Path) -> None:
    _, timing = build_plan(
        fake_tensorrt, path_with(tmp_path, b"graph"), "quick", b"another device", lambda text: None
    )
    assert timing == b"+"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"half a file", "lidar.onnx: cannot be parsed: Unsupported operator Foo"),
        (b"unbuildable", "no implementation for node"),
    ],
)
def test_a_failure_says_the_librarys_own_words(tmp_path: Path, content: bytes, text: str) -> None:
    with pytest.raises(BackendError, match=text):
        build_plan(fake_tensorrt, path_with(tmp_path, content), "default", b"", lambda text: None)


def test_a_child_without_the_library_says_so(tmp_path: Path) -> None:
    job = Job((str(path_with(tmp_path, b"graph")),), (str(tmp_path / "plan"),), library="tensorrt_of_nobody")
    with pytest.raises(BackendError, match="tensorrt_of_nobody: building failed: .*No module named"):
        build_plans(job, lambda text: None)
    assert not (tmp_path / "plan").exists()


def test_a_child_that_dies_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job = Job((str(path_with(tmp_path, b"graph")),), (str(tmp_path / "plan"),), library="deadly")
    with pytest.raises(BackendError, match="code -6"):
        build_plans(job, lambda text: None)


needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="opt-in: pip install -c constraints.txt -e .[rtx] (NVIDIA's licence)",
)


@needs_rtx
def test_really_parses_and_builds_every_graph(exported: Path, tmp_path: Path) -> None:
    plans = [tmp_path / f"{name}.plan" for name in GRAPHS]
    onnx = tuple(str(exported / f"{name}.onnx") for name in GRAPHS)
    timing = tmp_path / "timing.cache"
    said: list[str] = []
    build_plans(Job(onnx, tuple(map(str, plans)), "quick", str(timing), "tensorrt_rtx"), said.append)
    assert all(path.stat().st_size > 1000 for path in plans) and timing.stat().st_size
    assert any("fusion: Building engine" in text for text in said)
    timing.write_bytes(b"no timing cache at all")
    build_plans(Job(onnx[2:3], (str(plans[2]),), "quick", str(timing), "tensorrt_rtx"), said.append)


@needs_rtx
@pytest.mark.parametrize("model", shipped_models())
def test_really_builds_what_is_shipped(model: str, tmp_path: Path) -> None:
    folder = find_model(model)
    onnx = tuple(str(folder / f"{name}.onnx") for name in GRAPHS)
    plans = tuple(str(tmp_path / f"{name}.plan") for name in GRAPHS)
    build_plans(Job(onnx, plans, "quick", "", "tensorrt_rtx"), lambda text: None)
    assert all(Path(plan).is_file() for plan in plans)


@needs_rtx
def test_really_refuses_what_is_no_graph(tmp_path: Path) -> None:
    job = Job((str(path_with(tmp_path, b"half a file")),), (str(tmp_path / "p"),), library="tensorrt_rtx")
    with pytest.raises(BackendError, match=r"lidar\.onnx: (cannot be parsed|no engine)"):
        build_plans(job, lambda text: None)


_LOADS = """
import sys
import numpy as np
import tensorrt_rtx as trt
from mm_fusion.errors import BackendError
from mm_fusion.runtime.tensorrt_backend import TensorRtBackend
try:
    TensorRtBackend(trt, open(sys.argv[1], "rb").read(), "lidar", "", None)
except BackendError as error:
    print(error)
"""


@needs_rtx
def test_really_names_a_plan_that_loads_as_none(exported: Path, tmp_path: Path) -> None:
    plan = tmp_path / "lidar.plan"
    build_plans(
        Job((str(exported / "lidar.onnx"),), (str(plan),), "quick", "", "tensorrt_rtx"), lambda text: None
    )
    plan.write_bytes(plan.read_bytes()[:2000])
    # in a child: what a library does with half a plan is its own affair
    done = subprocess.run(
        [sys.executable, "-c", _LOADS, str(plan)], capture_output=True, text=True, check=False
    )
    assert "lidar: the engine does not load" in done.stdout
