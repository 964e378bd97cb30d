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


def test_without_tensorrt_it_is_one_line_and_exit_code_2(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_config()
    hashed = b"\x72\x1c" + b"\x0a\x0emm_fusion_hash" + b"\x12\x0c" + config.hash()[:12].encode()
    hashed = b"\x72" + bytes([len(hashed) - 2]) + hashed[2:]  # metadata of an otherwise empty ModelProto
    for name in ("camera", "lidar", "radar", "fusion"):
        (model / f"{name}.onnx").write_bytes(hashed)
    monkeypatch.setattr(
        tensorrt_engines,
        "probe",
        lambda: Probe(problem="TensorRT is not installed, and no NVIDIA driver is here"),
    )
    assert main(["build-engine", str(model), "--quiet"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "mm-fusion build-engine: tensorrt: TensorRT is not installed, and no NVIDIA driver is here"
    ]
