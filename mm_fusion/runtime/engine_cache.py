"""Compiled engines in files that say what they were made from and for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mm_fusion.errors import FusionError
from mm_fusion.runtime.cache_folder import write_beside

_MAGIC = b"mm_fusion engine 1\n"


class EngineFileError(FusionError):
    """A stored engine that must not be loaded: of something else, cut short or changed."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that an engine hangs on; engines of equal keys are interchangeable."""

    graph: str
    onnx: str
    tensorrt: str
    gpu: str
    compute: str
    driver: str
    system: str
    profile: str

    def digest(self) -> str:
        """Sixteen digits that name the key."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def engine_path(folder: Path, model: str, key: EngineKey) -> Path:
    """Where the engine of a key lies. A word of every kind is in the name, for whoever tidies up."""
    return folder / "engines" / f"{_plain(model)}-{key.graph}-{_plain(key.gpu)}-{key.digest()}.engine"


def write_engine(path: Path, key: EngineKey, plan: bytes, parity: str) -> None:
    """Store a plan that has passed the gate (`parity` says against what), beside its name and renamed.

    Raises `OSError`.
    """
    header = {"key": asdict(key), "plan": hashlib.sha256(plan).hexdigest(), "parity": parity}
    text = json.dumps(header, sort_keys=True).encode()
    write_beside(path, _MAGIC + len(text).to_bytes(8, "big") + text + plan)


def read_engine(path: Path, key: EngineKey) -> bytes:
    """The plan of a stored engine; raises `EngineFileError` that says why it must not be loaded."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise EngineFileError("not built yet") from None
    except OSError as error:
        raise EngineFileError(f"{path.name} cannot be read: {error.strerror}") from error
    begin = len(_MAGIC) + 8
    size = int.from_bytes(content[len(_MAGIC) : begin], "big")
    plan = content[begin + size :]
    try:
        if not content.startswith(_MAGIC):
            raise ValueError("it has no header")
        header = json.loads(content[begin : begin + size])
        stored, digest = dict(header["key"]), str(header["plan"])
    except (ValueError, KeyError, TypeError) as error:
        raise EngineFileError(f"{path.name} is no engine file, or cut short: {error}") from error
    _check_key(stored, key, path)
    if hashlib.sha256(plan).hexdigest() != digest:
        raise EngineFileError(f"{path.name} is cut short or was changed: its hash is not the one written")
    return plan


def _check_key(stored: dict[str, str], key: EngineKey, path: Path) -> None:
    for name, wanted in asdict(key).items():
        if stored.get(name) != wanted:
            raise EngineFileError(
                f"{path.name} was built for {name} {stored.get(name, 'unknown')}, here is {wanted}"
            )


def refusal(path: Path) -> str:
    """Why the engine of this name was refused before, '' where it was not."""
    try:
        return str(json.loads(_refusal_path(path).read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def remember_refusal(path: Path, reason: str) -> None:
    """Keep an engine that failed the gate from being built again at every start; raises `OSError`."""
    path.unlink(missing_ok=True)
    write_beside(_refusal_path(path), json.dumps({"reason": reason}).encode())


def forget_refusal(path: Path) -> None:
    """Let the engine of this name be tried again."""
    _refusal_path(path).unlink(missing_ok=True)


def _refusal_path(path: Path) -> Path:
    return path.with_suffix(".refused.json")


def _plain(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text).strip("_") or "none"
