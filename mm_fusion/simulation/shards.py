"""Training data on disk: one file for some dozens of frames, images as JPEG and points as float16.

A shard is an uncompressed `.npz`: `meta` (JSON: frames, sensors, slices), `jpeg` (bytes of all images),
`lidar` (N, 5) float16 x y z m, intensity, s from the stamp, `ring` (N,) uint8, `radar` (N, 5) float16 x y z
m, m/s, dB, and `truth` float32. A float16 is off by at most 0.016 m up to 64 m and 0.031 m beyond.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import make_detections
from mm_fusion.errors import BagError
from mm_fusion.frame import Calibration, Frame
from mm_fusion.measurements import (
    CameraImage,
    CameraModel,
    EgoMotion,
    LidarSweep,
    Measurement,
    RadarScan,
    SensorKind,
)

TRUTH_COLUMNS = (
    "x", "y", "z", "length", "width", "height", "yaw", "vx", "vy", "class_id", "track_id", "moving",
)  # fmt: skip
"""Columns of `truth`; those of `TruthFrame.extra` follow, named in `meta`."""
Sample = tuple[Frame, TruthFrame]


class _Columns:
    """Arrays under collection, and where each part begins and ends."""

    def __init__(self) -> None:
        self._parts: list[NDArray] = []
        self._count = 0

    def add(self, rows: NDArray) -> tuple[int, int]:
        """(begin, end) of `rows` among all rows."""
        begin, self._count = self._count, self._count + len(rows)
        self._parts.append(rows)
        return begin, self._count

    def joined(self, width: int, dtype: type) -> NDArray:
        """All rows, (N, width), or (N,) for width 0."""
        shape = (0, width) if width else (0,)
        return np.concatenate([np.zeros(shape, dtype), *self._parts]).astype(dtype, copy=False)


def write_shard(path: Path, samples: Sequence[Sample], about: Mapping[str, Any]) -> None:
    """Write `samples`; the file takes its name when whole. about: kept in `meta` beside the frames."""
    jpeg, lidar, ring, radar, truth = (_Columns() for _ in range(5))
    frames = []
    for frame, objects in samples:
        entries = {
            name: [_packed(item, jpeg, lidar, ring, radar) for item in (newest, *frame.earlier.get(name, ()))]
            for name, newest in frame.measurements.items()
        }
        frames.append({**_frame_meta(frame), "measurements": entries, "truth": _packed_truth(objects, truth)})
    extra = sorted(samples[0][1].extra) if samples else []
    meta = json.dumps({**about, "extra": extra, "frames": frames}, separators=(",", ":"))
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            np.savez(
                file,
                meta=np.frombuffer(meta.encode(), np.uint8),
                jpeg=jpeg.joined(0, np.uint8),
                lidar=lidar.joined(5, np.float16),
                ring=ring.joined(0, np.uint8),
                radar=radar.joined(5, np.float16),
                truth=truth.joined(len(TRUTH_COLUMNS) + len(extra), np.float32),
            )
        os.replace(beside, path)
    except OSError as error:
        raise BagError(f"{path}: cannot be written: {error}; what was whole before is kept") from error
    finally:
        beside.unlink(missing_ok=True)


def _frame_meta(frame: Frame) -> dict[str, Any]:
    ego = frame.ego
    return {
        "stamp_ns": frame.stamp_ns,
        "kinds": dict(frame.kinds),
        "mounts": {name: mount.tolist() for name, mount in frame.calibration.base_from_sensor.items()},
        "cameras": {
            name: [m.matrix.tolist(), m.distortion.tolist(), m.distortion_model, m.width_px, m.height_px]
            for name, m in frame.calibration.camera_models.items()
        },
        "ego": None if ego is None else [ego.linear_velocity.tolist(), ego.angular_velocity.tolist()],
    }


def _packed(item: Any, jpeg: _Columns, lidar: _Columns, ring: _Columns, radar: _Columns) -> dict[str, Any]:
    entry: dict[str, Any] = {"stamp_ns": item.stamp_ns, "frame_id": item.frame_id}
    if isinstance(item, CameraImage):
        entry["rows"] = jpeg.add(np.frombuffer(bytes(item.encoded or b""), np.uint8))
        entry["row_time_ns"] = item.row_time_ns
    elif isinstance(item, LidarSweep):
        rows = np.column_stack([item.xyz, item.intensity, item.time_offset_ns * np.float32(1e-9)])
        entry["rows"] = lidar.add(rows.astype(np.float16))
        ring.add((np.zeros(len(rows)) if item.ring is None else item.ring).astype(np.uint8))
    else:
        rows = np.column_stack([item.xyz, item.radial_velocity, item.strength_db])
        entry["rows"] = radar.add(rows.astype(np.float16))
        entry["strength_kind"], entry["ambiguity_mps"] = item.strength_kind, item.ambiguity_mps
    return entry


def _packed_truth(truth: TruthFrame, columns: _Columns) -> tuple[int, int]:
    objects = truth.objects
    track_id = np.full(len(objects), -1) if objects.track_id is None else objects.track_id
    extra = [truth.extra[name] for name in sorted(truth.extra)]
    rows: list[NDArray] = [objects.center, objects.size, objects.yaw, objects.velocity]
    rows += [objects.class_id, track_id, objects.moving, *extra]
    return columns.add(np.column_stack(rows).astype(np.float32))


class OpenShard(Sequence[Sample]):
    """A shard in memory, its frames made as they are asked for; raises `BagError` for a broken file."""

    def __init__(self, path: str | Path) -> None:
        try:
            with np.load(path) as arrays:
                self._parts = {name: arrays[name] for name in ("jpeg", "lidar", "ring", "radar", "truth")}
                self.meta: dict[str, Any] = json.loads(arrays["meta"].tobytes())
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise BagError(
                f"{path}: is no whole shard: {error}; delete it and run the same simulate --dataset again"
            ) from error

    def __len__(self) -> int:
        return len(self.meta["frames"])

    def __getitem__(self, number: Any) -> Any:
        """The frame and truth of a number, or those of a slice."""
        if isinstance(number, slice):
            return [self[index] for index in range(len(self))[number]]
        entry = self.meta["frames"][number]
        return _frame(entry, self._parts), _truth(entry, self.meta["extra"], self._parts["truth"])


def read_shard(path: str | Path) -> Iterator[Sample]:
    """The frames of a shard with their truth, as they were written; raises `BagError` for a broken file."""
    yield from OpenShard(path)


def shard_meta(path: str | Path) -> dict[str, Any]:
    """What a shard says of itself, without its frames' payloads."""
    with np.load(path) as arrays:
        return dict(json.loads(arrays["meta"].tobytes()))


