"""Engines from the command line: built where TensorRT is, one clear line where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm_fusion.cli.main import main
from mm_fusion.config import dump_config
from mm_fusion.runtime import tensorrt_engines
from mm_fusion.runtime.device_probe import Probe
from test.network.scene import small_config


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.yaml").write_text(dump_config(small_config()))
    return folder


def test_an_unknown_model_says_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build-engine", "yolo"]) == 2
    assert "build-engine: model 'yolo': no such model" in capsys.readouterr().err


def test_a_model_without_graphs_is_to_be_exported(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build-engine", str(model)]) == 2
    assert "export it first" in capsys.readouterr().err


def graphs_in(folder: Path) -> None:
    """Four files with nothing but the hash of the configuration."""
    digest = small_config().hash().encode()
    entry = b"\x0a\x0emm_fusion_hash" + b"\x12" + bytes([len(digest)]) + digest
    for name in ("camera", "lidar", "radar", "fusion"):
        (folder / f"{name}.onnx").write_bytes(b"\x72" + bytes([len(entry)]) + entry)


def test_without_tensorrt_it_is_one_line_and_exit_code_2(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs_in(model)
    monkeypatch.setattr(tensorrt_engines, "probe", lambda: Probe(problem="TensorRT is not installed"))
    assert main(["build-engine", str(model), "--quiet"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["mm-fusion build-engine: tensorrt: TensorRT is not installed"]


class Shop:
    """Builds nothing but files of its own."""

    def __init__(
        self, folder: Path, config: object, profile: str, report: object, cache: Path | None
    ) -> None:
        self.cache = cache

    def build(self) -> None:
        if self.cache is not None:
            self.cache.mkdir()
            (self.cache / "fusion.engine").write_bytes(b"plan")

    def paths(self) -> dict[str, Path]:
        return {} if self.cache is None else {"fusion": self.cache / "fusion.engine"}


def test_it_prints_where_the_engines_lie(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs_in(model)
    monkeypatch.setattr(tensorrt_engines, "EngineShop", Shop)
    assert main(["build-engine", str(model), "--quiet", "--out", str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out" / "fusion.engine") in capsys.readouterr().out
    assert main(["build-engine", str(model), "--quiet"]) == 2
    assert "could not be kept" in capsys.readouterr().err
