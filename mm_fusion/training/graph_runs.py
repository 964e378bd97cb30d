"""The four graphs run on ready network inputs: what calibration and comparison of backends need."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.frame_run import camera_rows
from mm_fusion.runtime.protocol import Arrays, Backend

Graphs = Mapping[str, Backend]


def run_graphs(graphs: Graphs, inputs: NetworkInputs, config: LearnedConfig) -> Arrays:
    """Raw outputs of the fusion graph for one frame; what is absent is not encoded."""
    return graphs["fusion"].run(fusion_inputs(graphs, inputs, config))


def fusion_inputs(graphs: Graphs, inputs: NetworkInputs, config: LearnedConfig) -> Arrays:
    """The fusion graph's inputs of one frame, features by the other three graphs."""
    given: Arrays = {name: array for name, array in inputs.items() if isinstance(array, np.ndarray)}
    given |= camera_rows(graphs["camera"], inputs, config)
    shape = (1, config.trunk.channels, *config.grid.shape)
    for number, name in ((1, "lidar"), (2, "radar")):
        seen = inputs["coverage"][0, number].any()
        features = graphs[name].run({"raster": given[name]})["features"] if seen else None
        given[f"{name}_features"] = np.zeros(shape, np.float32) if features is None else features
    return given
