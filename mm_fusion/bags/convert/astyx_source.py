"""Frames of the Astyx HiRes 2019 data set from either layout: a repacked split folder, or the original
download.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.recording import reading_source
from mm_fusion.errors import BagError

RADAR, LIDAR, CAMERA = "radar_6455", "lidar_vlp16", "camera_front"
HOUR_US = 3_600_000_000
"""The LiDAR's clock wraps each hour."""
RUN_GAP_US = 15_000_000
"""Frames further apart belong to different runs."""


@dataclass(frozen=True, slots=True, eq=False)
class AstyxCalibration:
    """ref_from_sensor: (4, 4) float64 by sensor, the reference being the radar; camera_matrix: (3, 3)."""

    ref_from_sensor: Mapping[str, NDArray[np.float64]]
    camera_matrix: NDArray[np.float64]

    def same_as(self, other: AstyxCalibration | None) -> bool:
        """Whether both say the same to the last digit."""
        if other is None or not np.array_equal(self.camera_matrix, other.camera_matrix):
            return False
        return all(
            np.array_equal(self.ref_from_sensor[s], other.ref_from_sensor[s]) for s in (RADAR, LIDAR, CAMERA)
        )


@dataclass(frozen=True, slots=True, eq=False)
class AstyxScans:
    """A frame's points in their sensors' own frames, as recorded.

    lidar_xyz (N, 3) float32 m, lidar_reflectivity (N,) 0..255, lidar_ring (N,), lidar_time_ns (N,) int64
    from the scan's first point; radar (M, 5) float32: x y z m, radial velocity m/s (approaching positive),
    magnitude dB.
    """

    lidar_xyz: NDArray[np.float32]
    lidar_reflectivity: NDArray[np.float32]
    lidar_ring: NDArray[np.int16]
    lidar_time_ns: NDArray[np.int64]
    radar: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AstyxFrame:
    """One frame. clock_us: middle of the scan on the LiDAR's clock; run: None where the layout does not say.

    objects: as in the label file (`classname center3d dimension3d orientation_quat occlusion`, ...).
    """

    index: int
    run: int | None
    clock_us: float
    calibration: AstyxCalibration
    objects: list[dict[str, Any]]
    image: Path
    load: Callable[[], AstyxScans]


def list_frames(source: Path) -> list[AstyxFrame]:
    """The frames of `source` in order of index, points not read yet.

    source: a split folder with `<index>.jpg|npz|json`, or the download's folder (or one above it) with
    `camera_front lidar_vlp16 radar_6455 groundtruth_obj3d calibration`. Raises `BagError` for anything else.
    """
    if not source.is_dir():
        raise BagError(f"{source}: no such folder; expected an Astyx split or the original download")
    if any(source.glob("*.npz")):
        return [_split_frame(path) for path in sorted(source.glob("*.npz"))]
    for root in (
        source,
        source / "dataset_astyx_hires2019",
        source / "dataset_astyx_hires2019/dataset_astyx_hires2019",
    ):
        if (root / LIDAR).is_dir():
            return [_original_frame(root, path.stem) for path in sorted((root / LIDAR).glob("*.txt"))]
    inside = ", ".join(path.parent.name for path in source.glob("*/*.npz") if path.stem.isdigit())
    found = f"found {_unique(inside)}: name one of these folders" if inside else "found neither"
    raise BagError(f"{source}: expected <index>.npz files or a folder {LIDAR}; {found}")


def assign_runs(frames: list[AstyxFrame]) -> Iterator[tuple[int, AstyxFrame, float]]:
    """(run, frame, seconds since the run's previous frame; 0 at its start), runs counted from 0 in order.

    A run ends where the layout says so, or where the clock's difference, taken modulo its hour, exceeds 15 s.
    """
    run, previous = -1, None
    for frame in frames:
        gap_us = (frame.clock_us - previous.clock_us) % HOUR_US if previous else 0.0
        parted = previous is None or (gap_us > RUN_GAP_US if frame.run is None else frame.run != previous.run)
        run += parted
        previous = frame
        yield run, frame, 0.0 if parted else gap_us / 1e6


