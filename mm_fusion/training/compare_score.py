"""A trained network scored on cached features: detections, scores by condition, and what it costs."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mm_fusion.detections import Detections, empty_detections
from mm_fusion.detectors.joining import joined
from mm_fusion.detectors.learned import detections_of
from mm_fusion.evaluation.job_scores import drawn
from mm_fusion.evaluation.matching import Pair, Region, pair_of
from mm_fusion.evaluation.nuscenes import nuscenes_statistics
from mm_fusion.evaluation.scenes import Scene
from mm_fusion.network.fusion.contract import FusionOperator
from mm_fusion.network.model import SENSORS
from mm_fusion.runtime.protocol import Arrays
from mm_fusion.training.compare_cache import FeatureCache
from mm_fusion.training.compare_model import ComparedNetwork

LOST: Mapping[str, str | None] = {
    "all": None,
    "lidar_lost": "lidar",
    "cameras_lost": "camera",
    "radars_lost": "radar",
}
"""Conditions that are a mask on the features of whole frames, and the sensor that each takes away."""
SPOILT = {"decalibrated": "decalibrated_camera", "foggy": "fog:2"}
"""Conditions whose frames are encoded anew, and their names in `evaluation/conditions.py`."""
CONDITIONS = (*LOST, *SPOILT)
ERRORS = ("map", "mate", "mase", "maoe", "mave")
RUNS = 15


class Scorer:
    """Scenes and cached features of the frames that are scored, kept from job to job."""

    def __init__(
        self,
        caches: Mapping[str, FeatureCache],
        names: Sequence[str],
        scenes: Sequence[Scene],
        runs: Sequence[int],
        region: Region,
        draws: int,
    ) -> None:
        """caches: by `all` and the names of `SPOILT`; runs: number of the drive of each frame."""
        self._caches, self._names, self._scenes = caches, names, scenes
        self._runs, self._region, self._draws = runs, region, draws

    def score(
        self, network: ComparedNetwork, progress: Callable[[str], None] | None = None
    ) -> dict[str, Any]:
        """By condition: mAP in percent, mean errors, truths, and AP of each class in each bootstrap draw."""
        found = {}
        for condition in CONDITIONS:
            if progress is not None:
                progress(condition)
            found[condition] = self._of(list(self._pairs(network, condition)))
        return found

    def _of(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        statistics = nuscenes_statistics(pairs)
        count = max(self._runs) + 1
        once = np.ones(count, np.int64)
        tree: dict[str, Any] = {
            name: statistics[("nuscenes", name)].value(once) if statistics else float("nan")
            for name in ERRORS
        }
        tree["truths"] = int(sum(pair.truth_inside.sum() for pair in pairs))
        tree["draws"] = drawn(statistics, count, self._draws)
        return tree

    def _pairs(self, network: ComparedNetwork, condition: str) -> list[Pair]:
        cache = self._caches[condition if condition in SPOILT else "all"]
        lost = LOST.get(condition)
        return [
            pair_of(scene, objects_of(network, cache.read(name), lost), self._region, run)
            for name, scene, run in zip(self._names, self._scenes, self._runs)
        ]


def objects_of(network: ComparedNetwork, arrays: Arrays, lost: str | None = None) -> Detections:
    """What a network finds in one frame's cached features, by its joining; `lost`: a sensor to do without."""
    cover = arrays["coverage"][None].copy()
    if lost is not None:
        cover[:, SENSORS.index(lost)] = 0
    if not cover.any():
        return empty_detections()

    def find(given: Arrays) -> Detections:
        inputs = {"coverage": torch.from_numpy(given["coverage"])}
        for name in ("features", "stems"):
            if name in arrays:
                inputs[name] = torch.from_numpy(arrays[name]).unsqueeze(1)
        outputs = {name: each.numpy() for name, each in network(inputs).items()}
        return detections_of(outputs, given, network.config)

    return joined(find, {"coverage": cover}, network.config)


def costs_of(network: ComparedNetwork) -> dict[str, float]:
    """Of the operator alone: parameters, GFLOP of its convolutions and products, and ms by ONNX Runtime.

    The grid is the model's; one thread; processor time, the median of some runs: a busy machine shows little.
    """
    operator, config = network.network.fusion, network.config
    features = torch.randn(len(SENSORS), 1, config.trunk.channels, *config.grid.shape)
    available = torch.ones(len(SENSORS), 1, 1, *config.grid.shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        operator(features, available)
    return {
        "parameters": sum(p.numel() for p in operator.parameters()),
        "gflop": counter.get_total_flops() / 1e9,
        "onnxruntime_ms": _onnxruntime_ms(operator, features, available),
    }


def _onnxruntime_ms(operator: FusionOperator, features: torch.Tensor, available: torch.Tensor) -> float:
    from mm_fusion.runtime.onnxruntime_backend import OnnxRuntimeBackend
    from mm_fusion.training.export import OPSET

    # the exporter tells of libraries that are not needed here
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "operator.onnx"
        program = torch.onnx.export(
            operator,
            (features, available),
            input_names=["features", "available"],
            output_names=["fused", "weights"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        program.save(str(path), external_data=False)
        backend = OnnxRuntimeBackend(path)
        given = {"features": features.numpy(), "available": available.numpy()}
        times = []
        for _ in range(RUNS + 2):
            begun = time.process_time()
            backend.run(given)
            times.append(time.process_time() - begun)
    return float(np.median(times[2:]) * 1e3)
