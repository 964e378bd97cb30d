"""Two small reports with known order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compare_reports import main, table


def sim(**maps: float) -> dict:
    return {"subsets": {name: {"nuscenes": {"map": value}} for name, value in maps.items()}}


def real(**moderate: float) -> dict:
    subsets = {name: {"kitti": {"car": {"3d": {"0.5": {"moderate": v}}}}} for name, v in moderate.items()}
    return {"subsets": subsets}


@pytest.mark.parametrize(("order", "rank"), [((50.0, 40.0, 2.0), "1.00"), ((2.0, 40.0, 50.0), "-1.00")])
def test_the_order_is_what_counts(order: tuple[float, ...], rank: str) -> None:
    text = table(sim(CLR=30.0, L=20.0, C=0.1), real(**dict(zip(("CLR", "L", "C"), order))))
    assert f"over 3 rows: {rank}" in text
    assert "left: nuScenes mAP, right: Car 3D AP@0.5 moderate" in text


def test_only_what_both_have_is_compared() -> None:
    text = table(sim(CLR=30.0, L=20.0, C=0.1, R=5.0), sim(CLR=3.0, L=2.0, C=1.0))
    assert [line.split()[0] for line in text.splitlines()[1:-1]] == ["CLR", "L", "C"]
    assert "over 3 rows: 1.00" in text


def test_operators_are_ranked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, scores in {"sim": (7.0, 6.0, 5.0), "real": (30.0, 10.0, 20.0)}.items():
        rows = {row: {"overall": score} for row, score in zip(("low_rank", "concat", "graph"), scores)}
        (tmp_path / name).mkdir()
        (tmp_path / name / "comparison.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    assert main([str(tmp_path / "sim"), str(tmp_path / "real")]) == 0
    said = capsys.readouterr().out
    assert "left: mean mAP, right: mean mAP" in said and "over 3 rows: 0.50" in said


def test_bad_reports_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path)]) == 2
    (tmp_path / "report.json").write_text("[]", encoding="utf-8")
    assert main([str(tmp_path), str(tmp_path)]) == 2
    (tmp_path / "report.json").write_text(json.dumps(sim(CLR=1.0, L=2.0)), encoding="utf-8")
    assert main([str(tmp_path), str(tmp_path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and "--subsets all" in errors[-1]
