"""Both sides find the same, and every promised figure is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mm_fusion.benchmarking.comparison import BenchmarkSettings, RememberedGraphs, benchmark, matched_percent
from mm_fusion.benchmarking.report import benchmark_report
from mm_fusion.config import load_vehicle
from mm_fusion.detections import empty_detections, make_detections
from mm_fusion.evaluation.json_file import finite_tree
from mm_fusion.network.model import FusionModel
from mm_fusion.runtime.falling_back import OpenedGraphs
from mm_fusion.runtime.protocol import Arrays
from mm_fusion.training.export import export_model
from mm_fusion.training.export_frames import sample_recording
from test.network.scene import small_config


def cars(*places: float):
    return make_detections(
        len(places), center=np.array([(x, 0, 1) for x in places], np.float32).reshape(-1, 3),
        score=np.full(len(places), 0.5, np.float32),
    )  # fmt: skip


def test_matched_percent():
    assert matched_percent(empty_detections(), cars(1)) == 100.0
    assert matched_percent(cars(1, 10), cars(1.5, 30)) == 50.0
    assert matched_percent(cars(1), empty_detections()) == 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = FusionModel(small_config()).eval()
    torch.nn.init.normal_(model.fusion.head.heatmap.weight, std=0.3)
    return export_model(model, tmp_path_factory.mktemp("model"))


class Counting:
    """A graph that says how often it was run."""

    input_names, model_hash = ("number",), "none"

    def __init__(self) -> None:
        self.runs = 0

    def run(self, inputs: Arrays) -> Arrays:
        self.runs += 1
        return {"number": inputs["number"] * 2}


def test_graphs_asleep_give_their_last_answer_without_work():
    graph = Counting()
    graphs = RememberedGraphs(OpenedGraphs("none", {"lidar": graph}, "because"))
    assert (graphs.backend, graphs.reason) == ("none", "because")
    lidar = graphs["lidar"]
    assert lidar.run({"number": np.array([1])})["number"] == [2]
    graphs.asleep = True
    assert lidar.run({"number": np.array([5])})["number"] == [2] and graph.runs == 1
    graphs.asleep = False
    assert lidar.run({"number": np.array([5])})["number"] == [10] and graph.runs == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_every_figure_is_there(folder: Path, threads: int):
    shares: list[float] = []
    settings = BenchmarkSettings(folder, "onnxruntime", threads, 3)
    tree = benchmark(sample_recording(), load_vehicle("nuscenes_like"), settings, None, shares.append)
    for name in ("end_to_end", "everything_but_inference"):
        assert 0 < tree[name]["p50_ms"] <= tree[name]["p95_ms"] <= tree[name]["p99_ms"]
    assert tree["ratio_to_plain"] > 0 and tree["ratio_to_plain_onnxruntime"] > 0 and tree["copy_ms"] > 0
    stages = {
        "payloads",
        "decode",
        "camera_encoder",
        "rasters",
        "raster_encoders",
        "lift",
        "fusion",
        "objects",
    }
    assert stages <= set(tree["stages"]) and stages == set(tree["plain"]["stages"])
    assert tree["plain_agrees"]["inputs"]["lift_differs_percent"] < 0.1
    assert tree["peak_rss_mb"] > 0 and tree["data"]["distinct_frames"] == 3 and shares[-1] == 1.0
    assert json.loads(json.dumps(finite_tree(tree))) and "faster than plain" in benchmark_report(tree)
