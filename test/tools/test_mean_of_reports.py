"""Three small reports with a known mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mean_of_reports import main, mean_table

from mm_fusion.errors import ResultError


def report(moderate: float, data: str = "val") -> dict[str, Any]:
    levels = {"easy": moderate + 10, "moderate": moderate, "hard": moderate - 2}
    scores = {view: {"0.5": levels} for view in ("3d", "bev")}
    ends = {f"kitti car {view} 0.5 moderate": [moderate - 5, moderate + 5] for view in ("3d", "bev")}
    return {"data": {"name": data}, "subsets": {"CLR": {"kitti": {"car": scores}, "interval": ends}}}


def test_mean_range_and_interval():
    rows = mean_table([report(40.0), report(50.0), report(60.0)]).splitlines()
    assert rows[0] == "mean of 3 reports, %" and len(rows) == 4
    assert rows[2].split() == "CLR 3D AP@0.5 60.0 / 50.0 / 48.0 40.0 to 60.0 45.0 to 55.0".split()
    assert rows[3].startswith("CLR    BEV AP@0.5")


def test_other_frames_and_reports_without_cars_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(ResultError, match="same frames"):
        mean_table([report(40.0), report(50.0, "train")])
    with pytest.raises(ResultError, match="no|none"):
        mean_table([{"data": "val", "subsets": {}}])
    (tmp_path / "report.json").write_text(json.dumps({"data": 1, "subsets": {"CLR": {"kitti": None}}}))
    assert main([str(tmp_path)]) == 2 and main([str(tmp_path / "none")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and "subset CLR: expected KITTI scores of cars" in errors[0]
