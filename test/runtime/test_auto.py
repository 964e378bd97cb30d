"""The fastest backend that gives the right numbers, remembered by machine, files and versions."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.errors import BackendError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime import auto, backends, cache_folder, choice
from mm_fusion.runtime.backends import Options
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.protocol import Arrays, Backend
from mm_fusion.runtime.samples import made_samples

OPTIONS = Options()


class Altered:
    """ONNX Runtime behind another name: slower, or with something done to its outputs."""

    def __init__(self, graph: Backend, wait_s: float = 0.0, factor: float = 1.0) -> None:
        self._graph, self._wait_s, self._factor = graph, wait_s, factor
        self.input_names, self.model_hash = graph.input_names, graph.model_hash

    def run(self, inputs: Arrays) -> Arrays:
        time.sleep(self._wait_s)
        found = self._graph.run(inputs)
        return {n: a * self._factor if a.dtype == np.float32 else a for n, a in found.items()}


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Backends by name as a test sets them: keywords of `Altered`, or an error to raise."""
    table: dict[str, object] = {}
    real = backends.open_backend

    def opening(name: str, folder: Path, config: LearnedConfig, options: Options) -> Mapping[str, Backend]:
        what = table[name]
        if isinstance(what, Exception):
            raise what
        graphs = real("onnxruntime-cpu", folder, config, options)
        return {key: Altered(graph, **what) for key, graph in graphs.items()}  # type: ignore[arg-type]

    for module in (auto, choice):
        monkeypatch.setattr(module, "open_backend", opening)
    monkeypatch.setattr(auto, "candidates_for", lambda folder: list(table))
    return table


def test_noise_picks_nothing() -> None:
    assert auto.fastest({"a": 10.0, "b": 9.5, "c": 9.2}) == "a"
    assert auto.fastest({"a": 10.0, "b": 7.0, "c": 6.9}) == "b"


def test_the_fastest_that_passes_is_taken_and_the_others_are_explained(
    exported: Path, config: LearnedConfig, offered: dict[str, object]
) -> None:
    offered |= {
        "tensorrt": {"factor": 1.2},
        "onnxruntime": {"wait_s": 0.02},
        "openvino": {},
        "openvino-bf16": BackendError("imports but does not run"),
    }
    opened = open_graphs(exported, config)
    assert opened.backend == "openvino" and "the fastest here" in opened.reason
    assert "tensorrt: refused, since its outputs differ from ONNX Runtime's" in opened.reason
    assert "openvino-bf16: imports but does not run" in " ".join(opened.problems)


def test_what_was_measured_is_remembered_without_measuring(
    exported: Path, config: LearnedConfig, offered: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    offered |= {"onnxruntime": {"wait_s": 0.02}, "openvino": {}}
    first = open_graphs(exported, config)
    monkeypatch.setattr(auto, "measure", lambda *args: pytest.fail("measured again"))
    again = open_graphs(exported, config)
    assert again.backend == first.backend == "openvino" and again.reason.endswith("as measured before")


def test_other_threads_versions_or_files_are_measured_anew(
    copied: Path, config: LearnedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(options: Options = OPTIONS) -> str:
        return auto._key(copied, ["onnxruntime"], options)

    keys = {key(), key(Options(threads=2)), auto._key(copied, ["torch"], OPTIONS)}
    monkeypatch.setattr(auto, "installed_version", lambda name: "9.9")
    keys.add(auto._key(copied, ["onnxruntime"], Options(spin=True)))
    monkeypatch.undo()
    (copied / "lidar.onnx").write_bytes(b"another")
    assert len({*keys, key()}) == 5


def test_a_choice_that_fails_now_is_measured_again(
    exported: Path, config: LearnedConfig, offered: dict[str, object]
) -> None:
    offered |= {"onnxruntime": {"wait_s": 0.02}, "openvino": {}}
    open_graphs(exported, config)
    offered["openvino"] = BackendError("its library is gone")
    said: list[str] = []
    assert open_graphs(exported, config, report=said.append).backend == "onnxruntime"
    assert "its library is gone" in " ".join(said)


def test_a_memory_that_is_none_is_measured_again(
    exported: Path, config: LearnedConfig, offered: dict[str, object], cache: Path
) -> None:
    offered |= {"onnxruntime": {}}
    open_graphs(exported, config)
    (path,) = (cache / "choices").iterdir()
    path.write_text("{half")
    assert open_graphs(exported, config).backend == "onnxruntime"
    assert json.loads(path.read_text())["backend"] == "onnxruntime"


def test_without_a_cache_it_works_and_says_so_once(
    exported: Path,
    config: LearnedConfig,
    offered: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "file" / "cache"))
    offered |= {"onnxruntime": {}}
    with caplog.at_level(logging.WARNING):
        assert open_graphs(exported, config).backend == open_graphs(exported, config).backend == "onnxruntime"
    assert len([each for each in caplog.records if "cannot be written" in each.message]) == 1


def test_where_none_works_each_says_why(
    exported: Path, config: LearnedConfig, offered: dict[str, object]
) -> None:
    offered |= {"onnxruntime": BackendError("no"), "torch": {"factor": 3.0}}
    with pytest.raises(BackendError, match="no backend works: onnxruntime: no; torch: refused"):
        open_graphs(exported, config)


def test_one_that_fails_later_is_followed_by_the_next(
    exported: Path, config: LearnedConfig, offered: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    offered |= {"onnxruntime": {}, "openvino": {"wait_s": 0.02}}
    monkeypatch.setattr(choice, "candidates_for", lambda folder: list(offered))
    opened = open_graphs(exported, config)
    raster = {"raster": made_samples(config, 1)[0]["lidar"]}
    expected = opened["lidar"].run(raster)["features"]
    assert opened.backend == "onnxruntime"
    monkeypatch.setattr(Altered, "run", _fails_as_onnxruntime(Altered.run, opened.graph("lidar")))
    assert np.array_equal(opened["lidar"].run(raster)["features"], expected)
    assert opened.backend == "openvino"


def _fails_as_onnxruntime(real, broken):
    def run(self, inputs):
        if self is broken:
            raise RuntimeError("GPU is lost")
        return real(self, inputs)

    return run


def test_a_folder_without_graphs_runs_on_torch(copied: Path, config: LearnedConfig) -> None:
    pytest.importorskip("torch")
    for path in [*copied.glob("*.onnx"), copied / "manifest.json"]:
        path.unlink()
    opened = open_graphs(copied, config)
    assert opened.backend == "torch" and "the only one" in opened.reason


def test_really_here(exported: Path, config: LearnedConfig) -> None:
    opened = open_graphs(exported, config)
    assert opened.backend in backends.BACKENDS and opened.backend in opened.reason
