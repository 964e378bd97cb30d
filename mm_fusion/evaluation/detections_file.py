"""`detections.json` on disk and back: the same results always give the same bytes.

Format version 1, as the README documents it. Numbers are written as the shortest decimal that gives the same
float32 again; what is not finite is `null`, read back as NaN in `velocity` and as infinity in variances and
covariances.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.errors import ResultError
from mm_fusion.evaluation.json_file import finite_tree, read_json, write_whole

VERSION = 1

_WIDTHS = {"score": 0, "center": 3, "size": 3, "yaw": 0, "velocity": 2, "position_cov": 3, "velocity_cov": 3}
_WIDTHS |= {"variance": 5, "moving": 0, "contribution": 3}
_NULL_MEANS = {"velocity": np.nan, "position_cov": np.inf, "velocity_cov": np.inf, "variance": np.inf}


@dataclass(frozen=True, slots=True, eq=False)
class ResultFrame:
    """What was published for one reference time. mode: `CLR` ... `-`; available: by sensor name."""

    stamp_ns: int
    mode: str
    available: Mapping[str, bool]
    detections: Detections


@dataclass(frozen=True, slots=True, eq=False)
class DetectionsFile:
    """All results of one run. inputs: what went in, {name: hash}; frames in order of their stamps."""

    frame_id: str
    frames: Sequence[ResultFrame]
    classes: Sequence[str] = CLASSES
    inputs: Mapping[str, str] = field(default_factory=dict)


def write_detections(path: str | Path, file: DetectionsFile) -> None:
    """Write `file` as detections.json, one frame a line; it takes its name only when whole."""
    head = {
        "version": VERSION,
        "frame_id": file.frame_id,
        "classes": list(file.classes),
        "inputs": dict(file.inputs),
    }
    lines = ",\n".join(_compact(_frame_tree(frame)) for frame in file.frames)
    write_whole(path, f'{_compact(head)[:-1]},"frames":[\n{lines}\n]}}\n')


def _compact(tree: Any) -> str:
    return json.dumps(finite_tree(tree), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _frame_tree(frame: ResultFrame) -> dict[str, Any]:
    detections = frame.detections
    columns: dict[str, list[Any]] = {"class": detections.class_names()}
    columns |= {name: _shortest(getattr(detections, name)) for name in _WIDTHS}
    ids = detections.track_id
    columns["track_id"] = [None] * len(detections) if ids is None else ids.tolist()
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    available = {name: bool(there) for name, there in frame.available.items()}
    return {"stamp_ns": int(frame.stamp_ns), "mode": frame.mode, "available": available, "detections": rows}


def _shortest(array: np.ndarray) -> list[Any]:
    """`array` float32 as lists of the shortest doubles that round to it: 0.1, not 0.10000000149011612."""
    shortest: list[Any] = array.astype("U32").astype(np.float64).tolist()
    return shortest


def read_detections(path: str | Path) -> DetectionsFile:
    """Results from a detections.json, or from a recording (folder, .mcap, .db3) with a `detections_cloud`
    topic.

    Raises `ResultError` that names the file, the place in it and what was expected.
    """
    source = Path(path)
    if source.is_dir() or source.suffix in (".mcap", ".db3"):
        from mm_fusion.evaluation.recorded import read_recorded_detections

        return read_recorded_detections(source)
    return _parse_file(read_json(source), str(path))


def _parse_file(tree: Any, where: str) -> DetectionsFile:
    if not isinstance(tree, dict) or "version" not in tree:
        raise ResultError(f"{where}: expected a detections.json with a version, got {_kind(tree)}")
    if tree["version"] != VERSION:
        raise ResultError(
            f"{where}: expected version {VERSION}, got {tree['version']!r}; write it again with `run`"
        )
    classes = _get(tree, "classes", list, where)
    if foreign := [name for name in classes if name not in CLASSES]:
        raise ResultError(f"{where}: unknown class {foreign[0]!r}; known are {', '.join(CLASSES)}")
    frames = [
        _parse_frame(frame, f"{where}: frame {index}", classes)
        for index, frame in enumerate(_get(tree, "frames", list, where))
    ]
    frame_id = _get(tree, "frame_id", str, where)
    return DetectionsFile(frame_id, frames, tuple(classes), _get(tree, "inputs", dict, where))


def _parse_frame(tree: Any, where: str, classes: Sequence[str]) -> ResultFrame:
    stamp_ns = _get(tree, "stamp_ns", int, where)
    rows = _get(tree, "detections", list, where)
    for index, row in enumerate(rows):
        name = _get(row, "class", str, f"{where}: detection {index}")
        if name not in classes:
            raise ResultError(f"{where}: detection {index}: class {name!r} is not one of the file's classes")
    available = _get(tree, "available", dict, where)
    return ResultFrame(stamp_ns, _get(tree, "mode", str, where), available, _parse_detections(rows, where))


def _parse_detections(rows: list[dict[str, Any]], where: str) -> Detections:
    if not rows:
        return empty_detections()
    arrays: dict[str, np.ndarray | None] = {
        name: _column(rows, name, width, where) for name, width in _WIDTHS.items()
    }
    arrays["class_id"] = np.array([CLASSES.index(row["class"]) for row in rows])
    arrays["track_id"] = _track_ids(rows, where)
    return make_detections(len(rows), **arrays)


def _column(rows: list[dict[str, Any]], name: str, width: int, where: str) -> np.ndarray:
    shape = (len(rows), width) if width else (len(rows),)
    for index, row in enumerate(rows):
        if name not in row:
            raise ResultError(f"{where}: detection {index}: {name} is missing")
    try:
        array = np.array([row[name] for row in rows], np.float64)
    except (TypeError, ValueError) as error:
        raise ResultError(f"{where}: {name}: expected numbers of shape {shape}: {error}") from None
    if array.shape != shape:
        raise ResultError(f"{where}: {name}: expected shape {shape}, got {array.shape}")
    if name not in _NULL_MEANS and not np.isfinite(array).all():
        raise ResultError(f"{where}: {name}: expected finite numbers, got null or infinity")
    return np.where(np.isnan(array), _NULL_MEANS.get(name, 0.0), array)


def _track_ids(rows: list[dict[str, Any]], where: str) -> np.ndarray | None:
    ids = [row.get("track_id") for row in rows]
    if all(value is None for value in ids):
        return None
    if not all(value is None or (isinstance(value, int) and -(2**63) <= value < 2**63) for value in ids):
        raise ResultError(f"{where}: track_id: expected whole numbers or null, got {ids}")
    return np.array([-1 if value is None else value for value in ids], np.int64)


def _get(tree: Any, key: str, kind: type, where: str) -> Any:
    if not isinstance(tree, dict):
        raise ResultError(f"{where}: expected an object, got {_kind(tree)}")
    if key not in tree:
        raise ResultError(f"{where}: {key} is missing")
    if not isinstance(tree[key], kind) or (kind is int and isinstance(tree[key], bool)):
        raise ResultError(f"{where}: {key}: expected {kind.__name__}, got {_kind(tree[key])}")
    return tree[key]


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
