"""The Astyx HiRes 2019 data set as a recording on a level `base_link` that stands on the ground.

The data set has neither receipt times nor a common clock: all of a frame is taken as one instant, the
middle of its LiDAR scan, and received half a scan later. Within a run frames are apart as on the LiDAR's
clock; runs follow each other 20 s apart. Doppler is written as recorded, approaching positive
(`doppler_sign: -1` in the vehicle file says so). Truth: Person becomes pedestrian, Cyclist bicycle,
Motorcyclist motorcycle, Towed Object trailer, other classes keep their name, and what is none of the ten is
`unknown`; it has no velocity, ids or label certainty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.astyx_source import (
    CAMERA,
    LIDAR,
    RADAR,
    AstyxCalibration,
    AstyxFrame,
    AstyxScans,
    assign_runs,
    list_frames,
)
from mm_fusion.bags.convert.levelling import base_from_plane, plane_under
from mm_fusion.bags.convert.recording import (
    RECEIPT_DELAY_NS,
    STATIC_LEAD_NS,
    ConvertReport,
    Progress,
    Recorder,
    no_progress,
    points_per_box,
    truncation,
    truth_frame,
)
from mm_fusion.bags.truth import TruthFrame, write_truth
from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import BagWriter, Storage
from mm_fusion.errors import BagError
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import CameraModel, LidarSweep, RadarScan
from mm_fusion.messages.encode import (
    encode_camera_info,
    encode_compressed_image,
    encode_lidar,
    encode_radar_cloud,
    encode_radar_scan,
)

START_NS = 1_561_939_200_000_000_000
"""First stamp, 2019-07-01 UTC: the data set has no date, and a fixed one makes conversions repeatable."""
RUN_GAP_NS = 20_000_000_000
CLASS_OF = {
    "Car": "car",
    "Truck": "truck",
    "Bus": "bus",
    "Trailer": "trailer",
    "Towed Object": "trailer",
    "Person": "pedestrian",
    "Cyclist": "bicycle",
    "Motorcyclist": "motorcycle",
}
VISIBILITY_OF_OCCLUSION = (4.0, 3.0, 2.0, 1.0)
"""nuScenes' level (4 is best) for the data set's occlusion 0..3."""
IMAGE_TOPIC, INFO_TOPIC = "/camera/image/compressed", "/camera/camera_info"
LIDAR_TOPIC, RADAR_TOPIC, RADAR_SCAN_TOPIC = "/lidar/points", "/radar/points", "/radar/scan"

GROUND_PLANES = {
    "5285b653a38b": (0.0495, -0.0809, -1.579),
    "120cc38bea36": (0.0387, -0.0518, -1.487),
}
"""Ground z = slope_x x + slope_y y + height in the radar's frame, by `calibration_key`.

