"""Truth frames beside output frames, and what of both counts: region, runs, height in the image.

The shared first step of every score; pure arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mm_fusion.detections import CLASSES, UNKNOWN_CLASS_ID, Detections, empty_detections
from mm_fusion.evaluation.detections_file import ResultFrame
from mm_fusion.evaluation.scenes import Camera, Scene
from mm_fusion.geometry.boxes import boxes_of, corners
from mm_fusion.geometry.cameras import project
from mm_fusion.geometry.motion import base_ref_from_base
from mm_fusion.geometry.transforms import transform_points, wrap_angle
from mm_fusion.measurements import EgoMotion

TOLERANCE_NS = 50_000_000
RUN_GAP_NS = 15_000_000_000
"""Frames further apart belong to different runs."""

NUSCENES_RANGE = {"car": 50.0, "truck": 50.0, "bus": 50.0, "trailer": 50.0, "construction_vehicle": 50.0}
NUSCENES_RANGE |= {
    "pedestrian": 40.0,
    "motorcycle": 40.0,
    "bicycle": 40.0,
    "traffic_cone": 30.0,
    "barrier": 30.0,
}
"""How far from the car each class is scored, m. Source: nuScenes detection_cvpr_2019."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where a data set's labels are complete; what lies outside is ignored on both sides.

    x, y: bounds of the centre in `base_link`, m. inside_image: the centre must be seen by a camera.
    class_range: largest distance from the car by class, m.
    """

    name: str
    x: tuple[float, float] = (-np.inf, np.inf)
    y: tuple[float, float] = (-np.inf, np.inf)
    inside_image: bool = False
    class_range: Mapping[str, float] = field(default_factory=dict)

    def contains(self, objects: Detections, cameras: Mapping[str, Camera]) -> np.ndarray:
        """(N,) bool: which objects lie in it."""
        x, y = objects.center[:, 0], objects.center[:, 1]
        inside = (x >= self.x[0]) & (x <= self.x[1]) & (y >= self.y[0]) & (y <= self.y[1])
        if self.class_range:
            limit = np.array([self.class_range.get(name, np.inf) for name in CLASSES])
            inside &= np.hypot(x, y) <= limit[objects.class_id]
        if self.inside_image and cameras:
            inside &= _seen(objects, cameras)
        return inside

    def words(self) -> str:
        """The region in one line, as reports and score files state it."""
        parts = [
            f"{a} in [{low:g}, {high:g}] m"
            for a, (low, high) in (("x", self.x), ("y", self.y))
            if low > -np.inf
        ]
        parts += ["centre inside the image"] * self.inside_image
        parts += [f"within {low:g} to {high:g} m by class" for low, high in self._range_ends()]
        return ", ".join(parts) or "everywhere"

    def _range_ends(self) -> list[tuple[float, float]]:
        return [(min(self.class_range.values()), max(self.class_range.values()))] if self.class_range else []


REGIONS = {
    "astyx": Region("astyx", (0.0, 77.0), (-32.0, 32.0), inside_image=True),
    "nuscenes": Region("nuscenes", class_range=NUSCENES_RANGE),
    "everywhere": Region("everywhere"),
}
_SIGNS = {"astyx": {"radar_6455"}, "nuscenes": {"LIDAR_TOP", "CAM_FRONT"}}


def region_of_recording(frames: frozenset[str]) -> Region:
    """The data set's region, recognised by the frames that its transforms name; else everywhere."""
    for name, signs in _SIGNS.items():
        if signs <= frames:
            return REGIONS[name]
    return REGIONS["everywhere"]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One truth frame and the output for it, on the output's time.

    detections: empty where nothing was published (`missed`). *_inside (N,) bool: in the region. *_height_px
    (N,): height in the image that shows it largest, infinite without a camera. run: index of the run.
    """

    stamp_ns: int
    truth: Detections
    extra: Mapping[str, np.ndarray]
    detections: Detections
    truth_inside: np.ndarray
    detections_inside: np.ndarray
    truth_height_px: np.ndarray
    detections_height_px: np.ndarray
    run: int
    missed: bool = False


def pair_frames(scenes: Sequence[Scene], frames: Sequence[ResultFrame], region: Region) -> list[Pair]:
    """One `Pair` for each scene (in order of time), with the nearest output within 50 ms, each used once."""
    stamps = np.array([scene.stamp_ns for scene in scenes], np.int64)
    partners = nearest_partners(stamps, np.array([frame.stamp_ns for frame in frames], np.int64))
    runs = runs_of(stamps)
    return [
        _pair(scene, None if partner < 0 else frames[partner], region, int(run))
        for scene, partner, run in zip(scenes, partners, runs)
    ]


def pair_of(scene: Scene, detections: Detections, region: Region, run: int) -> Pair:
    """Truth and what was detected at its very time."""
    return _pair(scene, ResultFrame(scene.stamp_ns, "-", {}, detections), region, run)


def nearest_partners(truth_ns: np.ndarray, output_ns: np.ndarray) -> np.ndarray:
    """(N,) index of the output for each truth stamp, -1 for none; the nearest pairs are joined first."""
    order = np.argsort(output_ns, kind="stable")
    first = np.searchsorted(output_ns[order], truth_ns - TOLERANCE_NS, "left")
    last = np.searchsorted(output_ns[order], truth_ns + TOLERANCE_NS, "right")
    near = [
        (abs(int(truth_ns[i] - output_ns[j])), i, j)
        for i in range(len(first))
        for j in order[first[i] : last[i]]
    ]
    partners = np.full(len(truth_ns), -1)
    used = set()
    for _, i, j in sorted(near):
        if partners[i] < 0 and j not in used:
            partners[i] = j
            used.add(j)
    return partners


def runs_of(stamps_ns: np.ndarray) -> np.ndarray:
    """(N,) run index of each of the ascending stamps; a new run begins after a gap of more than 15 s."""
    return np.concatenate([[0], np.cumsum(np.diff(stamps_ns) > RUN_GAP_NS)])[: len(stamps_ns)]


def _pair(scene: Scene, frame: ResultFrame | None, region: Region, run: int) -> Pair:
    detections = empty_detections() if frame is None else frame.detections
    stamp_ns = scene.stamp_ns if frame is None else frame.stamp_ns
    truth = moved(scene.objects, scene.stamp_ns, stamp_ns, scene.ego)
    return Pair(
        stamp_ns,
        truth,
        scene.extra,
        detections,
        region.contains(truth, scene.cameras),
        region.contains(detections, scene.cameras),
        heights_px(truth, scene.cameras),
        heights_px(detections, scene.cameras),
        run,
        frame is None,
    )


def moved(objects: Detections, from_ns: int, to_ns: int, ego: EgoMotion | None) -> Detections:
    """`objects` of `from_ns` as they stand at `to_ns` in the `base_link` of then: moved by their own velocity
    and by the car's. An unknown velocity counts as standing, an unknown ego motion as none.
    """
    if from_ns == to_ns:
        return objects
    seconds = (to_ns - from_ns) * 1e-9
    center = objects.center.astype(np.float64)
    center[:, :2] += np.nan_to_num(objects.velocity) * seconds
    yaw = objects.yaw
    if ego is not None:
        center = transform_points(base_ref_from_base(ego, from_ns, to_ns), center)
        yaw = wrap_angle(yaw - ego.angular_velocity[2] * seconds).astype(np.float32)
    return replace(objects, center=center.astype(np.float32), yaw=yaw)


def heights_px(objects: Detections, cameras: Mapping[str, Camera]) -> np.ndarray:
    """(N,) height of each projected box, cut at the image's edge, in the camera that shows it largest.

    Infinite without any camera: nothing is too small then. Source: OpenPCDet's
    boxes3d_kitti_camera_to_imageboxes.
    """
    if not cameras:
        return np.full(len(objects), np.inf)
    heights = np.zeros(len(objects))
    points = corners(boxes_of(objects)).reshape(-1, 3)
    for camera in cameras.values():
        rows, in_front = _rows(points, camera)
        rows = np.clip(rows, 0, camera.model.height_px - 1).reshape(-1, 8)
        in_front = in_front.reshape(-1, 8)
        top = np.where(in_front, rows, np.inf).min(axis=1)
        bottom = np.where(in_front, rows, -np.inf).max(axis=1)
        heights = np.maximum(heights, np.where(in_front.any(axis=1), bottom - top, 0.0))
    return heights


def _rows(xyz_base: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    xyz_camera = transform_points(camera.camera_from_base, xyz_base)
    pixels, _ = project(camera.model, xyz_camera)
    return pixels[:, 1], (xyz_camera[:, 2] > 0.1) & np.isfinite(pixels[:, 1])


def _seen(objects: Detections, cameras: Mapping[str, Camera]) -> np.ndarray:
    seen = np.zeros(len(objects), bool)
    for camera in cameras.values():
        xyz_camera = transform_points(camera.camera_from_base, objects.center.astype(np.float64))
        seen |= project(camera.model, xyz_camera)[1]
    return seen


def classes_with_truth(pairs: Sequence[Pair]) -> list[int]:
    """Ids of the classes with an object in the region, without `unknown`."""
    ids = {int(i) for pair in pairs for i in pair.truth.class_id[pair.truth_inside]}
    return sorted(ids - {UNKNOWN_CLASS_ID})
