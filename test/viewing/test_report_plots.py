"""Pictures of a report: those that it has numbers for, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from mm_fusion.viewing.report_plots import write_report_plots


def tree(**changes: Any) -> dict[str, Any]:
    """A report of one subset in which nothing moved and nothing was found."""
    side = {"mean": None, "median": None}
    subset = {
        "nuscenes": {"map": None},
        "interval": {"map": None},
        "by_range": {"0-20": {"map": None}},
        "velocity": {"objects": 0, "radial": side, "tangential": side},
        "variance": {"z": {"stated": 0, "coverage_68": None, "coverage_95": None}},
    }
    calibration = {"CLR": {"detections": 0, "bins": [], "bins_after": None, "ece": None, "ece_after": None}}
    empty = {"full": "CLR", "subsets": {"CLR": subset}, "conditions": {}, "calibration": calibration}
    return {**empty, **changes}


def test_an_empty_report_has_no_pictures_of_what_is_not_there(tmp_path: Path) -> None:
    assert [path.name for path in write_report_plots(tmp_path, tree())] == ["subsets.png", "ranges.png"]


def test_conditions_and_reliability_are_drawn(tmp_path: Path) -> None:
    bins = [{"count": 2, "score": 0.3, "hit_share": 0.1}, {"count": 2, "score": 0.8, "hit_share": 0.9}]
    part = {"detections": 4, "bins": bins, "bins_after": bins, "ece": 15.0, "ece_after": 15.0}
    many = {f"fault_{n}": {"kept": 10.0 * n} for n in range(12)}
    paths = write_report_plots(tmp_path, tree(conditions=many, calibration={"CLR": part}))
    assert [path.stem for path in paths] == ["subsets", "ranges", "conditions", "reliability"]
    assert all(cv2.imread(str(path)).shape[1] > 300 for path in paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