def _frame(entry: Mapping[str, Any], parts: Mapping[str, NDArray]) -> Frame:
    kinds: dict[str, SensorKind] = entry["kinds"]
    items = {
        name: [_item(kinds[name], found, parts) for found in entry["measurements"][name]]
        for name in entry["measurements"]
    }
    models = {
        name: CameraModel(np.array(matrix), np.array(distortion, np.float64), model, width, height)
        for name, (matrix, distortion, model, width, height) in entry["cameras"].items()
    }
    stamp_ns, ego = entry["stamp_ns"], entry["ego"]
    return Frame(
        stamp_ns=stamp_ns,
        measurements={name: found[0] for name, found in items.items()},
        kinds=kinds,
        available={name: name in items for name in kinds},
        age_ns={name: stamp_ns - found[0].stamp_ns for name, found in items.items()},
        calibration=Calibration({name: np.array(m) for name, m in entry["mounts"].items()}, models),
        ego=None if ego is None else EgoMotion(stamp_ns, np.array(ego[0]), np.array(ego[1])),
        earlier={name: tuple(found[1:]) for name, found in items.items() if len(found) > 1},
    )


def _item(kind: SensorKind, entry: Mapping[str, Any], parts: Mapping[str, NDArray]) -> Measurement:
    stamp_ns, frame_id, rows = entry["stamp_ns"], entry["frame_id"], slice(*entry["rows"])
    if kind == "camera":
        encoded = parts["jpeg"][rows].tobytes()
        return CameraImage(
            stamp_ns, frame_id, encoded=encoded, format="jpeg", row_time_ns=entry["row_time_ns"]
        )
    points = parts["lidar" if kind == "lidar" else "radar"][rows].astype(np.float32)
    xyz = np.ascontiguousarray(points[:, :3])
    if kind == "lidar":
        times = np.round(points[:, 4].astype(np.float64) * 1e9).astype(np.int32)
        return LidarSweep(
            stamp_ns, frame_id, xyz, points[:, 3].copy(), times, parts["ring"][rows].astype(np.int16)
        )
    return RadarScan(
        stamp_ns, frame_id, xyz, points[:, 3].copy(), points[:, 4].copy(),
        entry["strength_kind"], ambiguity_mps=entry["ambiguity_mps"],
    )  # fmt: skip


def _truth(entry: Mapping[str, Any], extra: Sequence[str], table: NDArray) -> TruthFrame:
    rows = table[slice(*entry["truth"])]
    column = {name: rows[:, i] for i, name in enumerate((*TRUTH_COLUMNS, *extra))}
    objects = make_detections(
        len(rows),
        center=rows[:, :3],
        size=rows[:, 3:6],
        yaw=column["yaw"],
        velocity=rows[:, 7:9],
        class_id=column["class_id"],
        track_id=column["track_id"],
        moving=column["moving"],
        score=np.ones(len(rows)),
        position_cov=np.zeros((len(rows), 3)),
        velocity_cov=np.zeros((len(rows), 3)),
        variance=np.zeros((len(rows), 5)),
    )
    return TruthFrame(entry["stamp_ns"], "base_link", objects, {name: column[name].copy() for name in extra})
