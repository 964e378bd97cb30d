"""Pictures of what the demo's nodes published, over the points and images that were played to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import read_truth
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import Detections
from mm_fusion.detectors.choice import make_detector
from mm_fusion.errors import MeasurementError
from mm_fusion.evaluation.recorded import read_recorded_detections
from mm_fusion.frame import Frame, decoded
from mm_fusion.geometry.transforms import inverse
from mm_fusion.measurements import CameraImage
from mm_fusion.messages.images import decode_pixels
from mm_fusion.pipeline import Pipeline

TRUTH_WITHIN_NS = 50_000_000


def write_pictures(bag: Path, vehicle: VehicleConfig, recorded: Path, out: Path) -> list[Path]:
    """A bird's-eye video of all frames and the overlay of the frame with most objects; their paths."""
    from mm_fusion.viewing.video import write_picture, write_video

    results = {frame.stamp_ns: frame.detections for frame in read_recorded_detections(recorded).frames}
    truths = {truth.stamp_ns: truth.objects for truth in read_truth(bag)}
    video = write_video(out / "birds_eye.mp4", birds_eye_views(bag, vehicle, results, truths))
    written = [video]
    for camera, picture in best_overlay(bag, vehicle, results, truths):
        written.append(write_picture(out / f"overlay_{camera}.jpg", picture))
    return written


def birds_eye_views(
    bag: Path, vehicle: VehicleConfig, results: dict[int, Detections], truths: dict[int, Detections]
) -> Iterator[np.ndarray]:
    """One picture per published frame, in order."""
    from mm_fusion.detectors.geometric.points import lidar_points, radar_returns
    from mm_fusion.viewing.birds_eye import draw_birds_eye, extent_for

    extent = None
    for number, frame in enumerate(frames_of(bag, vehicle)):
        if frame.stamp_ns not in results:
            continue
        try:
            points, radar = lidar_points(frame, vehicle.ego_box).xyz, radar_returns(frame, vehicle.ego_box)
        except MeasurementError:
            continue
        seen = np.column_stack([radar.xyz, radar.velocity])
        extent = extent or extent_for(points, seen)
        truth = _nearest(truths, frame.stamp_ns)
        title = f"frame {number}\n{(frame.stamp_ns - min(results)) / 1e9:.2f} s"
        yield draw_birds_eye(results[frame.stamp_ns], points, seen, truth, extent, title)


def best_overlay(
    bag: Path, vehicle: VehicleConfig, results: dict[int, Detections], truths: dict[int, Detections]
) -> Iterator[tuple[str, np.ndarray]]:
    """Camera name and picture, with truth dashed, of every camera in the frame with most known objects."""
    if not results:
        return
    chosen = max(results, key=lambda stamp_ns: (np.sum(results[stamp_ns].score), -stamp_ns))
    for frame in frames_of(bag, vehicle):
        if frame.stamp_ns == chosen:
            cameras = [name for name, kind in frame.kinds.items() if kind == "camera"]
            yield from overlays(frame, results[chosen], cameras, _nearest(truths, chosen))
            return


def overlays(
    frame: Frame, detections: Detections, cameras: Sequence[str], truth: Detections | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Camera name and picture of those of `cameras` that have an image in `frame`."""
    from mm_fusion.viewing.overlay import draw_overlay

    for name in cameras:
        model = frame.calibration.camera_models.get(name)
        if name in frame.measurements and model is not None:
            image = decoded(frame.measurements[name])
            assert isinstance(image, CameraImage)
            camera_from_base = inverse(frame.calibration.base_from_sensor[name])
            yield name, draw_overlay(decode_pixels(image), model, camera_from_base, detections, truth=truth)


def frames_of(bag: Path, vehicle: VehicleConfig) -> Iterator[Frame]:
    """The frames that a recording makes, in order, without detecting anything in them."""
    pipeline = Pipeline(vehicle, make_detector(vehicle.model, vehicle))
    with open_bag(bag) as reader:
        for sensor, item, receipt_ns in bag_items(reader, vehicle):
            yield from pipeline.add(sensor, item, receipt_ns)
        yield from pipeline.flush()


def _nearest(truths: dict[int, Detections], stamp_ns: int) -> Detections | None:
    near = min(truths, key=lambda other: abs(other - stamp_ns), default=None)
    return truths[near] if near is not None and abs(near - stamp_ns) <= TRUTH_WITHIN_NS else None
