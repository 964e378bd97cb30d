"""The detector without training: each sensor's objects, then late fusion."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from mm_fusion.config import VehicleConfig
from mm_fusion.detections import Detections, concatenate_detections
from mm_fusion.detectors.coverage import Sectors, camera_coverage, lidar_coverage, radar_coverage
from mm_fusion.detectors.geometric.camera_objects import View, camera_objects, projected_rectangles, view_of
from mm_fusion.detectors.geometric.class_claims import PriorTable
from mm_fusion.detectors.geometric.lidar_objects import lidar_objects, scene_of
from mm_fusion.detectors.geometric.points import LidarPoints, lidar_points, radar_returns
from mm_fusion.detectors.geometric.radar_objects import radar_objects
from mm_fusion.detectors.geometric.track_objects import track_objects
from mm_fusion.detectors.late_fusion import Coverage, Matches, SensorObjects, fuse
from mm_fusion.errors import MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.geometry.ground import ground_height
from mm_fusion.measurements import Deferred, Float64, ImageDetections, Measurement, RadarTracks, SensorKind
from mm_fusion.model_config import GeometricConfig

Part = tuple[SensorObjects, Coverage | None]
"""A sensor's objects, and where it would have seen one; None where its silence says nothing."""

OBSTACLE_HEIGHT = 0.7
"""What stands higher than this, m, hides from a LiDAR what is behind it."""


class GeometricDetector:
    """Objects by clusters, boxes and Doppler; `last_matches` are the newest frame's pairs of objects."""

    def __init__(self, vehicle: VehicleConfig, config: GeometricConfig) -> None:
        self._vehicle = vehicle
        self._config = config
        self._priors = PriorTable.of(config.classes)
        self.last_matches: tuple[Matches, ...] = ()

    def detect(self, frame: Frame) -> Detections:
        """The objects of one frame from whatever is there, strongest first."""
        points = lidar_points(frame, self._vehicle.ego_box)
        parts = [*self._from_lidar(frame, points), *self._from_radar(frame, points), *_from_tracks(frame)]
        parts += self._from_cameras(frame, [objects for objects, _ in parts])
        coverage = {objects.sensor: seen for objects, seen in parts if seen is not None}
        detections, self.last_matches = fuse([objects for objects, _ in parts], coverage, self._config.fusion)
        return detections

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Decode early; images stay as they are, since this detector does not look at pixels."""
        known = self._vehicle.sensors.get(sensor)
        if not isinstance(item, Deferred) or known is None or known.kind == "camera":
            return
        try:
            item.get()
        except MeasurementError:
            # the pipeline meets the same error when it decodes the frame, and counts it there
            return

    def _from_lidar(self, frame: Frame, points: LidarPoints) -> list[Part]:
        names = _calibrated(frame, "lidar")
        if not names:
            return []
        scene = scene_of(points, self._config.lidar)
        sectors = Sectors(points.xyz, points.sensor_xy)
        sectors.hide_behind(scene.xyz[scene.height > OBSTACLE_HEIGHT])
        objects = lidar_objects(scene, points.sensor_xy, self._priors, self._config.lidar)
        return [(SensorObjects("lidar", "lidar", objects), partial(lidar_coverage, frame, names, sectors))]

    def _from_radar(self, frame: Frame, points: LidarPoints) -> list[Part]:
        names = _calibrated(frame, "radar")
        if not names:
            return []
        returns = radar_returns(frame, self._vehicle.ego_box)
        origin = np.mean([frame.calibration.base_from_sensor[name][:2, 3] for name in names], axis=0)
        sectors = Sectors(returns.xyz, origin, spread=5)
        # a radar's elevation scatters by metres; where a LiDAR sees the ground, its objects stand on that
        ground = partial(_ground_below, points)
        objects = radar_objects(returns, ground, self._priors, self._config.radar)
        return [(SensorObjects("radar", "radar", objects), partial(radar_coverage, frame, names, sectors))]

    def _from_cameras(self, frame: Frame, others: Iterable[SensorObjects]) -> list[Part]:
        candidates = concatenate_detections([part.detections for part in others])
        parts: list[Part] = []
        for name, seen in frame.of_kind("image_detections").items():
            view = view_of(frame, name, seen.stamp_ns)
            if view is not None and isinstance(seen, ImageDetections):
                objects = camera_objects(seen, view, candidates, self._priors, self._config.camera)
                parts.append(
                    (SensorObjects("camera", name, objects), partial(_camera_sees, frame, name, view))
                )
        return parts


def _from_tracks(frame: Frame) -> list[Part]:
    parts: list[Part] = []
    for name, tracks in frame.of_kind("radar_tracks").items():
        if isinstance(tracks, RadarTracks) and name in frame.calibration.base_from_sensor:
            # a tracker's silence is no evidence: many do not report what stands
            parts.append((SensorObjects("radar", name, track_objects(frame, name, tracks), False), None))
    return parts


def _camera_sees(frame: Frame, name: str, view: View, detections: Detections) -> Float64:
    _, inside = projected_rectangles(detections, view)
    return camera_coverage(frame, name, inside, detections)


def _ground_below(points: LidarPoints, xy: Float64) -> Float64:
    """Height (N,) of the ground at places (N, 2): as the LiDAR sees it, 0 without one."""
    return ground_height(points.xyz, xy) if len(points.xyz) else np.zeros(len(xy))


def _calibrated(frame: Frame, kind: SensorKind) -> list[str]:
    return [name for name in frame.of_kind(kind) if name in frame.calibration.base_from_sensor]
