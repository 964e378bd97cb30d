"""A checkpoint of `train` as a folder that the torch backend opens."""

from __future__ import annotations

import hashlib
import io
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from mm_fusion.config import dump_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.cache_folder import cache_folder, write_beside


def unpack_checkpoint(path: Path) -> Path:
    """A folder with `model.yaml` and `weights.safetensors` of a checkpoint's averaged weights, no graphs.

    It lies in the cache under the checkpoint's hash, else in a temporary folder of this process. Raises
    `ConfigurationError`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    digest = hashlib.sha256(content).hexdigest()[:16]
    cache = cache_folder()
    folder = _temporary_folder(digest) if cache is None else cache / "checkpoints" / digest
    if not (folder / "model.yaml").is_file():
        # not read again: a run that goes on may have written the next one meanwhile
        config, weights = read_checkpoint(path, content)
        write_beside(folder / "weights.safetensors", _served(path, weights))
        write_beside(folder / "model.yaml", dump_config(config).encode())  # last: says that all is there
    return folder


def read_checkpoint(path: Path, content: bytes | None = None) -> tuple[LearnedConfig, dict[str, Any]]:
    """Config and averaged weights by name of a training checkpoint, the newest where none are averaged.

    content: of the file where it was read already. Raises `ConfigurationError`.
    """
    try:
        import torch
    except ImportError as error:
        raise _lacking(path, error) from error
    try:
        source = path if content is None else io.BytesIO(content)
        kept: dict[str, Any] = torch.load(source, map_location="cpu", weights_only=True)
        weights = kept.get("ema", {}).get("mean") or {
            name.removeprefix("model."): value
            for name, value in kept["state_dict"].items()
            if name.startswith("model.")
        }
        return LearnedConfig.model_validate(kept["config"]), weights
    except Exception as error:
        said = (str(error).splitlines() or [repr(error)])[0]
        raise ConfigurationError(f"{path}: expected a checkpoint of mm-fusion train, got {said}") from error


def _lacking(path: Path, error: ImportError) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: a checkpoint needs torch and safetensors ({error}); export it where they are, or install "
        "extra train"
    )


def _served(path: Path, weights: dict[str, Any]) -> bytes:
    """As a file, without what training alone needs."""
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise _lacking(path, error) from error
    return save({n: _half(value) for n, value in weights.items() if not n.startswith("auxiliary.")})


def _half(value: Any) -> Any:
    """As `export` stores it, so that a checkpoint and its export give the same numbers."""
    return (value.half() if value.is_floating_point() else value).contiguous()


@lru_cache
def _temporary_folder(digest: str) -> Path:
    folder = tempfile.TemporaryDirectory(prefix=f"mm_fusion_{digest}_")
    _KEPT.append(folder)  # removed when the process ends
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
