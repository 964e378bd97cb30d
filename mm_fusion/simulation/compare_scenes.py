"""Scenes of real and simulated drives in one shape, so that the same figures are taken from both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.convert.astyx import Levels, boxes_in_base
from mm_fusion.bags.convert.astyx_source import CAMERA, LIDAR, RADAR, AstyxFrame, list_frames
from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig, load_vehicle
from mm_fusion.errors import BagError
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.transforms import inverse, transform_points
from mm_fusion.measurements import CameraImage, CameraModel, Float32, Float64, LidarSweep, RadarScan
from mm_fusion.messages.images import decode_pixels
from mm_fusion.simulation.clocks import random_of
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.samples import samples_of
from mm_fusion.simulation.simulator import Simulator

VEHICLE = "astyx_like"
MAPS = ("straight", "intersection", "parking", "curve", "roundabout", "highway")
PER_DRIVE = 5
AMBIGUITY_MPS = 10.4
CLEAR = 0
"""Only cars that nothing hides are compared: how many are hidden is the map's business, not the sensors'."""
NEAREST_M, FARTHEST_M = 5.0, 50.0
FEWEST_PIXELS = 60


@dataclass(frozen=True, slots=True, eq=False)
class CompareScene:
    """One moment. lidar (N, 4): x y z m in base, intensity; radar (M, 5): x y z m in base, receding m/s, dB.

    image: (H, W, 3) RGB; cars: (K, 7) boxes in base, in the image, not occluded, 5 to 50 m away.
    """

    lidar: Float32
    radar: Float32
    radar_position: Float64
    image: NDArray[np.uint8]
    cars: Float64
    model: CameraModel
    camera_from_base: Float64


def real_scenes(folder: Path, limit: int) -> Iterator[CompareScene]:
    """Up to `limit` scenes of an Astyx folder (of its `train` where it has one), spread evenly."""
    frames = list_frames(_split_folder(folder))
    levels = Levels(frames)
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(limit, len(frames))).astype(int))
    for index in chosen:
        yield _real_scene(frames[index], levels)


def count_real(folder: Path, limit: int) -> int:
    """How many scenes `real_scenes` gives."""
    return min(limit, len(list_frames(_split_folder(folder))))


def _split_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise BagError(f"{folder}: no such folder; expected the Astyx data set or one of its splits")
    return folder / "train" if (folder / "train").is_dir() else folder


def _real_scene(frame: AstyxFrame, levels: Levels) -> CompareScene:
    scans, base_from_ref = frame.load(), levels.base_from_ref(frame.calibration)
    place = {name: base_from_ref @ matrix for name, matrix in frame.calibration.ref_from_sensor.items()}
    image = cv2.imread(str(frame.image))
    if image is None:
        raise BagError(f"{frame.image}: cannot be read as an image")
    model = CameraModel(
        frame.calibration.camera_matrix, np.zeros(5), "plumb_bob", image.shape[1], image.shape[0]
    )
    lidar = transform_points(place[LIDAR], scans.lidar_xyz)
    radar = transform_points(place[RADAR], np.ascontiguousarray(scans.radar[:, :3]))
    objects = [o for o in frame.objects if o["classname"] == "Car" and int(o.get("occlusion", 0)) <= CLEAR]
    camera_from_base = inverse(place[CAMERA])
    return CompareScene(
        np.column_stack([lidar, scans.lidar_reflectivity / 255]).astype(np.float32),
        np.column_stack([radar, -scans.radar[:, 3], scans.radar[:, 4]]).astype(np.float32),
        place[RADAR][:3, 3],
        np.ascontiguousarray(image[:, :, ::-1]),
        _in_view(boxes_in_base(objects, base_from_ref), model, camera_from_base),
        model,
        camera_from_base,
    )


def simulated_scenes(count: int, seed: int) -> Iterator[CompareScene]:
    """`count` scenes of clear weather in the layout of Astyx."""
    vehicle, made, drive = load_vehicle(VEHICLE), 0, 0
    while made < count:
        frames = min(PER_DRIVE, count - made)
        simulator = Simulator(
            vehicle, MAPS[drive % len(MAPS)], int(random_of(seed, "compare", drive).integers(2**31)),
            options=RigOptions(jpeg_quality=90), duration_s=2.0 + 2.0 * frames,
        )  # fmt: skip
        for frame, truth in samples_of(simulator, frames):
            yield _simulated_scene(frame, truth, vehicle)
        made, drive = made + frames, drive + 1


def _simulated_scene(frame: Frame, truth: TruthFrame, vehicle: VehicleConfig) -> CompareScene:
    found = {name: decoded(item) for name, item in frame.measurements.items()}
    image, sweep, scan = (found[name] for name in ("camera", "lidar", "radar"))
    assert isinstance(image, CameraImage) and isinstance(sweep, LidarSweep) and isinstance(scan, RadarScan)
    place = frame.calibration.base_from_sensor
    model, camera_from_base = frame.calibration.camera_models["camera"], inverse(place["camera"])
    far = np.linalg.norm(sweep.xyz, axis=1) > vehicle.sensors["lidar"].min_range_m
    lidar = np.column_stack([transform_points(place["lidar"], sweep.xyz), sweep.intensity])[far]
    radar = np.column_stack(
        [transform_points(place["radar"], scan.xyz), scan.radial_velocity, scan.strength_db]
    )
    objects = truth.objects
    boxes = np.column_stack([objects.center, objects.size, objects.yaw]).astype(np.float64)
    clear = np.array([name == "car" for name in objects.class_names()], bool)
    clear &= (truth.extra["occlusion"] <= CLEAR) & (truth.extra["num_camera_pixels"] >= FEWEST_PIXELS)
    return CompareScene(
        lidar.astype(np.float32), radar.astype(np.float32), place["radar"][:3, 3], decode_pixels(image),
        _in_view(boxes[clear], model, camera_from_base), model, camera_from_base,
    )  # fmt: skip


def _in_view(boxes: Float64, model: CameraModel, camera_from_base: Float64) -> Float64:
    """Boxes 5 to 50 m away whose centre is in the image, a little inside its edges."""
    if not len(boxes):
        return boxes.reshape(0, 7)
    distance = np.hypot(boxes[:, 0], boxes[:, 1])
    xyz = transform_points(camera_from_base, np.ascontiguousarray(boxes[:, :3]))
    with np.errstate(divide="ignore", invalid="ignore"):
        u = xyz[:, 0] / xyz[:, 2] * model.matrix[0, 0] + model.matrix[0, 2]
    inside = (xyz[:, 2] > 1) & (u > 0.03 * model.width_px) & (u < 0.97 * model.width_px)
    return boxes[inside & (distance >= NEAREST_M) & (distance < FARTHEST_M)]
