"""The learned detector: inputs, four graphs, and what is decided on their raw outputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np

from mm_fusion.config import VehicleConfig, load_config
from mm_fusion.detections import (
    CLASSES,
    SENSOR_GROUPS,
    Detections,
    empty_detections,
    make_detections,
    mode_of,
)
from mm_fusion.detectors.camera_features import CameraFeatures
from mm_fusion.detectors.joining import joined
from mm_fusion.detectors.late_fusion import without_doubles
from mm_fusion.detectors.protocol import Measure, unmeasured
from mm_fusion.detectors.score_calibration import calibration_of, with_calibrated_scores
from mm_fusion.errors import ConfigurationError, MeasurementError
from mm_fusion.frame import Frame, decoded
from mm_fusion.inputs.camera_pixels import calibrated_cameras, camera_slots
from mm_fusion.inputs.camera_sampling import LiftTable
from mm_fusion.inputs.coverage import coverage
from mm_fusion.inputs.network_inputs import InputMaker, available
from mm_fusion.measurements import CameraImage, CameraModel, Deferred, Float32, Measurement
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.falling_back import OpenedGraphs
from mm_fusion.runtime.protocol import Arrays

MIN_SCORE = 0.02
"""Weaker candidates are not published."""
BACKWARDS_MPS = 1.0
"""Nothing drives backwards faster than this, as far as headings go."""
DOUBLES_OVERLAP = 0.2
"""Footprint IoU with a stronger object above which one is its double."""


class LearnedDetector:
    """Objects by the network of a folder as `export` writes it; serves one vehicle.

    `detect` belongs to one thread; `prepare` and `prepare_image` may run beside it on any.
    """

    def __init__(
        self,
        vehicle: VehicleConfig,
        folder: Path,
        backend: str = "auto",
        threads: int = 1,
        report: Callable[[str], None] | None = None,
        graphs: OpenedGraphs | None = None,
    ) -> None:
        """graphs: what runs the network; None opens those of the folder on the backend."""
        path = folder / "model.yaml"
        if not path.is_file():
            raise ConfigurationError(f"{folder}: expected model.yaml and four graphs; make them with export")
        self.config = load_config(path, LearnedConfig)
        self._graphs = graphs or open_graphs(folder, self.config, backend, threads, report=report)
        self._vehicle, self._maker = vehicle, InputMaker(self.config, vehicle)
        self._cameras = CameraFeatures(self.config, self._graphs["camera"])
        self._measure: Measure = unmeasured
        self._curves = calibration_of(folder)

    @property
    def backend(self) -> str:
        """Name of the backend that runs the graphs now."""
        return self._graphs.backend

    @property
    def backend_reason(self) -> str:
        """Why that one; '' where it was asked for by name and works."""
        return self._graphs.reason

    @property
    def measure(self) -> Measure:
        """What times the stages; set by a host."""
        return self._measure

    @measure.setter
    def measure(self, measure: Measure) -> None:
        self._measure = self._cameras.measure = measure

    def detect(self, frame: Frame) -> Detections:
        """The objects at `frame.stamp_ns` in `base_link`, strongest first; none without sensors.

        Rasters come first, so that other threads have time for the images; then those that nobody is at.
        """
        images = self._images(frame)
        cover = coverage(frame, self._vehicle, self.config, np.zeros(self.config.grid.shape, np.float32))
        given = self._raster_features(frame, cover)
        self._cameras.start(images)
        table = self._table(frame, images)
        rows = self._cameras.rows(images)
        if len(rows) < len(images):  # an image was corrupt inside
            table = self._table(frame, rows)
        present = dict(zip(SENSOR_GROUPS, available(frame, list(rows)) > 0))
        if not any(present.values()):
            return empty_detections()
        cover[0, 0] = table.coverage
        given |= self._camera_rows(frame, rows) | lifted(table) | {"coverage": cover}
        return with_calibrated_scores(joined(self._find, given, self.config), mode_of(present), self._curves)

    def _find(self, given: Arrays) -> Detections:
        """What the fusion graph says to its inputs."""
        with self._measure("fusion"):
            outputs = self._graphs["fusion"].run(given)
        with self._measure("objects"):
            return detections_of(outputs, given, self.config)

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Decode early; never changes a result."""
        _decoded(item)

    def prepare_image(self, sensor: str, item: Measurement | Deferred, model: CameraModel) -> None:
        """Decode an image and run the camera encoder early; never changes a result."""
        image = _decoded(item)
        if isinstance(image, CameraImage) and sensor in self._used_cameras():
            self._cameras.prepare(sensor, image, model)

    def _used_cameras(self) -> list[str]:
        names = [name for name, sensor in self._vehicle.sensors.items() if sensor.kind == "camera"]
        return names[: self.config.camera.max_cameras]

    def _images(self, frame: Frame) -> dict[str, tuple[CameraImage, CameraModel]]:
        """Image and model of the calibrated cameras, in the order of their slots."""
        found: dict[str, tuple[CameraImage, CameraModel]] = {}
        for name in calibrated_cameras(frame, self.config):
            image = decoded(frame.measurements[name])
            if isinstance(image, CameraImage):
                found[name] = image, frame.calibration.camera_models[name]
        return found

    def _raster_features(self, frame: Frame, cover: Float32) -> Arrays:
        """Features of LiDAR and radar; what nobody covers is not encoded."""
        shape = (1, self.config.trunk.channels, *self.config.grid.shape)
        found: Arrays = {}
        for number, name, raster in ((1, "lidar", self._maker.lidar), (2, "radar", self._maker.radar)):
            features = np.zeros(shape, np.float32)
            if cover[0, number].any():
                with self._measure("rasters"):
                    cells = raster.build(frame)[None]
                with self._measure("raster_encoders"):
                    features = self._graphs[name].run({"raster": cells})["features"]
            found[f"{name}_features"] = features
        return found

    def _table(self, frame: Frame, cameras: Collection[str]) -> LiftTable:
        with self._measure("lift"):
            return self._maker.cameras.table(frame, cameras)

    def _camera_rows(self, frame: Frame, seen: Mapping[str, Arrays]) -> Arrays:
        """Rows of all slots, zeros where a camera is absent."""
        camera, slots = self.config.camera, camera_slots(frame, self.config)
        widths = {"rows": camera.rows_channels, "full_rows": camera.full_rows_channels}
        found: Arrays = {}
        for name, width in {**widths, "depth": camera.depth_bins}.items():
            rows = np.zeros((1, camera.max_cameras * camera.rows_per_camera, width), np.float32)
            for camera_name, outputs in seen.items():
                first = slots[camera_name] * camera.rows_per_camera
                rows[:, first : first + camera.rows_per_camera] = outputs[name]
            found[f"camera_{name}"] = rows
        return found


