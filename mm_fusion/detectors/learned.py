"""The learned detector: inputs, four graphs, and what is decided on their raw outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mm_fusion.config import VehicleConfig, load_config
from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.detectors.late_fusion import without_doubles
from mm_fusion.errors import ConfigurationError, MeasurementError
from mm_fusion.frame import Frame
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.measurements import Deferred, Float32, Measurement
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.protocol import Arrays

MIN_SCORE = 0.02
"""Weaker candidates are not published."""
DOUBLES_OVERLAP = 0.2
"""Footprint IoU with a stronger object above which one is its double."""


class LearnedDetector:
    """Objects by the network of a folder as `export` writes it; serves one vehicle from one thread."""

    def __init__(
        self, vehicle: VehicleConfig, folder: Path, backend: str = "onnxruntime", threads: int = 1
    ) -> None:
        path = folder / "model.yaml"
        if not path.is_file():
            raise ConfigurationError(f"{folder}: expected model.yaml and four graphs; make them with export")
        self.config = load_config(path, LearnedConfig)
        self._graphs = open_graphs(folder, self.config, backend, threads)
        self._maker = InputMaker(self.config, vehicle)

    def detect(self, frame: Frame) -> Detections:
        """The objects at `frame.stamp_ns` in `base_link`, strongest first; none without sensors."""
        inputs = self._maker.make(frame)
        if not inputs["available"].any():
            return empty_detections()
        outputs = self._graphs["fusion"].run(self._encoded(inputs))
        return detections_of(outputs, inputs, self.config)

    def prepare(self, sensor: str, item: Measurement | Deferred) -> None:
        """Decode early; never changes a result."""
        if isinstance(item, Deferred):
            try:
                item.get()
            except MeasurementError:
                # the pipeline meets the same error when it decodes the frame, and counts it there
                return

    def _encoded(self, inputs: NetworkInputs) -> Arrays:
        """The fusion graph's inputs; what is absent is not encoded."""
        given: Arrays = {
            name: array for name, array in inputs.items() if isinstance(array, np.ndarray)
        } | self._camera_rows(inputs)
        for number, name in ((1, "lidar"), (2, "radar")):
            shape = (1, self.config.trunk.channels, *self.config.grid.shape)
            seen = inputs["coverage"][0, number].any()
            features = self._graphs[name].run({"raster": given[name]})["features"] if seen else None
            given[f"{name}_features"] = np.zeros(shape, np.float32) if features is None else features
        return given

    def _camera_rows(self, inputs: NetworkInputs) -> Arrays:
        camera = self.config.camera
        widths = {"rows": camera.rows_channels, "full_rows": camera.full_rows_channels}
        rows = {
            name: np.zeros((1, camera.max_cameras * camera.rows_per_camera, width), np.float32)
            for name, width in {**widths, "depth": camera.depth_bins}.items()
        }
        for slot in np.flatnonzero(inputs["camera_present"]):
            place = slice(slot * camera.rows_per_camera, (slot + 1) * camera.rows_per_camera)
            seen = self._graphs["camera"].run({"image": inputs["images"][slot : slot + 1]})
            for name, array in seen.items():
                rows[name][:, place] = array
        return {f"camera_{name}": array for name, array in rows.items()}


def detections_of(outputs: Arrays, inputs: NetworkInputs, config: LearnedConfig) -> Detections:
    """What is published of a frame's raw outputs: strong, seen by some sensor, no doubles, in order."""
    raw = {name: array[0] for name, array in outputs.items()}
    finite = np.isfinite(raw["box"]).all(1) & np.isfinite(raw["score"])
    keep = np.flatnonzero((raw["score"] >= MIN_SCORE) & (raw["weights"].sum(1) > 0) & finite)
    # ties in a fixed order: backends may give equal scores in another one
    keep = keep[np.lexsort((raw["cell"][keep], -raw["score"][keep]))]
    row = {name: array[keep] for name, array in raw.items()}
    box, variance = row["box"], np.maximum(row["variance"], 1e-6)
    ray = np.arctan2(box[:, 1], box[:, 0])
    present = raw_presence(inputs, row["cell"])
    found = make_detections(
        len(keep),
        center=box[:, :3],
        size=box[:, 3:6],
        yaw=np.arctan2(box[:, 6], box[:, 7]),
        velocity=row["velocity"],
        position_cov=turned(variance[:, 0], variance[:, 1], ray),
        velocity_cov=turned(variance[:, 2], variance[:, 3], ray),
        variance=variance[:, 4:9],
        score=row["score"],
        class_id=class_ids(config)[row["class_index"]],
        moving=row["moving"],
        contribution=shares(row["contribution"], present),
    )
    return found.select(without_doubles(found, DOUBLES_OVERLAP))


def class_ids(config: LearnedConfig) -> np.ndarray:
    """Ids in `CLASSES` of the model's classes."""
    return np.array([CLASSES.index(name) for name in config.classes], np.int16)


def raw_presence(inputs: NetworkInputs, cell: np.ndarray) -> np.ndarray:
    """Which sensors (N, 3) cover flat cells (N,)."""
    return np.asarray(inputs["coverage"][0].reshape(3, -1)[:, cell].T > 0)


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
