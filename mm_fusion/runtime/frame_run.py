"""All four graphs on one frame's arrays: what comparing and timing of backends need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Arrays, Backend

Graphs = Mapping[str, Backend]


@dataclass(frozen=True, slots=True)
class FrameRun:
    """What the encoders gave (features by fusion's input names), what fusion got, and what it gave."""

    features: Arrays
    given: Arrays
    outputs: Arrays


def run_frame(graphs: Graphs, frame: NetworkInputs, config: LearnedConfig) -> FrameRun:
    """A frame through all graphs of one backend."""
    features = encoded(graphs, frame, config)
    given = fusion_inputs(frame, features)
    return FrameRun(features, given, graphs["fusion"].run(given))


def encoded(graphs: Graphs, frame: NetworkInputs, config: LearnedConfig) -> Arrays:
    """Features of a frame by the names of fusion's inputs; all rasters are encoded, empty ones too."""
    return {
        **camera_rows(graphs["camera"], frame, config),
        "lidar_features": np.asarray(graphs["lidar"].run({"raster": frame["lidar"]})["features"]),
        "radar_features": np.asarray(graphs["radar"].run({"raster": frame["radar"]})["features"]),
    }


def fusion_inputs(frame: NetworkInputs, features: Arrays) -> Arrays:
    """What the fusion graph takes of a frame."""
    names = ("lift_index", "lift_bin", "lift_weight", "camera_age", "coverage")
    return {**{name: frame[name] for name in names}, **features}  # type: ignore[literal-required]


def camera_rows(camera: Backend, frame: NetworkInputs, config: LearnedConfig) -> Arrays:
    """`camera_rows`, `camera_full_rows` and `camera_depth` of all slots, zeros where there is no image."""
    sizes = config.camera
    widths = {"rows": sizes.rows_channels, "full_rows": sizes.full_rows_channels, "depth": sizes.depth_bins}
    count = sizes.max_cameras * sizes.rows_per_camera
    rows = {name: np.zeros((1, count, width), np.float32) for name, width in widths.items()}
    for slot in np.flatnonzero(frame["camera_present"]):
        place = slice(slot * sizes.rows_per_camera, (slot + 1) * sizes.rows_per_camera)
        for name, array in camera.run({"image": frame["images"][slot : slot + 1]}).items():
            rows[name][:, place] = array
    return {f"camera_{name}": array for name, array in rows.items()}