def _split_frame(path: Path) -> AstyxFrame:
    label = _read_json(path.with_suffix(".json"))
    with reading_source(path), np.load(path) as arrays:
        start_us, span_us = int(arrays["lidar_t0_us"]), int(arrays["lidar_dt_us"].sum(dtype=np.int64))
    with reading_source(path.with_suffix(".json")):
        calibration = _calibration(label["calibration"])
        objects, index, run = list(label["objects"]), int(label["index"]), int(label["run"])
    image = _existing(path.with_suffix(".jpg"))
    return AstyxFrame(
        index, run, start_us + span_us / 2, calibration, objects, image, lambda: _split_scans(path)
    )


def _split_scans(path: Path) -> AstyxScans:
    with reading_source(path), np.load(path) as arrays:
        return AstyxScans(
            lidar_xyz=(arrays["lidar_xyz_cm"].T * np.float32(0.01)).astype(np.float32),
            lidar_reflectivity=arrays["lidar_intensity"].astype(np.float32),
            lidar_ring=arrays["lidar_ring"].astype(np.int16),
            lidar_time_ns=np.cumsum(arrays["lidar_dt_us"], dtype=np.int64) * 1000,
            radar=np.ascontiguousarray(arrays["radar"].T, dtype=np.float32),
        )


def _original_frame(root: Path, name: str) -> AstyxFrame:
    lidar = root / LIDAR / f"{name}.txt"
    calibration_path = root / "calibration" / f"{name}.json"
    label_path = root / "groundtruth_obj3d" / f"{name}.json"
    first_us, last_us = _first_and_last_time_us(lidar)
    with reading_source(calibration_path):
        sensors = {
            entry["sensor_uid"]: entry["calib_data"] for entry in _read_json(calibration_path)["sensors"]
        }
        calibration = _calibration(sensors)
    with reading_source(label_path):
        objects = list(_read_json(label_path)["objects"])
    middle_us = first_us + (last_us - first_us) % HOUR_US / 2
    image = _existing(root / CAMERA / f"{name}.jpg")
    radar = _existing(root / RADAR / f"{name}.txt")
    return AstyxFrame(
        int(name), None, middle_us, calibration, objects, image, lambda: _original_scans(lidar, radar)
    )


def _original_scans(lidar: Path, radar: Path) -> AstyxScans:
    points = _table(lidar, columns=6)
    clock_us = points[:, 5].astype(np.int64)
    return AstyxScans(
        lidar_xyz=points[:, :3].astype(np.float32),
        lidar_reflectivity=points[:, 3].astype(np.float32),
        lidar_ring=points[:, 4].astype(np.int16),
        lidar_time_ns=(clock_us - clock_us[:1]) % HOUR_US * 1000,
        radar=_table(radar, columns=5).astype(np.float32),
    )


def _table(path: Path, columns: int) -> NDArray[np.float64]:
    """The numbers below the header line that begins with `X`: `X Y Z ...`."""
    with reading_source(path), open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("X"):
                break
        table = np.loadtxt(file, dtype=np.float64, ndmin=2)
        if table.size == 0:
            return np.zeros((0, columns))
        if table.shape[1] != columns:
            raise ValueError(f"expected {columns} columns, got {table.shape[1]}")
        return table


def _first_and_last_time_us(path: Path) -> tuple[float, float]:
    """The last column of the first and the last point, without reading the points between."""
    with reading_source(path), open(path, "rb") as file:
        head = [line for line in (file.readline() for _ in range(4)) if line[:1] in b"-+.0123456789"]
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4096))
        tail = file.read().split(b"\n")
        last = next(line for line in reversed(tail) if line.strip())
        return float(head[0].split()[-1]), float(last.split()[-1])


def _calibration(sensors: Mapping[str, Any]) -> AstyxCalibration:
    ref_from_sensor = {}
    for name in (RADAR, LIDAR, CAMERA):
        matrix = np.array(sensors[name]["T_to_ref_COS"], np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(f"expected a finite 4x4 T_to_ref_COS of {name}, got {matrix.tolist()}")
        ref_from_sensor[name] = matrix
    return AstyxCalibration(ref_from_sensor, np.array(sensors[CAMERA]["K"], np.float64)[:3, :3])


def _read_json(path: Path) -> Any:
    with reading_source(path), open(path, encoding="utf-8") as file:
        return json.load(file)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise BagError(f"{path}: is missing; expected an image, LiDAR, radar and label file for every frame")
    return path


def _unique(text: str) -> str:
    return ", ".join(dict.fromkeys(text.split(", ")))
