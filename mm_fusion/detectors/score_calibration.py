"""Scores as probabilities: curves by class and mode, fitted where nothing is scored, and their file.

`calibration.json`: {"version": 1, "match_m": 2.0, "model": hash, "fitted_on": words, "curves": {mode: {class
or "all": {"method": "isotonic" | "platt", "detections": n, "hits": n, "score": [..], "probability": [..]}}}}.
A curve is linear between its knots and constant beyond them; scores and probabilities rise strictly, so that
the order of detections of a class never changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mm_fusion.detections import CLASSES, Detections
from mm_fusion.errors import ConfigurationError
from mm_fusion.measurements import Float32, Float64

VERSION = 1
FILE = "calibration.json"
ALL = "all"
"""The curve of a mode for classes that had too few detections for one of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Knots of score and probability, (K,) each, both strictly rising."""

    score: Float64
    probability: Float64

    def __call__(self, score: np.ndarray) -> Float64:
        """Probabilities (N,) of scores (N,)."""
        return np.interp(np.asarray(score, np.float64), self.score, self.probability)


CalibrationTable = Mapping[str, Mapping[str, Curve]]
"""Curve by mode and class name or `all`."""


def calibrated(score: np.ndarray, class_id: np.ndarray, mode: str, table: CalibrationTable) -> Float32:
    """Scores (N,) as the probability that an object of the class is within 2 m; unchanged without a curve."""
    out = np.array(score, np.float32)
    curves = table.get(mode, {})
    for index in np.unique(class_id):
        curve = curves.get(CLASSES[int(index)], curves.get(ALL))
        if curve is not None:
            mine = class_id == index
            out[mine] = curve(out[mine])
    return out


def with_calibrated_scores(detections: Detections, mode: str, table: CalibrationTable) -> Detections:
    """The detections with calibrated scores, strongest first; as they are without curves of the mode."""
    if mode not in table:
        return detections
    changed = replace(detections, score=calibrated(detections.score, detections.class_id, mode, table))
    return changed.select(np.argsort(-changed.score, kind="stable"))


def calibration_of(folder: Path) -> CalibrationTable:
    """The curves that a model's folder carries, none where it has no `calibration.json`."""
    path = folder / FILE
    return read_calibration(path) if path.is_file() else {}


def read_calibration(path: str | Path) -> CalibrationTable:
    """The curves of a `calibration.json`; raises `ConfigurationError` for a file that is none."""
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
        if tree["version"] != VERSION:
            raise ConfigurationError(f"{path}: expected version {VERSION}, got {tree['version']!r}")
        return {
            mode: {name: _curve(entry) for name, entry in classes.items()}
            for mode, classes in tree["curves"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: expected a {FILE} as evaluate --model writes it, got {type(error).__name__}: {error}"
        ) from error


def _curve(entry: Mapping[str, list[float]]) -> Curve:
    score, probability = (np.asarray(entry[name], np.float64) for name in ("score", "probability"))
    rising = len(score) > 1 and (np.diff(score) > 0).all() and (np.diff(probability) > 0).all()
    if score.shape != probability.shape or not rising:
        raise ValueError("a curve's score and probability must rise and be of one length")
    return Curve(score, probability)
