"""JSON files of results: written whole or not at all, with `null` for every number that is not finite."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from mm_fusion.errors import ResultError


def finite_tree(tree: Any) -> Any:
    """`tree` of dicts, lists and plain values with `None` in place of NaN and infinity."""
    if isinstance(tree, dict):
        return {key: finite_tree(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [finite_tree(value) for value in tree]
    if isinstance(tree, float) and not math.isfinite(tree):
        return None
    return tree


def write_json(path: str | Path, tree: Any) -> None:
    """Write `tree` to `path`, indented; raises `ResultError` where the folder cannot be written."""
    write_whole(path, json.dumps(finite_tree(tree), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_whole(path: str | Path, text: str) -> None:
    """Write `text` beside `path` and rename it when whole, so that no reader ever sees half a file."""
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(beside, target)
    except OSError as error:
        if beside.is_file():
            beside.unlink()
        raise ResultError(f"{path}: cannot be written: {error}; choose another --out") from error


def check_writable(path: str | Path) -> None:
    """Make the folder of `path`; raises `ResultError`, before any work is done, where that fails."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error}; choose another --out") from error
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        why = "it is a folder" if target.is_dir() else "its folder is not writable"
        raise ResultError(f"{path}: cannot be written: {why}; choose another --out")


def read_json(path: str | Path) -> Any:
    """The tree in the JSON file `path`; raises `ResultError` that says where it stops being JSON."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise ResultError(f"{path}: cannot be read: {reason}; expected a JSON file of results") from error
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: cannot be read: {error}; expected a JSON file of results") from error
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ResultError(
            f"{path}: is not whole JSON: {error}; is it a file of results, and was its run cut off?"
        ) from error