Each run of `train` gives the median over its frames of a plane fitted to the LiDAR returns 3-40 m away, and
the constants are the medians over runs (25 and 26 of them): `runs_ground(list_frames(train_folder))` gives
them again. Bottoms of the labelled cars follow (0.0495, -0.0767, -1.587) and (0.0422, -0.0499, -1.533);
`val` gives (0.0507, -0.0831, -1.579) and (0.0357, -0.0421, -1.487).
"""


def convert(
    source: Path,
    out: Path,
    storage: Storage = "mcap",
    progress: Progress | None = None,
    overwrite: bool = False,
    numbers: Collection[int] | None = None,
) -> ConvertReport:
    """A recording at `out` of the frames in `source` (a split folder or the original download).

    progress is called with (frames done, frames in all). numbers: of the frames wanted; None: all. Raises
    `BagError` where a file is missing or unreadable, or no frame has such a number; nothing is left at `out`
    then.
    """
    frames = list_frames(Path(source))
    if not frames:
        raise BagError(f"{source}: holds no frame")
    if numbers is not None:
        frames = _numbered(frames, numbers, source)
    progress = progress or no_progress
    levels = Levels(frames)
    runs, stamp_ns, shown = 0, START_NS, None
    with BagWriter(out, storage, overwrite=overwrite) as writer:
        recorder = Recorder(writer)
        for number, (run, frame, gap_s) in enumerate(assign_runs(frames)):
            runs = run + 1
            stamp_ns += (0 if number == 0 else RUN_GAP_NS) if gap_s == 0 else round(gap_s * 1e9)
            if not frame.calibration.same_as(shown):
                base_from_ref, model = levels.base_from_ref(frame.calibration), _camera_model(frame)
                _write_calibration(recorder, frame.calibration, base_from_ref, stamp_ns)
                shown = frame.calibration
            _write_frame(recorder, frame, base_from_ref, model, stamp_ns)
            progress(number + 1, len(frames))
    return ConvertReport(
        Path(out), len(frames), runs, recorder.messages, recorder.objects, (*levels.notes, *_notes())
    )


def _numbered(frames: list[AstyxFrame], numbers: Collection[int], source: Path) -> list[AstyxFrame]:
    """The frames with these numbers; raises `BagError` where one is not there."""
    missing = set(numbers) - {frame.index for frame in frames}
    if missing:
        raise BagError(
            f"{source}: expected frame {min(missing)} (and {len(missing) - 1} more that are missing), got "
            f"{len(frames)} frames from {frames[0].index} to {frames[-1].index}"
        )
    return [frame for frame in frames if frame.index in numbers]


def calibration_key(calibration: AstyxCalibration) -> str:
    """Twelve digits that name a calibration by the LiDAR's place in the reference frame (to 0.1 mm and
    1e-4).
    """
    rows = np.round(calibration.ref_from_sensor[LIDAR][:3], 4) + 0.0
    return hashlib.sha256(" ".join(f"{value:.4f}" for value in rows.ravel()).encode()).hexdigest()[:12]


def runs_ground(frames: Iterable[AstyxFrame]) -> dict[str, tuple[float, float, float]]:
    """(slope_x, slope_y, height) of the ground in the radar's frame by `calibration_key`, each run counted
    once.
    """
    planes: dict[str, dict[int, list[tuple[float, float, float]]]] = {}
    for run, frame, _ in assign_runs(list(frames)):
        plane = plane_under([_lidar_in_reference(frame)])
        if plane is not None:
            planes.setdefault(calibration_key(frame.calibration), {}).setdefault(run, []).append(plane)
    medians = {
        key: np.median([np.median(run, axis=0) for run in runs.values()], axis=0)
        for key, runs in planes.items()
    }
    return {key: (float(median[0]), float(median[1]), float(median[2])) for key, median in medians.items()}


class Levels:
    """base_from_reference by calibration: the known constants, else fitted to the source's own scans."""

    def __init__(self, frames: list[AstyxFrame]) -> None:
        self._frames = frames
        self._found: dict[str, NDArray[np.float64]] = {}
        self.notes: list[str] = []

    def base_from_ref(self, calibration: AstyxCalibration) -> NDArray[np.float64]:
        """(4, 4) for `calibration`; raises `BagError` where it is unknown and the scans show no ground."""
        key = calibration_key(calibration)
        if key not in self._found:
            self._found[key] = base_from_plane(*(GROUND_PLANES.get(key) or self._fit(key)))
        return self._found[key]

    def _fit(self, key: str) -> tuple[float, float, float]:
        same = [frame for frame in self._frames if calibration_key(frame.calibration) == key]
        plane = runs_ground(same).get(key)
        if plane is None:
            raise BagError(
                f"frame {same[0].index}: its calibration is not a known one and its scans show no ground"
            )
        self.notes.append(
            f"calibration {key} is not a known one: levelled by the ground of {len(same)} scans"
        )
        return plane


def _notes() -> tuple[str, ...]:
    classes = ", ".join(f"{source} -> {name}" for source, name in CLASS_OF.items() if source.lower() != name)
    return (f"classes: {classes}; others by name, or unknown", "Doppler as recorded: approaching is positive")


def _write_calibration(
    recorder: Recorder, calibration: AstyxCalibration, base_from_ref: NDArray, stamp_ns: int
) -> None:
    frames = {name: base_from_ref @ matrix for name, matrix in calibration.ref_from_sensor.items()}
    recorder.write_static(frames, stamp_ns, stamp_ns + RECEIPT_DELAY_NS - STATIC_LEAD_NS)


