"""One frame detected plainly: NumPy, OpenCV, and eager PyTorch or ONNX Runtime with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mm_fusion.benchmarking.load import LoadFrame
from mm_fusion.benchmarking.plain_decoding import PlainCloud, plain_cloud, plain_image
from mm_fusion.benchmarking.plain_lift import PlainLift
from mm_fusion.benchmarking.plain_rasters import plain_lidar_raster, plain_radar_raster
from mm_fusion.benchmarking.stopwatch import Stopwatch
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import Detections
from mm_fusion.detectors.learned import detections_of
from mm_fusion.inputs.camera_pixels import calibrated_cameras
from mm_fusion.inputs.coverage import coverage
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Arrays


class Engine(Protocol):
    """The four graphs; images of all cameras may come as one batch."""

    def cameras(self, images: np.ndarray) -> Arrays:
        """rows, full_rows and depth (N, R, ...) of images (N, 3, h, w)."""
        ...

    def raster(self, name: str, raster: np.ndarray) -> np.ndarray:
        """Features (1, C, X, Y)."""
        ...

    def fusion(self, inputs: Arrays) -> Arrays:
        """Raw outputs by name."""
        ...


class PlainDetector:
    """Decodes, rasterises, projects and infers in one straight line, one thing after another.

    Coverage, and what is decided on raw outputs, are those of the package, which are NumPy already.
    """

    def __init__(self, config: LearnedConfig, vehicle: VehicleConfig, engine: Engine) -> None:
        self._config, self._vehicle, self._engine = config, vehicle, engine
        self._lift = PlainLift(config)
        self._earlier: dict[int, PlainCloud] = {}
        self.stages = Stopwatch()

    def detect(self, load: LoadFrame) -> Detections:
        """The objects of a frame whose sensors are all there."""
        frame, measure = load.frame, self.stages.measure
        with measure("payloads"):
            clouds = self._clouds(load)
        with measure("decode"):
            images = self._images(load)
        with measure("camera_encoder"):
            given = self._rows(images)
        with measure("rasters"):
            lidar = plain_lidar_raster(clouds["lidar"], frame, self._config, self._vehicle.ego_box)
            radar = plain_radar_raster(clouds["radar"], frame, self._config, self._vehicle.ego_box)
        with measure("raster_encoders"):
            given["lidar_features"] = self._engine.raster("lidar", lidar[None])
            given["radar_features"] = self._engine.raster("radar", radar[None])
        with measure("lift"):
            table = self._lift.table(frame)
            given |= {n: getattr(table, n) for n in ("lift_index", "lift_bin", "lift_weight", "camera_age")}
            cover = coverage(load.decoded, self._vehicle, self._config, table.coverage)
        with measure("fusion"):
            outputs = self._engine.fusion(given | {"coverage": cover})
        with measure("objects"):
            return detections_of(outputs, {"coverage": cover}, self._config)

    def _clouds(self, load: LoadFrame) -> dict[str, list[tuple[str, PlainCloud]]]:
        """Clouds by kind of sensor, the newest decoded now, older radar scans kept from when they came."""
        frame, found = load.frame, {"lidar": [], "radar": []}  # type: ignore[var-annotated]
        depth = {"lidar": self._config.lidar.sweeps, "radar": self._config.radar.sweeps}
        for name, kind in frame.kinds.items():
            if kind not in found or name not in load.messages:
                continue
            sensor, stamp_ns = self._vehicle.sensors[name], frame.measurements[name].stamp_ns
            found[kind].append((name, plain_cloud(load.messages[name], stamp_ns, sensor)))
            if frame.ego is not None:
                for message, before_ns in load.earlier.get(name, ())[: depth[kind]]:
                    found[kind].append((name, self._kept(message, before_ns, name)))
        return found

    def _kept(self, message: Any, stamp_ns: int, name: str) -> PlainCloud:
        if id(message) not in self._earlier:
            self._earlier[id(message)] = plain_cloud(message, stamp_ns, self._vehicle.sensors[name])
        return self._earlier[id(message)]

    def _images(self, load: LoadFrame) -> dict[int, np.ndarray]:
        camera, found = self._config.camera, {}
        for name, slot in calibrated_cameras(load.frame, self._config).items():
            model = load.frame.calibration.camera_models[name]
            height = max(1, round(model.height_px * camera.width_px / model.width_px))
            data = np.frombuffer(load.messages[name].data, np.uint8)
            found[slot] = plain_image(data, camera.width_px, height, camera.height_px)
        return found

    def _rows(self, images: Mapping[int, np.ndarray]) -> Arrays:
        """Rows of all slots, zeros where a camera is absent."""
        camera = self._config.camera
        slots = list(images)
        outputs = self._engine.cameras(np.stack(list(images.values()))) if images else {}
        found: Arrays = {}
        widths = {"rows": camera.rows_channels, "full_rows": camera.full_rows_channels}
        for name, width in {**widths, "depth": camera.depth_bins}.items():
            rows = np.zeros((camera.max_cameras, camera.rows_per_camera, width), np.float32)
            if slots:
                rows[slots] = outputs[name]
            found[f"camera_{name}"] = rows.reshape(1, -1, width)
        return found

    def check_inputs(self, load: LoadFrame, maker: InputMaker) -> dict[str, float]:
        """Largest difference of rasters, share of look-ups that differ, and mean grey levels apart."""
        clouds, ours = self._clouds(load), maker.make(load.decoded)
        box = self._vehicle.ego_box
        lidar = plain_lidar_raster(clouds["lidar"], load.frame, self._config, box)
        radar = plain_radar_raster(clouds["radar"], load.frame, self._config, box)
        table = self._lift.table(load.frame)
        images = self._images(load)
        grey = [np.abs(ours["images"][slot].astype(np.int16) - each).mean() for slot, each in images.items()]
        return {
            "lidar_cells_differ_percent": _percent_apart(ours["lidar"][0], lidar),
            "radar_cells_differ_percent": _percent_apart(ours["radar"][0], radar),
            "lift_differs_percent": float((ours["lift_index"] != table.lift_index).mean() * 100),
            "image_grey_levels": float(np.mean(grey)) if grey else 0.0,
        }


def _percent_apart(one: np.ndarray, other: np.ndarray) -> float:
    """Percent of the cells filled in either raster whose values differ by more than 0.01."""
    filled = (one != 0).any(axis=0) | (other != 0).any(axis=0)
    apart = (np.abs(one - other) > 0.01).any(axis=0)
    return float(100.0 * apart.sum() / max(1, filled.sum()))


def torch_engine(folder: Path, threads: int) -> Engine:
    """Eager PyTorch in channels-last."""
    from mm_fusion.training.eager import EagerEngine

    return EagerEngine(folder, threads)


class OnnxRuntimeEngine:
    """ONNX Runtime as anybody would open it, FP32, on so many threads."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._sessions = {
            name: onnxruntime.InferenceSession(
                str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
            )
            for name in ("camera", "lidar", "radar", "fusion")
        }

    def cameras(self, images: np.ndarray) -> Arrays:
        """As `Engine` says; the graph takes one image at a time."""
        parts = [self._run("camera", {"image": image[None]}) for image in images]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def raster(self, name: str, raster: np.ndarray) -> np.ndarray:
        """As `Engine` says."""
        return self._run(name, {"raster": raster})["features"]

    def fusion(self, inputs: Arrays) -> Arrays:
        """As `Engine` says."""
        return self._run("fusion", inputs)

    def _run(self, name: str, inputs: Arrays) -> Arrays:
        session = self._sessions[name]
        wanted = {each.name: inputs[each.name] for each in session.get_inputs()}
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(names, wanted)))
