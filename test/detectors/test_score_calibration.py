"""Scores through curves by class and mode."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.detectors.score_calibration import (
    Curve,
    calibrated,
    read_calibration,
    with_calibrated_scores,
)
from mm_fusion.errors import ConfigurationError

CAR, BUS = CLASSES.index("car"), CLASSES.index("bus")
HALF = Curve(np.array([0.0, 1.0]), np.array([0.0, 0.5]))
TENTH = Curve(np.array([0.0, 1.0]), np.array([0.0, 0.1]))
TABLE = {"CLR": {"car": HALF, "all": TENTH}}


def test_nothing_stays_nothing() -> None:
    assert len(with_calibrated_scores(empty_detections(), "CLR", TABLE)) == 0


def test_a_class_takes_its_own_curve_or_that_of_all() -> None:
    score, class_id = np.array([0.8, 0.8], np.float32), np.array([CAR, BUS])
    assert calibrated(score, class_id, "CLR", TABLE) == pytest.approx([0.4, 0.08])
    assert calibrated(score, class_id, "R", TABLE).tolist() == score.tolist()


def test_detections_come_strongest_first_again() -> None:
    given = make_detections(2, score=np.array([0.9, 0.3]), class_id=np.array([BUS, CAR]))
    found = with_calibrated_scores(given, "CLR", TABLE)
    assert found.class_names() == ["car", "bus"] and found.score == pytest.approx([0.15, 0.09])


def test_a_file_is_read_back(tmp_path: Path) -> None:
    entry = {"score": [0.0, 1.0], "probability": [0.0, 0.5], "method": "platt"}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"version": 1, "curves": {"C": {"car": entry}}}))
    assert read_calibration(path)["C"]["car"](np.array([0.5])) == pytest.approx([0.25])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "curves": {}}',
        '{"version": 1, "curves": {"C": {"car": {"score": [0, 1], "probability": [1, 0]}}}}',
    ],
)
def test_what_is_no_calibration_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"calibration\.json: expected"):
        read_calibration(path)
