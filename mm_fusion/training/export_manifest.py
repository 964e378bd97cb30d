"""What an exported folder holds, with the hash of each file, so that who loads it can tell it is whole."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mm_fusion.evaluation.json_file import write_json

MANIFEST = "manifest.json"
LISTED = (
    "camera.onnx",
    "lidar.onnx",
    "radar.onnx",
    "fusion.onnx",
    "model.yaml",
    "weights.safetensors",
    "samples.npz",
)
"""Files that a manifest names where they are there; a report beside them is nobody's input."""
LIBRARIES = ("torch", "onnx", "onnxruntime", "onnxscript")


def write_manifest(folder: Path, precision: str, model_hash: str) -> Path:
    """`manifest.json` of an exported folder, written last: hash, precision, files, weights, exported_with.

    hash: that in the metadata of the four graphs. files: sha256 by name. weights: sha256 of the float16
    weights that all precisions are made from. Raises `ResultError` where the folder cannot be written.
    """
    files = {name: file_hash(folder / name) for name in LISTED if (folder / name).is_file()}
    tree: dict[str, Any] = {
        "hash": model_hash,
        "precision": precision,
        "files": files,
        "weights": files.get("weights.safetensors"),
        "exported_with": {name: _version(name) for name in LIBRARIES},
    }
    write_json(folder / MANIFEST, tree)
    return folder / MANIFEST


def file_hash(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
