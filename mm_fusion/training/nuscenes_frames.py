"""Labelled frames of nuScenes, from its own tables and files; the devkit is not needed.

A frame is a sample (2 Hz): each sensor keeps its own time, and earlier clouds and scans come from the sweeps
between samples. nuScenes' ego frame lies on the ground below the rear axle, so it is `base_link`; ego motion
is the difference of its poses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.errors import BagError, MeasurementError
from mm_fusion.frame import Calibration, Frame
from mm_fusion.geometry.motion import exp_twist, log_twist
from mm_fusion.geometry.transforms import inverse
from mm_fusion.measurements import CameraModel, Deferred, EgoMotion, Float64, Measurement, SensorKind
from mm_fusion.training.labelled import EVERYWHERE
from mm_fusion.training.nuscenes_files import read_measurement
from mm_fusion.training.nuscenes_splits import scenes_of_split, tables_folder
from mm_fusion.training.nuscenes_tables import by_token, read_recordings, read_samples
from mm_fusion.training.nuscenes_truth import read_annotations

SWEEPS: dict[SensorKind, int] = {"lidar": 9, "radar": 5}
"""Earlier sweeps offered with a frame, read when a model takes them."""
LONGEST_POSE_GAP_S = 1.2
"""Poses farther apart than this say nothing of the speed between them."""


class NuscenesFrames:
    """The samples of one split of nuScenes; works in forked and spawned processes, in any order."""

    region = EVERYWHERE

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        vehicle: VehicleConfig | None = None,
        scenes: Sequence[str] | None = None,
    ) -> None:
        """folder: with `v1.0-*`, `samples` and `sweeps`, or the `v1.0-*` in it. scenes: names in place of a
        split.

        vehicle: its sensors are the channels read; None: the one of nuScenes. Raises `BagError` where tables
        are missing or broken, or where no file of any scene is there.
        """
        tables = tables_folder(folder)
        if tables is None:
            raise BagError(
                f"{folder}: expected the tables of nuScenes in it or in v1.0-* below it, found none"
            )
        self._root = tables.parent
        self.vehicle = load_vehicle("nuscenes_like") if vehicle is None else vehicle
        known = sorted(by_token(tables / "scene.json", "name").values())
        wanted = scenes_of_split(tables, known, split) if scenes is None else _checked(tables, known, scenes)
        samples = read_samples(tables, wanted)
        self._recordings = read_recordings(tables, samples, list(self.vehicle.sensors))
        self._annotations = read_annotations(tables, samples)
        self._lost: dict[int, str] = {}
        self._samples = self._with_files()
        if not len(self._samples):
            raise BagError(
                f"{self._root}: none of the files of {len(wanted)} scenes is there; unpack the sensor blobs "
                "beside the tables"
            )

    def _with_files(self) -> np.ndarray:
        """Numbers of the samples in scenes whose first sample has files: parts of the set may be left out."""
        recordings, kept = self._recordings, []
        for scene in range(len(recordings.scenes)):
            numbers = np.flatnonzero(recordings.sample_scene == scene)
            rows = recordings.key_rows[numbers[:1]].ravel()
            if any(self._path(int(row)).is_file() for row in rows if row >= 0):
                kept.append(numbers)
        return np.concatenate(kept) if kept else np.zeros(0, np.int64)

    @property
    def missing(self) -> Counter[str]:
        """Files looked for so far that the tables name and the folder lacks, by sensor; it is absent then."""
        return Counter(self._lost.values())

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        if not 0 <= number < len(self):
            raise IndexError(f"frame {number} of {len(self)}")
        sample, recordings = int(self._samples[number]), self._recordings
        stamp_ns = int(recordings.sample_stamp_ns[sample])
        rows = {
            name: int(row) for name, row in zip(recordings.channels, recordings.key_rows[sample]) if row >= 0
        }
        if not rows:
            raise BagError(f"{self._root}: sample_data.json names no file for the sample at {stamp_ns} ns")
        ego, global_from_base = self._motion(rows, stamp_ns)
        truth = self._annotations.truth(sample, stamp_ns, global_from_base)
        return self._frame(stamp_ns, rows, ego), truth

    def class_ids(self) -> list[NDArray[np.int16]]:
        """Class ids of each frame's objects, without reading its files."""
        starts, ids = self._annotations.starts, self._annotations.class_id
        return [ids[starts[sample] : starts[sample + 1]] for sample in self._samples]

    def _frame(self, stamp_ns: int, rows: dict[str, int], ego: EgoMotion | None) -> Frame:
        read = {name: self._measurement(name, row) for name, row in rows.items()}
        found = {name: item for name, item in read.items() if item is not None}
        sensors = self.vehicle.sensors
        return Frame(
            stamp_ns,
            found,
            {name: sensor.kind for name, sensor in sensors.items()},
            {name: name in found for name in sensors},
            {name: stamp_ns - item.stamp_ns for name, item in found.items()},
            self._calibration(rows),
            ego,
            {name: self._earlier(name, row) for name, row in rows.items() if name in found},
        )

    def _path(self, row: int) -> Path:
        return self._root / self._recordings.file[row].decode()

    def _measurement(self, name: str, row: int) -> Measurement | None:
        try:
            stamp_ns = int(self._recordings.stamp_ns[row])
            return read_measurement(self._path(row), name, stamp_ns, self.vehicle.sensors[name])
        except FileNotFoundError:
            self._lost[row] = name
            return None

    def _earlier(self, name: str, row: int) -> tuple[Deferred, ...]:
        """Sweeps before file `row`, newest first, as far as they are there."""
        sensor, found = self.vehicle.sensors[name], []
        for earlier in self._recordings.neighbours(row, SWEEPS.get(sensor.kind, 0)):
            path, stamp_ns = self._path(earlier), int(self._recordings.stamp_ns[earlier])
            if path.is_file():
                decode = partial(read_measurement, path, name, stamp_ns, sensor)
                found.append(Deferred(stamp_ns, name, path.stat().st_size, decode))
            else:
                self._lost[earlier] = name
        return tuple(found)

    def _calibration(self, rows: dict[str, int]) -> Calibration:
        recordings, models = self._recordings, {}
        places = {name: int(recordings.place[row]) for name, row in rows.items()}
        for name, place in places.items():
            if self.vehicle.sensors[name].kind == "camera":
                width, height = (int(side) for side in recordings.size_px[rows[name]])
                # images are undistorted
                models[name] = CameraModel(
                    recordings.matrices[place], np.zeros(0), "plumb_bob", width, height
                )
        return Calibration({n: recordings.base_from_sensor[p] for n, p in places.items()}, models)

    def _camera_model(self, row: int) -> CameraModel:
        """The camera that took file `row`: images of nuScenes are undistorted."""
        recordings = self._recordings
        width, height = (int(side) for side in recordings.size_px[row])
        try:
            matrix = recordings.matrices[recordings.place[row]]
            return CameraModel(matrix, np.zeros(0), "plumb_bob", width, height)
        except MeasurementError as error:
            raise BagError(f"{self._path(row)}: of no usable camera: {error}") from error

    def _motion(self, rows: dict[str, int], stamp_ns: int) -> tuple[EgoMotion | None, Float64]:
        """The twist at `stamp_ns`, None where only one pose is known, and global_from_base then."""
        stamps, recordings = self._recordings.stamp_ns, self._recordings
        nearest = sorted(rows.values(), key=lambda row: abs(int(stamps[row]) - stamp_ns))
        twists = ((row, self._twist(row)) for row in nearest)
        row, twist = next((pair for pair in twists if pair[1] is not None), (nearest[0], None))
        pose = recordings.global_from_base(row)
        if twist is None:
            return None, pose
        pose = pose @ exp_twist(*twist, (stamp_ns - int(stamps[row])) * 1e-9)
        return EgoMotion(stamp_ns, *twist, pose), pose

    def _twist(self, row: int) -> tuple[Float64, Float64] | None:
        """Linear and angular velocity at file `row` from the poses of the files around it."""
        recordings = self._recordings
        around = [
            other
            for other in (row - 1, row, row + 1)
            if 0 <= other < len(recordings.group) and recordings.group[other] == recordings.group[row]
        ]
        seconds = int(recordings.stamp_ns[around[-1]] - recordings.stamp_ns[around[0]]) * 1e-9
        if not 0 < seconds <= LONGEST_POSE_GAP_S:
            return None
        first, last = (recordings.global_from_base(each) for each in (around[0], around[-1]))
        return log_twist(inverse(first) @ last, seconds)


def _checked(tables: Path, known: Sequence[str], scenes: Sequence[str]) -> list[str]:
    """The scenes asked for; raises `BagError` for one that the tables do not know."""
    lost = [name for name in scenes if name not in known]
    if lost:
        raise BagError(f"{tables}: has no scene {', '.join(lost)}; it has {len(known)}, such as {known[0]}")
    return list(scenes)
