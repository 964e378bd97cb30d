"""What only a machine with an NVIDIA GPU and TensorRT can say; `make gpu-check` runs these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.device_probe import probe
from mm_fusion.runtime.frame_run import run_frame
from mm_fusion.runtime.parity import FLOAT32, candidate_differences
from mm_fusion.runtime.samples import made_samples

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(probe().problem), reason=probe().problem or "has one")]


def test_engines_are_built_then_loaded_and_give_the_same(exported: Path, config: LearnedConfig) -> None:
    said: list[str] = []
    open_graphs(exported, config, "tensorrt", report=said.append)
    assert any("building engines" in text for text in said)
    said.clear()
    graphs = open_graphs(exported, config, "tensorrt", report=said.append)
    assert said == []
    reference = open_graphs(exported, config, "onnxruntime-cpu")
    for frame in made_samples(config, 4):
        one, other = (run_frame(each, frame, config).outputs for each in (reference, graphs))
        assert candidate_differences(one, other, FLOAT32, config.grid.shape[1]) == []


def test_a_recorded_launch_reads_its_inputs_anew(exported: Path, config: LearnedConfig) -> None:
    graphs = open_graphs(exported, config, "tensorrt")
    one, other = made_samples(config, 2)
    first = np.array(graphs["lidar"].run({"raster": one["lidar"]})["features"])
    second = np.array(graphs["lidar"].run({"raster": other["lidar"]})["features"])
    again = np.array(graphs["lidar"].run({"raster": one["lidar"]})["features"])
    assert not np.array_equal(first, second) and np.array_equal(first, again)


def test_memory_of_the_device_is_flat(exported: Path, config: LearnedConfig) -> None:
    import torch

    graphs = open_graphs(exported, config, "tensorrt")
    frame = made_samples(config, 1)[0]
    run_frame(graphs, frame, config)
    before = torch.cuda.mem_get_info()[0]
    for _ in range(200):
        run_frame(graphs, frame, config)
    assert before - torch.cuda.mem_get_info()[0] < 32 << 20


def test_auto_takes_it_where_it_is_fastest(exported: Path, config: LearnedConfig) -> None:
    graphs = open_graphs(exported, config)
    assert "tensorrt" in graphs.reason and graphs.backend in graphs.reason
