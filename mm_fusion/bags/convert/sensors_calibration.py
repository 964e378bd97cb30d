"""Static LiDAR and camera pairs with lens distortion, then one street scene with two radars, as one
recording.

The pairs follow each other at 1 Hz; the scene comes 20 s after them with its own transforms and camera
models. There are no times in the source, so all of a pair, and all of the scene, is one instant. The
LiDAR's x axis points right and its y forward. `base_link` has the LiDAR's axes turned forward and stands on
the ground that the scene's labels stand on; the pairs show no ground, so theirs lies as far below the LiDAR
as the scene's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.levelling import base_from_plane
from mm_fusion.bags.convert.recording import (
    RECEIPT_DELAY_NS,
    STATIC_LEAD_NS,
    ConvertReport,
    Progress,
    Recorder,
    no_progress,
    points_per_box,
    reading_source,
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

START_NS = 1_600_000_000_000_000_000
"""First stamp: the source has no date, and a fixed one makes conversions repeatable."""
PAIR_GAP_NS, PART_GAP_NS = 1_000_000_000, 20_000_000_000
CAMERAS = {"LeopardCamera0": "/camera0", "LeopardCamera1": "/camera1"}
RADARS = {"oculii_radar": "OCULiiRadar", "ti_radar": "TIRadar"}
LIDAR = "lidar"
CLASS_OF = {"motorcyclist": "motorcycle", "cyclist": "bicycle"}
LEVEL_FROM_LIDAR = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
"""The LiDAR's axes turned to x forward, y left."""
BROKEN_ROW_BYTES, WHOLE_POINT_BYTES = 13, 16
FARTHEST_M = 300.0


def convert(
    source: Path,
    out: Path,
    storage: Storage = "mcap",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> ConvertReport:
    """A recording at `out` of the pairs and the scene in `source`; raises `BagError` where a file is
    unusable.
    """
    source, progress = Path(source), progress or no_progress
    calibration = _json(source / "calibration.json")
    pairs = sorted((source / "pairs").glob("*.npz"))
    notes = [
        "base_link stands on the ground of the labels; for the pairs its height is assumed to be the same"
    ]
    with BagWriter(out, storage, overwrite=overwrite) as writer, reading_source(source):
        recorder = Recorder(writer)
        base_from_lidar = _base_from_lidar(_json(source / "frame_labels.json"))
        stamp_ns = START_NS
        for number, path in enumerate(pairs):
            stamp_ns = START_NS + number * PAIR_GAP_NS
            _write_pair(recorder, path, calibration["pairs"], base_from_lidar, stamp_ns, number == 0, notes)
            progress(number + 1, len(pairs) + 1)
        _write_scene(recorder, source, calibration["frame"], base_from_lidar, stamp_ns + PART_GAP_NS)
        progress(len(pairs) + 1, len(pairs) + 1)
    return ConvertReport(Path(out), len(pairs) + 1, 2, recorder.messages, recorder.objects, tuple(notes))


def _write_pair(
    recorder: Recorder, path: Path, calibration: Mapping[str, Any], base_from_lidar: NDArray, stamp_ns: int,
    first: bool, notes: list[str],
) -> None:  # fmt: skip
    receipt_ns = stamp_ns + RECEIPT_DELAY_NS
    if first:
        places = {
            name: base_from_lidar @ inverse(np.array(calibration[name]["lidar_to_camera"], float))
            for name in CAMERAS
        }
        recorder.write_static({LIDAR: base_from_lidar, **places}, stamp_ns, receipt_ns - STATIC_LEAD_NS)
    for name in CAMERAS:
        image = path.with_name(f"{path.stem}_{name}.jpg")
        _write_image(recorder, name, image, _camera_model(calibration[name]["intrinsic"]), stamp_ns)
    with np.load(path) as arrays:
        points, mended = whole_points(arrays["lidar"])
    if mended:
        notes.append(f"{path.name}: its points were stored askew; {len(points)} of them were put right")
    recorder.write("/lidar/points", encode_lidar(_sweep(points, stamp_ns), message_type), receipt_ns)


def whole_points(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], bool]:
    """Usable points (M, 4) `x y z intensity` of `rows` (N, 4), and whether they had to be put right.

    Some clouds of the source were read in steps of 13 bytes (three floats and a byte) from a file of
    16-byte points (x, y, z, 1.0): joined again in that order, the bytes give the first 13/16 of the points,
    without intensity.
    """
    usable = np.isfinite(rows).all(axis=1) & (np.abs(rows[:, :3]).max(axis=1, initial=0) < FARTHEST_M)
    if len(rows) == 0 or usable.mean() > 0.9:
        return rows[usable & (np.abs(rows[:, :3]).max(axis=1, initial=0) > 0)], False
    stream = np.zeros((len(rows), BROKEN_ROW_BYTES), np.uint8)
    stream[:, :12] = np.ascontiguousarray(rows[:, :3]).view(np.uint8).reshape(-1, 12)
    stream[:, 12] = np.nan_to_num(rows[:, 3]).clip(0, 255).astype(np.uint8)
    count = stream.size // WHOLE_POINT_BYTES
    points = np.frombuffer(stream.tobytes()[: count * WHOLE_POINT_BYTES], "<f4").reshape(count, 4).copy()
    if not (points[:, 3] == 1.0).all():
        raise BagError(
            f"a cloud of {len(rows)} rows has {int(usable.sum())} usable ones; expected nearly all"
        )
    points[:, 3] = 0
    return points, True


