"""The tables of nuScenes as arrays: what was measured when, from where, and by which file.

Only the scenes asked for are kept, and of them only numbers: data-loading processes share arrays for nothing,
where millions of dictionaries would be copied. Source: the schema of nuScenes 1.0, Caesar et al. 2020.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.errors import BagError, MeasurementError
from mm_fusion.geometry.transforms import from_quaternion
from mm_fusion.measurements import Float64

_BETWEEN = re.compile(r"[\s,\[]*")


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """Every file of the scenes, sorted by scene, channel and time; S samples, C channels, D files.

    sample_stamp_ns, sample_scene: (S,), sorted by scene and time. key_rows: (S, C) the file of each sample
    and channel, -1 for none. group: (D,) scene times C plus channel: neighbours of one group follow each
    other in time. pose: (D, 7) x y z and quaternion w x y z of global_from_base at the file's time. place:
    (D,) row of `base_from_sensor` (P, 4, 4) and `matrices` (P, 3, 3), NaN where the sensor is no camera.
    size_px: (D, 2) width and height. file: (D,) bytes, path below the root.
    """

    scenes: list[str]
    channels: list[str]
    sample_stamp_ns: NDArray[np.int64]
    sample_scene: NDArray[np.int32]
    key_rows: NDArray[np.int32]
    group: NDArray[np.int32]
    stamp_ns: NDArray[np.int64]
    pose: Float64
    place: NDArray[np.int32]
    size_px: NDArray[np.int32]
    file: NDArray[np.bytes_]
    base_from_sensor: Float64
    matrices: Float64

    def global_from_base(self, row: int) -> Float64:
        """(4, 4) where the car was when file `row` was measured."""
        return matrix_of(self.pose[row, :3], self.pose[row, 3:])

    def neighbours(self, row: int, count: int) -> range:
        """The up to `count` files of the same channel and scene before `row`, newest first."""
        first = row
        while first > 0 and row - first < count and self.group[first - 1] == self.group[row]:
            first -= 1
        return range(row - 1, first - 1, -1)


def matrix_of(translation: Any, wxyz: Any) -> Float64:
    """The (4, 4) transform of a translation and a quaternion in nuScenes' order w x y z."""
    w, x, y, z = wxyz
    return from_quaternion((x, y, z, w), translation)


