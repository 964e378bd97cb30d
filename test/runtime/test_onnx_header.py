"""The hash in a graph's file, read without its weights; nonsense and half files are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mm_fusion.errors import ConfigurationError
from mm_fusion.runtime.model_files import GRAPHS
from mm_fusion.runtime.onnx_header import HASH_KEY, model_hash


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 20, b"\x3a\x05ab"])
def test_what_is_no_graph_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fusion.onnx").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"fusion\.onnx: expected a graph"):
        model_hash(tmp_path / "fusion.onnx")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.onnx"):
        model_hash(tmp_path / "none.onnx")


@given(st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_hash_or_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.onnx").write_bytes(content)
    try:
        assert isinstance(model_hash(tmp_path / "any.onnx"), str)
    except ConfigurationError:
        pass


def test_a_graph_without_metadata_says_nothing(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "a.onnx")
    assert model_hash(tmp_path / "a.onnx") == ""


def test_it_reads_what_onnx_writes(tmp_path: Path, exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.helper.set_model_props(model, {"author": "nobody" * 50, HASH_KEY: "abc-def"})
    onnx.save(model, tmp_path / "a.onnx")
    assert model_hash(tmp_path / "a.onnx") == "abc-def"
    told = json.loads((exported / "manifest.json").read_text())["hash"]
    assert {model_hash(exported / f"{name}.onnx") for name in GRAPHS} == {told}
