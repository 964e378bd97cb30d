"""One graph on ONNX Runtime and OpenVINO: inputs checked, outputs finite, threads beside each other."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mm_fusion.errors import BackendError, MeasurementError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Backend
from mm_fusion.runtime.samples import made_samples

CLASSES = {"onnxruntime": "OnnxRuntimeBackend", "openvino": "OpenVinoBackend"}


def open_one(library: str, path: Path, **options: Any) -> Backend:
    pytest.importorskip(library)
    module = importlib.import_module(f"mm_fusion.runtime.{library}_backend")
    return getattr(module, CLASSES[library])(path, **options)


@pytest.fixture(params=list(CLASSES))
def library(request: pytest.FixtureRequest) -> str:
    return request.param


def test_names_and_hash(library: str, exported: Path, config: LearnedConfig) -> None:
    graph = open_one(library, exported / "fusion.onnx")
    assert set(graph.input_names) >= {"camera_rows", "lift_index", "coverage"}
    assert graph.model_hash.startswith(config.hash())


def test_a_wrong_input_is_named(library: str, exported: Path) -> None:
    graph = open_one(library, exported / "camera.onnx")
    with pytest.raises(MeasurementError, match="expected input image"):
        graph.run({"image": np.zeros((1, 3, 8, 8), np.uint8)})
    with pytest.raises(MeasurementError, match="expected input image"):
        graph.run({})


def test_not_finite_is_told_apart_by_where_it_comes_from(
    library: str, exported: Path, config: LearnedConfig, tmp_path: Path
) -> None:
    raster = made_samples(config, 1)[0]["lidar"]
    if library == "onnxruntime":  # OpenVINO's fused ReLU makes zeros of NaN
        with pytest.raises(MeasurementError, match="input raster is not finite"):
            open_one(library, exported / "lidar.onnx").run({"raster": raster * np.float32(np.nan)})
    with pytest.raises(BackendError, match=r"lidar\.onnx: output features is not finite"):
        open_one(library, _overflowing(exported / "lidar.onnx", tmp_path)).run({"raster": raster})


def _overflowing(path: Path, tmp_path: Path) -> Path:
    """The graph with weights so large that its features leave float32."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    for each in model.graph.initializer:
        array = onnx.numpy_helper.to_array(each)
        if array.dtype == np.float32 and array.ndim == 4:
            each.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, 3e38), each.name))
    onnx.save(model, tmp_path / "lidar.onnx")
    return tmp_path / "lidar.onnx"


def test_results_are_not_overwritten_by_the_next_run(
    library: str, exported: Path, config: LearnedConfig
) -> None:
    graph = open_one(library, exported / "lidar.onnx")
    one, other = made_samples(config, 2)
    first = graph.run({"raster": one["lidar"]})["features"]
    kept = first.copy()
    graph.run({"raster": other["lidar"]})
    assert np.array_equal(first, kept)


def test_two_threads_may_run_one_graph(library: str, exported: Path, config: LearnedConfig) -> None:
    graph = open_one(library, exported / "camera.onnx", threads=2)
    images = made_samples(config, 1)[0]["images"]
    expected = [graph.run({"image": images[k : k + 1]})["rows"] for k in range(2)]
    wrong: list[str] = []

    def work(k: int) -> None:
        for _ in range(10):
            try:
                if not np.array_equal(graph.run({"image": images[k : k + 1]})["rows"], expected[k]):
                    wrong.append("other numbers")
            except Exception as error:
                wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_onnxruntime_says_what_really_loaded(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("mm_fusion.runtime.onnxruntime_backend")
    monkeypatch.setattr(module, "has_cuda", lambda: False)
    assert open_one("onnxruntime", exported / "lidar.onnx", cuda=True).device == "cpu"  # type: ignore[attr-defined]


def test_openvino_names_what_it_cannot_compile(tmp_path: Path, exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported / "lidar.onnx")
    model.graph.node[0].op_type = "OperatorOfNobody"
    onnx.save(model, tmp_path / "lidar.onnx")
    with pytest.raises(BackendError, match=r"openvino: .*lidar\.onnx: cannot be compiled"):
        open_one("openvino", tmp_path / "lidar.onnx")


def test_an_input_that_is_cast_at_once_keeps_its_name(library: str, tmp_path: Path) -> None:
    """OpenVINO gives the tensor the cast's name too, and calls it by either."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["raster"], ["_to_copy"], to=kind.FLOAT16),
        helper.make_node("Relu", ["_to_copy"], ["half"]),
        helper.make_node("Cast", ["half"], ["features"], to=kind.FLOAT),
    ]
    values = [helper.make_tensor_value_info(n, kind.FLOAT, [1, 2]) for n in ("raster", "features")]
    graph = helper.make_graph(nodes, "half", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "lidar.onnx")
    opened = open_one(library, tmp_path / "lidar.onnx")
    assert opened.input_names == ("raster",)
    found = opened.run({"raster": np.array([[-1, 2]], np.float32)})
    assert {name: array.tolist() for name, array in found.items()} == {"features": [[0, 2]]}
