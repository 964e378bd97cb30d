"""The files of a model: found by what `--model` says, and checked before anything runs them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mm_fusion.errors import ConfigurationError

GRAPHS = ("camera", "lidar", "radar", "fusion")
SHIPPED = Path(__file__).resolve().parent.parent / "weights"
"""One folder per shipped model (package data)."""
MANIFEST = "manifest.json"


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob("*/model.yaml")))


def find_model(name: str) -> Path:
    """The folder of a learned model: a shipped one's name, a folder of `export`, or a checkpoint of `train`.

    A shipped name goes before a folder of that name (write `./tiny` for that one). A folder of a run stands
    for its `last.ckpt`. A checkpoint is unpacked into the cache and has no graphs: only torch runs it, until
    it is exported. Raises `ConfigurationError` with the choices.
    """
    if name in shipped_models():
        return SHIPPED / name
    path = Path(name)
    if path.is_dir():
        checkpoint = path / "last.ckpt"
        return _unpacked(checkpoint) if checkpoint.is_file() and not has_graphs(path) else _exported(path)
    if path.is_file():
        return _unpacked(path)
    shipped = ", ".join(shipped_models()) or "none with this installation"
    raise ConfigurationError(
        f"model {name!r}: no such model; choices are geometric, a YAML file of its settings, a shipped model "
        f"({shipped}), the folder of an exported model, or a checkpoint of mm-fusion train"
    )


def has_graphs(folder: Path) -> bool:
    """Whether the folder holds ONNX files, which every backend but torch needs."""
    return (folder / "fusion.onnx").is_file()


def has_weights(folder: Path) -> bool:
    """Whether the folder holds the weights that torch needs."""
    return (folder / "weights.safetensors").is_file()


def precision_of(folder: Path) -> str:
    """The precision that the graphs were exported in: `fp32` where no manifest says another."""
    try:
        return str(json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("precision", "fp32"))
    except (OSError, ValueError, AttributeError):
        return "fp32"


def check_files(folder: Path) -> str:
    """The model's hash by its manifest, '' where it has none; every file that it lists is as it was written.

    Raises `ConfigurationError` that names the first file that is missing or another one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return ""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = dict(manifest.get("files", {}))
        whole = str(manifest.get("hash", ""))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"{path}: expected a manifest of mm-fusion export, got {error}") from error
    for name, digest in sorted(files.items()):
        _check_file(folder / Path(name).name, str(digest))
    return whole


def _check_file(path: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: its manifest lists it, but it cannot be read: {error.strerror}; export the model again"
        ) from error
    if found != digest:
        raise ConfigurationError(
            f"{path}: expected the file that export wrote (sha256 {digest[:12]}), got another one "
            f"({found[:12]}): cut short or changed; export the model again"
        )


def _exported(folder: Path) -> Path:
    if not (folder / "model.yaml").is_file():
        raise ConfigurationError(f"{folder}: expected model.yaml and four graphs; make them with export")
    return folder


def _unpacked(checkpoint: Path) -> Path:
    from mm_fusion.runtime.checkpoint_files import unpack_checkpoint

    return unpack_checkpoint(checkpoint)