def rows_of(table: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table one by one; raises `BagError` where the file is missing, cut or no table."""
    try:
        text = table.read_text(encoding="utf-8")
    except OSError as error:
        raise BagError(f"{table}: expected a table of nuScenes: {error.strerror}") from error
    decoder, at, number = json.JSONDecoder(), _skip(text, 0), 0
    while at < len(text) and text[at] != "]":
        try:
            row, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise BagError(f"{table}: broken after row {number}: {error}; was it copied whole?") from error
        if not isinstance(row, dict):
            raise BagError(f"{table}: expected rows as objects, got {type(row).__name__} in row {number}")
        yield row
        at, number = _skip(text, at), number + 1
    if at >= len(text):
        raise BagError(f"{table}: ends after row {number} without a closing bracket; was it copied whole?")


def _skip(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return at if found is None else found.end()


def read_rows(table: Path, take: Callable[[dict[str, Any]], None]) -> None:
    """Hand every row to `take`; raises `BagError` that names table and row where one lacks what is needed."""
    for number, row in enumerate(rows_of(table)):
        try:
            take(row)
        except KeyError as error:
            raise BagError(f"{table}: row {number} refers to or lacks {error.args[0]!r}") from error
        except (TypeError, ValueError, MeasurementError) as error:
            raise BagError(f"{table}: row {number} cannot be read: {error}") from error


def by_token(table: Path, *fields: str) -> dict[str, Any]:
    """One field, or a tuple of several, of every row by its token."""
    found: dict[str, Any] = {}

    def take(row: dict[str, Any]) -> None:
        found[row["token"]] = row[fields[0]] if len(fields) == 1 else tuple(row[name] for name in fields)

    read_rows(table, take)
    return found


@dataclass
class Samples:
    """Samples of the wanted scenes, sorted by scene and time, and their numbers by token."""

    scenes: list[str]
    number: dict[str, int]
    stamp_ns: NDArray[np.int64]
    scene: NDArray[np.int32]


def read_samples(tables: Path, wanted: list[str]) -> Samples:
    """The samples of the scenes named `wanted`."""
    order = {name: number for number, name in enumerate(wanted)}
    scene_of = {t: order[n] for t, n in by_token(tables / "scene.json", "name").items() if n in order}
    listed: list[tuple[int, int, str]] = []
    for token, (scene, stamp_us) in by_token(tables / "sample.json", "scene_token", "timestamp").items():
        if scene in scene_of:
            listed.append((scene_of[scene], int(stamp_us) * 1000, token))
    listed.sort()
    columns = np.array([(scene, stamp) for scene, stamp, _ in listed], np.int64).reshape(-1, 2)
    number = {token: place for place, (_, _, token) in enumerate(listed)}
    return Samples(wanted, number, columns[:, 1].copy(), columns[:, 0].astype(np.int32))


class _Files:
    """Collects rows of `sample_data.json` that belong to wanted samples and sensors."""

    def __init__(self, samples: Samples, places: _Places, channels: int) -> None:
        self._samples, self._places, self._channels = samples, places, channels
        self.pose_of: dict[str, int] = {}
        self._rows: list[tuple[int, ...]] = []
        self._names: list[bytes] = []

    def take(self, row: dict[str, Any]) -> None:
        """Keep a row, where it is wanted."""
        sample = self._samples.number.get(row["sample_token"])
        place = self._places.found.get(row["calibrated_sensor_token"])
        if sample is None or place is None:
            return
        group = int(self._samples.scene[sample]) * self._channels + place[1]
        key = sample if row["is_key_frame"] else -1
        size = int(row.get("width") or 0), int(row.get("height") or 0)
        pose = self.pose_of.setdefault(row["ego_pose_token"], len(self.pose_of))
        self._rows.append((group, int(row["timestamp"]) * 1000, key, place[0], pose, *size))
        self._names.append(row["filename"].encode())

    def sorted(self) -> tuple[NDArray[np.int64], NDArray[np.bytes_]]:
        """(D, 7) group, stamp, sample or -1, place, pose, width and height, and names, by group and time."""
        table = np.array(self._rows, np.int64).reshape(-1, 7)
        order = np.lexsort((table[:, 1], table[:, 0]))
        names = np.array(self._names, np.bytes_) if self._names else np.zeros(0, "S1")
        return table[order], names[order]


def read_recordings(tables: Path, samples: Samples, channels: list[str]) -> Recordings:
    """Every file of the samples and between them, of the sensors named `channels`."""
    places = _Places(tables, channels)
    files = _Files(samples, places, len(channels))
    read_rows(tables / "sample_data.json", files.take)
    poses = _poses(tables, files.pose_of)
    table, names = files.sorted()
    key_rows = np.full((len(samples.stamp_ns), len(channels)), -1, np.int32)
    keyed = np.flatnonzero(table[:, 2] >= 0)
    key_rows[table[keyed, 2], table[keyed, 0] % len(channels)] = keyed
    return Recordings(
        scenes=samples.scenes,
        channels=channels,
        sample_stamp_ns=samples.stamp_ns,
        sample_scene=samples.scene,
        key_rows=key_rows,
        group=table[:, 0].astype(np.int32),
        stamp_ns=table[:, 1].copy(),
        pose=poses[table[:, 4]],
        place=table[:, 3].astype(np.int32),
        size_px=table[:, 5:].astype(np.int32),
        file=names,
        base_from_sensor=np.array(places.base_from_sensor).reshape(-1, 4, 4),
        matrices=np.array(places.matrices).reshape(-1, 3, 3),
    )


class _Places:
    """Row and channel of each calibrated sensor by token (`found`), where it sits and its camera matrix."""

    def __init__(self, tables: Path, channels: list[str]) -> None:
        wanted = {name: number for number, name in enumerate(channels)}
        names = by_token(tables / "sensor.json", "channel")
        self._channel_of = {token: wanted[name] for token, name in names.items() if name in wanted}
        self.found: dict[str, tuple[int, int]] = {}
        self.base_from_sensor: list[Float64] = []
        self.matrices: list[Float64] = []
        read_rows(tables / "calibrated_sensor.json", self._take)

    def _take(self, row: dict[str, Any]) -> None:
        channel = self._channel_of.get(row["sensor_token"])
        if channel is None:
            return
        matrix = np.array(row["camera_intrinsic"] or [[np.nan] * 3] * 3, float).reshape(3, 3)
        self.found[row["token"]] = len(self.matrices), channel
        self.base_from_sensor.append(matrix_of(row["translation"], row["rotation"]))
        self.matrices.append(matrix)


def _poses(tables: Path, row_of: dict[str, int]) -> Float64:
    """(N, 7) x y z and quaternion w x y z of the poses whose rows `row_of` gives."""
    poses = np.full((len(row_of), 7), np.nan)

    def take(row: dict[str, Any]) -> None:
        at = row_of.get(row["token"])
        if at is not None:
            poses[at] = (*row["translation"], *row["rotation"])

    read_rows(tables / "ego_pose.json", take)
    if np.isnan(poses).any():
        lost = int(np.isnan(poses).any(axis=1).sum())
        raise BagError(f"{tables / 'ego_pose.json'}: lacks {lost} poses that sample_data.json refers to")
    return poses