def _write_scene(
    recorder: Recorder, source: Path, calibration: Mapping[str, Any], base_from_lidar: NDArray, stamp_ns: int
) -> None:
    receipt_ns = stamp_ns + RECEIPT_DELAY_NS
    places = _scene_places(calibration, base_from_lidar)
    recorder.write_static(places, stamp_ns, receipt_ns - STATIC_LEAD_NS)
    for name in CAMERAS:
        model = _camera_model(calibration[f"{name}_intrinsic"])
        _write_image(recorder, name, source / f"frame_{name}.jpg", model, stamp_ns)
    radar_base = []
    with np.load(source / "frame.npz") as arrays:
        for name in RADARS:
            scan = _radar_scan(arrays[name], name, stamp_ns)
            recorder.write(f"/{name}/points", encode_radar_cloud(scan, message_type), receipt_ns)
            recorder.write(f"/{name}/scan", encode_radar_scan(scan, message_type), receipt_ns)
            radar_base.append(transform_points(places[name], scan.xyz))
    truth = _truth(_json(source / "frame_labels.json"), base_from_lidar, np.concatenate(radar_base), stamp_ns)
    write_truth(recorder, truth, receipt_ns)
    recorder.count_truth(truth.objects)


def _scene_places(calibration: Mapping[str, Any], base_from_lidar: NDArray) -> dict[str, NDArray]:
    """base_from_sensor by frame; the source gives all of them to the first camera."""
    extrinsic = {
        name: np.array(matrix, float) for name, matrix in calibration.items() if name.endswith("_extrinsic")
    }
    camera0_from_lidar = extrinsic["VelodyneLidar_to_LeopardCamera0_extrinsic"]
    base_from_camera0 = base_from_lidar @ inverse(camera0_from_lidar)
    places = {LIDAR: base_from_lidar, "LeopardCamera0": base_from_camera0}
    for frame, name in {"LeopardCamera1": "LeopardCamera1", **RADARS}.items():
        places[frame] = base_from_camera0 @ extrinsic[f"{name}_to_LeopardCamera0_extrinsic"]
    return places


def _base_from_lidar(labels: list[dict]) -> NDArray[np.float64]:
    """Level with the plane that the bottoms of the labelled boxes lie in, fitted by least squares."""
    bottoms = np.array([[entry["x"], entry["y"], entry["z"] - entry["h"] / 2] for entry in labels], float)
    forward = transform_points(LEVEL_FROM_LIDAR, bottoms)
    rows = np.column_stack([forward[:, :2], np.ones(len(forward))])
    slope_x, slope_y, height = np.linalg.lstsq(rows, forward[:, 2], rcond=None)[0]
    return base_from_plane(slope_x, slope_y, height) @ LEVEL_FROM_LIDAR


def _camera_model(intrinsic: Mapping[str, Any]) -> CameraModel:
    height_px, width_px = intrinsic["image_size"]
    k1, k2, k3 = intrinsic["radial_distortion"]
    p1, p2 = intrinsic["tangential_distortion"]
    matrix = np.array(intrinsic["intrinsic_matrix"], float)
    return CameraModel(matrix, np.array([k1, k2, p1, p2, k3]), "plumb_bob", int(width_px), int(height_px))


def _write_image(recorder: Recorder, name: str, path: Path, model: CameraModel, stamp_ns: int) -> None:
    receipt_ns = stamp_ns + RECEIPT_DELAY_NS
    image = encode_compressed_image(path.read_bytes(), stamp_ns, name, message_type)
    recorder.write(f"{CAMERAS[name]}/image/compressed", image, receipt_ns)
    recorder.write(
        f"{CAMERAS[name]}/camera_info", encode_camera_info(model, stamp_ns, name, message_type), receipt_ns
    )


def _sweep(points: NDArray[np.float32], stamp_ns: int) -> LidarSweep:
    xyz = np.ascontiguousarray(points[:, :3], np.float32)
    intensity = (points[:, 3] / np.float32(255)).clip(0, 1).astype(np.float32)
    return LidarSweep(stamp_ns, LIDAR, xyz, intensity, np.zeros(len(points), np.int32))


def _radar_scan(rows: NDArray, name: str, stamp_ns: int) -> RadarScan:
    """`x y z doppler snr ...`; rows without a place are left out. Doppler as recorded, its sign is not
    known.
    """
    kept = rows[np.isfinite(rows[:, :5]).all(axis=1) & (np.abs(rows[:, :3]).max(axis=1) < FARTHEST_M)]
    xyz, doppler, snr = (np.ascontiguousarray(kept[:, part], np.float32) for part in (slice(3), 3, 4))
    return RadarScan(stamp_ns, name, xyz, doppler, snr, strength_kind="snr")


def _truth(labels: list[dict], base_from_lidar: NDArray, radar_base: NDArray, stamp_ns: int) -> TruthFrame:
    boxes = np.zeros((len(labels), 7))
    for row, entry in zip(boxes, labels):
        heading = base_from_lidar[:3, :3] @ (np.cos(entry["alpha"]), np.sin(entry["alpha"]), 0)
        row[:3] = base_from_lidar[:3, :3] @ (entry["x"], entry["y"], entry["z"]) + base_from_lidar[:3, 3]
        row[3:6] = entry["l"], entry["w"], entry["h"]
        row[6] = np.arctan2(heading[1], heading[0])
    unknown = np.full(len(labels), np.nan)
    extra = {
        "occlusion": np.array([entry["occluded"] for entry in labels], float),
        "truncation": unknown,
        "visibility": np.zeros(len(labels)),
        "num_lidar_points": unknown,
        "num_radar_points": points_per_box(radar_base, boxes),
    }
    names = [CLASS_OF.get(entry["class"], entry["class"]) for entry in labels]
    return truth_frame(stamp_ns, boxes, names, extra)


def _json(path: Path) -> Any:
    with reading_source(path), open(path, encoding="utf-8") as file:
        return json.load(file)
