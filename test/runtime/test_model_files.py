"""Models found by what a user writes, and files that are no longer what export wrote."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from mm_fusion.config import dump_config, load_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime import cache_folder as caching
from mm_fusion.runtime import checkpoint_files, model_files
from mm_fusion.runtime.cache_folder import cache_folder
from mm_fusion.runtime.model_files import check_files, find_model, shipped_models
from test.network.scene import small_config


def model_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(dump_config(small_config()))
    return folder


def checkpoint_in(path: Path) -> Path:
    torch = pytest.importorskip("torch")
    from mm_fusion.network.model import FusionModel

    model = FusionModel(small_config())
    kept = {"config": small_config().model_dump(mode="json"), "ema": {"mean": model.state_dict()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(kept, path)
    return path


def test_an_unknown_name_says_every_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_files, "SHIPPED", tmp_path)
    assert shipped_models() == ()
    with pytest.raises(ConfigurationError, match="none with this installation.*checkpoint"):
        find_model("yolo")


def test_a_shipped_name_goes_before_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "SHIPPED", tmp_path / "weights")
    model_in(tmp_path / "weights" / "small")
    model_in(tmp_path / "here" / "small")
    monkeypatch.chdir(tmp_path / "here")
    assert shipped_models() == ("small",)
    assert find_model("small") == tmp_path / "weights" / "small"
    assert find_model("./small") == Path("small")
    with pytest.raises(ConfigurationError, match="a shipped model \\(small\\)"):
        find_model("none")


def test_an_empty_folder_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.yaml"):
        find_model(str(tmp_path))


def test_a_checkpoint_and_its_run_become_one_folder_in_the_cache(tmp_path: Path, cache: Path) -> None:
    path = checkpoint_in(tmp_path / "run" / "last.ckpt")
    (path.parent / "model.yaml").write_text("of the run, not of an export")
    folder = find_model(str(path))
    assert folder.is_relative_to(cache) and find_model(str(path.parent)) == folder
    assert load_config(folder / "model.yaml", LearnedConfig) == small_config()
    assert not list(folder.glob(".*"))


def test_a_checkpoint_needs_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv(caching.VARIABLE, str(tmp_path / "taken"))
    assert cache_folder() is None and cache_folder() is None
    assert len(caplog.records) == 1 and caching.VARIABLE in caplog.text
    folder = find_model(str(checkpoint_in(tmp_path / "last.ckpt")))
    assert (folder / "weights.safetensors").is_file()


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "half.ckpt").write_bytes(b"half a file")
    with pytest.raises(ConfigurationError, match=r"half\.ckpt"):
        find_model(str(tmp_path / "half.ckpt"))


def test_what_is_unpacked_is_what_was_hashed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, newer = checkpoint_in(tmp_path / "last.ckpt"), checkpoint_in(tmp_path / "newer.ckpt")
    _, wanted = checkpoint_files.read_checkpoint(path)

    def meanwhile() -> Path:
        newer.replace(path)
        return cache

    monkeypatch.setattr(checkpoint_files, "cache_folder", meanwhile)
    folder = checkpoint_files.unpack_checkpoint(path)
    from safetensors.torch import load_file

    name = "fusion.head.heatmap.weight"
    assert (load_file(folder / "weights.safetensors")[name] == wanted[name].half()).all()


@pytest.mark.parametrize("library", ["torch", "safetensors.torch"])
def test_what_a_checkpoint_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    path = checkpoint_in(tmp_path / "last.ckpt")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError, match="needs torch and safetensors.*extra train"):
        find_model(str(path))


def test_without_a_manifest_nothing_is_asked(tmp_path: Path) -> None:
    assert check_files(tmp_path) == ""


@pytest.mark.parametrize("harm", ["cut", "turned", "gone"])
def test_a_file_that_is_not_as_exported_is_named(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "lidar.onnx"
    path.write_bytes(b"graph" * 100)
    files = {"lidar.onnx": hashlib.sha256(path.read_bytes()).hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files, "hash": "abc"}))
    assert check_files(tmp_path) == "abc"
    match harm:
        case "cut":
            path.write_bytes(path.read_bytes()[:-1])
        case "turned":
            path.write_bytes(b"G" + path.read_bytes()[1:])
        case _:
            path.unlink()
    with pytest.raises(ConfigurationError, match=r"lidar\.onnx.*export the model again"):
        check_files(tmp_path)


@pytest.mark.parametrize("text", ["half {", "[]", '{"files": 3}'])
def test_a_manifest_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"manifest\.json"):
        check_files(tmp_path)


def test_a_manifest_of_a_training_run_lists_no_files(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"config_hash": "x", "settings": {}}')
    assert check_files(tmp_path) == ""
