"""Which sensor carried a decision: what the model states, what its operator weighs, what removal says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, product
from math import factorial
from pathlib import Path

import numpy as np

from mm_fusion.config import VehicleConfig, load_config
from mm_fusion.detections import Detections
from mm_fusion.detectors.learned import detections_of
from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.recorded_frames import decoded_frames
from mm_fusion.frame import Frame
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.measurements import Float32
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.protocol import Arrays

SENSORS = ("camera", "lidar", "radar")
NEAR_M = 2.0
"""Within this of a detection, a candidate of its class is the same object in a run without a sensor."""
Worths = dict[tuple[bool, ...], np.ndarray]
"""Scores (N,) of the detections by the sensors that are kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why the detections of one frame are there; sensors in the order camera, LiDAR, radar.

    present: (N, 3) bool, which sensors cover each detection's cell. stated: (N, 3) signed, the contribution
    that the network itself says. gate: (N, 3), the operator's weights there. removed: (N, 3), what the score
    loses when the sensor alone is taken away. shapley: (N, 3), its gain averaged over all orders of joining;
    sums to score. weight_map, coverage: (3, X, Y) over the model's grid.
    """

    detections: Detections
    present: np.ndarray
    stated: Float32
    gate: Float32
    removed: Float32
    shapley: Float32
    weight_map: Float32
    coverage: Float32

    def select(self, chosen: np.ndarray) -> Explanation:
        """The part of the detections that a mask or index chooses."""
        names = ("present", "stated", "gate", "removed", "shapley")
        arrays = {name: getattr(self, name)[chosen] for name in names}
        return replace(self, detections=self.detections.select(chosen), **arrays)


class Explainer:
    """Explanations of one vehicle's frames by a model's folder, through torch.

    Raises `ConfigurationError` for a model that joins detections and not features.
    """

    def __init__(self, vehicle: VehicleConfig, folder: Path) -> None:
        from mm_fusion.runtime.torch_backend import read_model

        self.config = load_config(folder / "model.yaml", LearnedConfig)
        if self.config.joining in ("late", "hybrid"):
            raise ConfigurationError(
                f"{folder}: expected a model whose sensors meet in features, got joining "
                f"{self.config.joining}, which has no weights to draw"
            )
        self._model = read_model(folder, self.config)
        self._maker = InputMaker(self.config, vehicle)

    def explain(self, frame: Frame) -> Explanation:
        """The frame's detections with their reasons: one run of the encoders, one of fusion per subset."""
        from mm_fusion.runtime.torch_explain import EncodedFrame

        inputs = self._maker.make(frame)
        encoded = EncodedFrame(self._model, inputs)
        whole = encoded.outputs()
        found = detections_of(whole, inputs, self.config)
        rows = raw_rows(found, whole)
        worths = _worths(encoded.outputs, whole, rows)
        picked = {name: whole[name][0][rows] for name in ("contribution", "weights", "cell")}
        return Explanation(
            found,
            inputs["coverage"][0].reshape(3, -1)[:, picked["cell"]].T > 0,
            picked["contribution"],
            picked["weights"],
            removal_of(worths),
            shapley_of(worths),
            encoded.weight_map(),
            inputs["coverage"][0],
        )


def explained_frames(
    path: Path, vehicle: VehicleConfig, explainer: Explainer, every: int = 1, limit: int | None = None
) -> Iterator[tuple[int, Frame, Explanation]]:
    """(number, frame, explanation) of every so many frames of a recording, at most `limit`."""
    stop = None if limit is None else limit * every
    for number, frame in islice(enumerate(decoded_frames(path, vehicle)), 0, stop, every):
        yield number, frame, explainer.explain(frame)


def raw_rows(found: Detections, outputs: Arrays) -> np.ndarray:
    """Which candidates (N,) of a frame's raw outputs the detections are, by their centres."""
    centres = outputs["box"][0, :, :3]
    if len(found) == 0:
        return np.zeros(0, np.int64)
    return np.linalg.norm(found.center[:, None] - np.nan_to_num(centres, nan=1e6)[None], axis=2).argmin(1)


def _worths(run: Callable[[tuple[bool, ...]], Arrays], whole: Arrays, rows: np.ndarray) -> Worths:
    """Score of every detection with each subset of the sensors; those of none are zero."""
    worths: Worths = {}
    for kept in product((True, False), repeat=len(SENSORS)):
        if not any(kept):
            worths[kept] = np.zeros(len(rows), np.float32)
        elif all(kept):
            worths[kept] = whole["score"][0][rows]
        else:
            worths[kept] = score_near(run(kept), whole, rows)
    return worths


def score_near(outputs: Arrays, whole: Arrays, rows: np.ndarray) -> np.ndarray:
    """The best score (N,) in `outputs` of what is the same object as rows of `whole`, 0 where none is.

    That is what has its class and is within 2 m, and nearer to no other of the rows.
    """
    here, there = whole["box"][0, rows, :2], outputs["box"][0, :, :2]
    distance = np.linalg.norm(here[:, None] - there[None], axis=2)
    same = whole["class_index"][0, rows, None] == outputs["class_index"][0][None]
    seen = outputs["weights"][0].sum(1) > 0
    distance = np.where(same & seen[None] & (distance <= NEAR_M), distance, np.inf)
    nearest = np.isfinite(distance) & (distance == distance.min(0, initial=np.inf))
    score = np.where(nearest, outputs["score"][0][None], 0.0)
    return np.asarray(score.max(1, initial=0.0), np.float32)


def removal_of(worths: Worths) -> Float32:
    """(N, 3) what the score loses without each sensor alone."""
    everything = (True,) * len(SENSORS)
    losses = [worths[everything] - worths[_without(everything, sensor)] for sensor in range(len(SENSORS))]
    return np.stack(losses, 1).astype(np.float32)


def shapley_of(worths: Worths) -> Float32:
    """(N, 3) each sensor's gain averaged over all orders in which sensors join. Source: Shapley (1953)."""
    count = len(SENSORS)
    values = np.zeros((len(next(iter(worths.values()))), count))
    for kept, worth in worths.items():
        for sensor in (number for number, there in enumerate(kept) if there):
            joined = sum(kept) - 1
            chance = factorial(joined) * factorial(count - joined - 1) / factorial(count)
            values[:, sensor] += chance * (worth - worths[_without(kept, sensor)])
    return values.astype(np.float32)


def _without(kept: Iterable[bool], sensor: int) -> tuple[bool, ...]:
    return tuple(bool(each) and number != sensor for number, each in enumerate(kept))