def lifted(table: LiftTable) -> Arrays:
    """A lift table as the fusion graph takes it."""
    names = ("lift_index", "lift_bin", "lift_weight", "camera_age")
    return {name: getattr(table, name) for name in names}


def _decoded(item: Measurement | Deferred) -> Measurement | None:
    try:
        return decoded(item)
    except MeasurementError:
        # the pipeline meets the same error when it decodes the frame, and counts it there
        return None


def detections_of(outputs: Arrays, inputs: Mapping[str, object], config: LearnedConfig) -> Detections:
    """What is published of a frame's raw outputs: strong, seen by some sensor, no doubles, in order.

    inputs: of the frame, only `coverage` is looked at. A candidate with a number that is not finite is none.
    """
    raw = {name: array[0] for name, array in outputs.items()}
    finite = finite_rows(raw)
    keep = np.flatnonzero((raw["score"] >= MIN_SCORE) & (raw["weights"].sum(1) > 0) & finite)
    # ties in a fixed order: backends may give equal scores in another one
    keep = keep[np.lexsort((raw["cell"][keep], -raw["score"][keep]))]
    row = {name: array[keep] for name, array in raw.items()}
    box, variance = row["box"], np.maximum(row["variance"], 1e-6)
    ray = np.arctan2(box[:, 1], box[:, 0])
    present = raw_presence(np.asarray(inputs["coverage"]), row["cell"])
    velocity_cov = turned(variance[:, 2], variance[:, 3], ray)
    found = make_detections(
        len(keep),
        center=box[:, :3],
        size=box[:, 3:6],
        yaw=forward(np.arctan2(box[:, 6], box[:, 7]), row["velocity"], velocity_cov),
        velocity=row["velocity"],
        position_cov=turned(variance[:, 0], variance[:, 1], ray),
        velocity_cov=velocity_cov,
        variance=variance[:, 4:9],
        score=row["score"],
        class_id=class_ids(config)[row["class_index"]],
        moving=row["moving"],
        contribution=shares(row["contribution"], present),
    )
    return found.select(without_doubles(found, DOUBLES_OVERLAP))


def forward(yaw: np.ndarray, velocity: np.ndarray, velocity_cov: np.ndarray) -> np.ndarray:
    """Yaw (N,), half a turn on where an object would drive backwards.

    Both ends of a car look alike, so the network is surer of its axis than of its front. Only a velocity that
    goes backwards by more than 1 m/s and by more than its own stated deviation says otherwise.
    """
    c, s = np.cos(yaw), np.sin(yaw)
    speed = velocity[:, 0] * c + velocity[:, 1] * s
    xx, xy, yy = velocity_cov.T
    deviation = np.sqrt(np.maximum(c * c * xx + 2 * c * s * xy + s * s * yy, 0.0))
    back = speed < -np.maximum(BACKWARDS_MPS, deviation)
    return np.asarray(np.where(back, np.arctan2(-s, -c), yaw))


def class_ids(config: LearnedConfig) -> np.ndarray:
    """Ids in `CLASSES` of the model's classes."""
    return np.array([CLASSES.index(name) for name in config.classes], np.int16)


def finite_rows(raw: Arrays) -> np.ndarray:
    """Which candidates (N,) have finite numbers alone."""
    finite = [np.isfinite(array).all(axis=tuple(range(1, array.ndim))) for array in raw.values()]
    return np.asarray(np.logical_and.reduce(finite))


def raw_presence(cover: Float32, cell: np.ndarray) -> np.ndarray:
    """Which sensors (N, 3) cover flat cells (N,)."""
    return np.asarray(cover[0].reshape(3, -1)[:, cell].T > 0)


def turned(along: np.ndarray, across: np.ndarray, ray: np.ndarray) -> Float32:
    """Covariances (N, 3) xx xy yy of variances along and across a ray of azimuth (N,)."""
    c, s = np.cos(ray), np.sin(ray)
    xx, xy, yy = c * c * along + s * s * across, c * s * (along - across), s * s * along + c * c * across
    return np.stack([xx, xy, yy], 1).astype(np.float32)


def shares(signed: np.ndarray, present: np.ndarray) -> Float32:
    """Published contributions (N, 3): the positive part over the sensors present, even where none is."""
    positive = np.where(present, np.maximum(signed, 0.0), 0.0)
    positive = np.where(positive.sum(1, keepdims=True) > 1e-6, positive, present.astype(np.float64))
    return (positive / np.maximum(positive.sum(1, keepdims=True), 1e-9)).astype(np.float32)