def _write_frame(
    recorder: Recorder, frame: AstyxFrame, base_from_ref: NDArray, model: CameraModel, stamp_ns: int
) -> None:
    receipt_ns = stamp_ns + RECEIPT_DELAY_NS
    scans = frame.load()
    radar = _radar_scan(scans, stamp_ns)
    image = encode_compressed_image(frame.image.read_bytes(), stamp_ns, CAMERA, message_type)
    recorder.write(IMAGE_TOPIC, image, receipt_ns)
    recorder.write(INFO_TOPIC, encode_camera_info(model, stamp_ns, CAMERA, message_type), receipt_ns)
    recorder.write(LIDAR_TOPIC, encode_lidar(_lidar_sweep(scans, stamp_ns), message_type), receipt_ns)
    recorder.write(RADAR_TOPIC, encode_radar_cloud(radar, message_type), receipt_ns)
    recorder.write(RADAR_SCAN_TOPIC, encode_radar_scan(radar, message_type), receipt_ns)
    truth = _truth(frame, scans, base_from_ref, model, stamp_ns)
    write_truth(recorder, truth, receipt_ns)
    recorder.count_truth(truth.objects)


def _lidar_sweep(scans: AstyxScans, stamp_ns: int) -> LidarSweep:
    half_ns = scans.lidar_time_ns[-1] // 2 if len(scans.lidar_time_ns) else 0
    return LidarSweep(
        stamp_ns=stamp_ns,
        frame_id=LIDAR,
        xyz=scans.lidar_xyz,
        intensity=scans.lidar_reflectivity / np.float32(255),
        time_offset_ns=(scans.lidar_time_ns - half_ns).astype(np.int32),
        ring=scans.lidar_ring,
    )


def _radar_scan(scans: AstyxScans, stamp_ns: int) -> RadarScan:
    """The scan with its Doppler as recorded, approaching positive: what its driver would publish."""
    xyz, doppler, strength = (np.ascontiguousarray(scans.radar[:, part]) for part in (slice(3), 3, 4))
    return RadarScan(stamp_ns, RADAR, xyz, doppler, strength, strength_kind="power")


def _camera_model(frame: AstyxFrame) -> CameraModel:
    image = cv2.imread(str(frame.image), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise BagError(f"{frame.image}: cannot be read as an image")
    height_px, width_px = image.shape
    matrix = frame.calibration.camera_matrix
    return CameraModel(matrix, np.zeros(5), "plumb_bob", width_px, height_px)


def _lidar_in_reference(frame: AstyxFrame) -> NDArray:
    return transform_points(frame.calibration.ref_from_sensor[LIDAR], frame.load().lidar_xyz)


def _truth(
    frame: AstyxFrame, scans: AstyxScans, base_from_ref: NDArray, model: CameraModel, stamp_ns: int
) -> TruthFrame:
    boxes = boxes_in_base(frame.objects, base_from_ref)
    ref_from = frame.calibration.ref_from_sensor
    occlusion = np.array([entry.get("occlusion", 0) for entry in frame.objects], int)
    extra = {
        "occlusion": occlusion,
        "truncation": truncation(boxes, model, inverse(base_from_ref @ ref_from[CAMERA])),
        "visibility": np.take(VISIBILITY_OF_OCCLUSION, np.clip(occlusion, 0, 3)),
        "num_lidar_points": points_per_box(
            transform_points(base_from_ref @ ref_from[LIDAR], scans.lidar_xyz), boxes
        ),
        "num_radar_points": points_per_box(
            transform_points(base_from_ref @ ref_from[RADAR], np.ascontiguousarray(scans.radar[:, :3])), boxes
        ),
    }
    return truth_frame(
        stamp_ns, boxes, [CLASS_OF.get(entry["classname"], "unknown") for entry in frame.objects], extra
    )


def boxes_in_base(objects: list[dict], base_from_ref: NDArray) -> NDArray[np.float64]:
    """(N, 7) boxes `x y z l w h yaw` of labels; of their orientation only the heading over the ground is
    kept.
    """
    boxes = np.zeros((len(objects), 7))
    for row, entry in zip(boxes, objects):
        w, x, y, z = np.array(entry["orientation_quat"], float) / np.linalg.norm(entry["orientation_quat"])
        forward_ref = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
        forward = base_from_ref[:3, :3] @ forward_ref
        row[:3] = base_from_ref[:3, :3] @ np.array(entry["center3d"], float) + base_from_ref[:3, 3]
        row[3:6] = entry["dimension3d"]
        row[6] = np.arctan2(forward[1], forward[0])
    return boxes
