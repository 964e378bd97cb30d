"""A whole report on a data set of the stub world, by a detector whose every answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.errors import BagError, ConfigurationError
from mm_fusion.evaluation import jobs
from mm_fusion.evaluation.conditions import parse_conditions
from mm_fusion.evaluation.jobs import Job, Model, Source, Workplace, known_result
from mm_fusion.evaluation.labelled_data import open_data
from mm_fusion.evaluation.model_report import Request, plan_of, run_plan
from mm_fusion.evaluation.report_page import report_html, report_text, tables_of
from mm_fusion.evaluation.report_tree import report_tree
from mm_fusion.frame import Frame
from mm_fusion.simulation.dataset import DatasetSettings, write_dataset
from test.simulation.stub_world import CAR_RANGE, SPEED, install, stub_vehicle


class Finds:
    """Finds the one car while the LiDAR is there; its speed only with the radar; one false alarm always."""

    calls = 0

    def __init__(self, name: str) -> None:
        self._name = name

    def detect(self, frame: Frame) -> Detections:
        Finds.calls += 1
        if "lidar" not in frame.measurements:
            return empty_detections()
        sees_speed = "radar" in frame.measurements and self._name == "good"
        velocity = [[SPEED, 0.0], [0, 0]] if sees_speed else [[SPEED / 2, 0.0], [0, 0]]
        return make_detections(
            2,
            center=np.array([[CAR_RANGE, 0, 0.75], [10, 4, 0.75]]),
            size=np.tile([4.5, 1.9, 1.5], (2, 1)),
            velocity=np.array(velocity),
            score=np.array([0.9, 0.8]),
            class_id=np.full(2, CLASSES.index("car")),
            position_cov=np.tile([0.1, 0, 0.1], (2, 1)),
            variance=np.full((2, 5), 0.1),
        )

    def prepare(self, sensor: str, item: Any) -> None:
        return


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of 16 training, 2 val and 2 test frames in drives of 4, and the detector above."""
    install(monkeypatch)
    monkeypatch.setattr(jobs, "make_detector", lambda name, vehicle, backend="auto": Finds(name))
    write_dataset(tmp_path / "d", replace(DatasetSettings.of(stub_vehicle(), 20, 1), frames_per_shard=8))
    return tmp_path / "d"


def request_of(folder: Path, conditions: str = "none", against: bool = False, **changes: Any) -> Request:
    source = Source((str(folder),), "train")
    made = Request(Model("good", "d1"), source, ["CLR", "CR", "L"], parse_conditions(conditions), draws=50)
    return replace(made, against=Model("poor", "d2") if against else None, **changes)


def reported(out: Path, request: Request) -> tuple[dict[str, Any], dict[str, Any] | None]:
    place = Workplace()
    data = place.data(request.source)
    plan = plan_of(request, data, place.data(request.calibrate) if request.calibrate else [])
    tree, table = report_tree(request, plan, run_plan(out, plan, request.workers, None, place), data)
    return json.loads(json.dumps(tree)), table


def test_a_report_says_what_is_known(folder: Path, tmp_path: Path) -> None:
    tree, table = reported(tmp_path / "r", request_of(folder, "lidar_lost,radars_lost,noise@lidar:1"))
    full, lost = (tree["subsets"][name] for name in ("CLR", "CR"))
    assert tree["data"][0]["frames"] == 16 and tree["data"][0]["runs"] == 4 and table is None
    # each frame has its car at 0.9 and a false alarm at 0.8: precision is 1 up to (but not at) full recall
    assert full["nuscenes"]["map"] == pytest.approx(100, abs=1) and lost["nuscenes"]["map"] == 0
    assert full["by_range"]["20-35"]["map"] == pytest.approx(100, abs=1)
    assert tree["conditions"]["lidar_lost"]["kept"] == 0
    assert tree["conditions"]["radars_lost"]["kept"] == pytest.approx(100)
    assert tree["robustness"]["map"]["ra"] == {"noise@lidar": pytest.approx(1)}
    assert full["velocity"]["radial"]["mean"] == 0
    assert tree["subsets"]["L"]["velocity"]["radial"]["mean"] == pytest.approx(SPEED / 2, rel=1e-3)
    # half of the detections are right, at 0.9 and 0.8: |0.9 - 1| and |0.8 - 0| in bins of equal mass
    assert tree["calibration"]["CLR"]["ece"] == pytest.approx(45, abs=0.5)
    assert full["variance"]["position"]["coverage_68"] == 100
    assert {row["what"]: row["reached"] for row in tree["aims"]}["lidar_lost: kept"] is False


def test_a_second_model_is_paired_and_is_the_baseline(folder: Path, tmp_path: Path) -> None:
    tree, _ = reported(tmp_path / "r", request_of(folder, "fog:1,fog:3", against=True))
    assert tree["differences"]["subsets"]["CLR"]["map"]["difference"] == pytest.approx(0)
    assert tree["robustness"]["severities"] == [1, 3]
    by_sum = tree["robustness"]["sum_without_attributes"]
    # the poor one has a worse velocity: its errors are larger
    assert by_sum["mce"] < 1 and tree["robustness"]["map"]["mra"] == pytest.approx(1)


def test_a_baseline_alone_runs_for_the_corruption_error_and_no_more(folder: Path, tmp_path: Path) -> None:
    request = request_of(folder, "radar_wrong,fog:1", against=True, baseline_only=True)
    tree, _ = reported(tmp_path / "r", request)
    done = {path.name for path in (tmp_path / "r" / "score_d2").iterdir()}
    assert done == {"CLR.json", "fog_1.json"}
    assert tree["robustness"]["map"]["mce"] == pytest.approx(1)
    assert "minus the other" not in report_text(tree) and "baseline poor" in report_text(tree)


def test_what_is_whole_is_not_done_again(folder: Path, tmp_path: Path) -> None:
    first, _ = reported(tmp_path / "r", request_of(folder, "lidar_lost"))
    # CLR, CR and L; a lost LiDAR is the subset CR
    assert len(list((tmp_path / "r").glob("score_*/*.json"))) == 3
    Finds.calls = 0
    again, _ = reported(tmp_path / "r", request_of(folder, "lidar_lost"))
    assert Finds.calls == 0 and again == first
    next((tmp_path / "r").glob("score_*/L.json")).write_text('{"key": ')
    assert reported(tmp_path / "r", request_of(folder, "lidar_lost"))[0] == first and Finds.calls == 16


def test_other_inputs_are_other_jobs(folder: Path, tmp_path: Path) -> None:
    job = Job(Model("good", "d1"), Source((str(folder),), "train"), "data", "L")
    assert job.key() == replace(job, model=Model("elsewhere", "d1")).key()
    others = [
        replace(job, model=Model("good", "d2")),
        replace(job, data_digest="other"),
        replace(job, subset="R"),
        replace(job, source=replace(job.source, limit=3)),
        replace(job, draws=7),
    ]
    assert len({one.key() for one in [job, *others]}) == 6
    assert known_result(tmp_path, job) is None


def test_curves_are_fitted_on_other_frames_and_lower_the_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mm_fusion.evaluation.reliability.FEWEST_DETECTIONS", 2)
    monkeypatch.setattr("mm_fusion.evaluation.reliability.FEWEST_HITS", 1)
    fitted = Source((str(folder),), "val")
    tree, table = reported(tmp_path / "r", request_of(folder, calibrate=fitted))
    entry = tree["calibration"]["CLR"]
    assert entry["ece_after"] < entry["ece"]
    assert table is not None and table["curves"]["CLR"]["car"]["method"] == "platt"
    assert table["model"] == "d1" and table["curves"]["CR"] == {}


def test_an_interrupt_keeps_what_is_whole(folder: Path, tmp_path: Path) -> None:
    request, place = request_of(folder), Workplace()
    plan = plan_of(request, place.data(request.source), [])

    def stop(count: int, total: int, what: str) -> None:
        assert total == 3 * 16
        if what == "score CR":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(tmp_path / "r", plan, 1, stop, place)
    assert [path.name for path in (tmp_path / "r").glob("*/*")] == ["CLR.json"]


def test_the_page_has_every_table(folder: Path, tmp_path: Path) -> None:
    tree, _ = reported(tmp_path / "r", request_of(folder, "table,fog", against=True))
    titles = [table.title for table in tables_of(tree)]
    assert titles[0] == "Subsets of the sensors, %" and titles[-1] == "Aims" and len(titles) >= 7
    text, page = report_text(tree), report_html(tree)
    assert "not NDS" in text and "decalibrated_lidar" in text and "mRA after MultiCorrupt" in text
    assert page.count("<table>") == len(titles) and 'src="subsets.png"' in page
    assert all(len(row) == len(table.head) for table in tables_of(tree) for row in table.rows)


def test_frames_of_no_split_and_impossible_subsets_are_named(folder: Path) -> None:
    with pytest.raises(BagError, match="has no frames of split 'night'; there are train, val, test"):
        open_data(folder, "night")
    data = [open_data(folder, "test")]
    with pytest.raises(ConfigurationError, match="choose among the letters CLR"):
        plan_of(request_of(folder, subsets=[]), data, [])


def test_frames_are_cut_by_limit_and_parted_by_drive(folder: Path) -> None:
    data = open_data(folder, "train", limit=6)
    assert data.run.tolist() == [0, 0, 0, 0, 1, 1] and data.region.name == "astyx"
    assert open_data(folder, "train", region="nuscenes").region.name == "nuscenes"


def test_a_drive_made_again_measures_the_same_and_what_was_before(folder: Path) -> None:
    data = open_data(folder, "train")
    assert data.again is not None
    frame = data.frames[5][0]
    for name in ("lidar", "radar"):
        same, older = (data.again.older(5, name, lag) for lag in (0, 10**8))
        there = frame.measurements[name]
        assert same.stamp_ns == there.stamp_ns and np.allclose(same.xyz, there.xyz, atol=0.02)
        assert abs(there.stamp_ns - older.stamp_ns - 10**8) < 5 * 10**7, name
    image = data.again.older(5, "camera", 0)
    assert bytes(image.encoded) == bytes(frame.measurements["camera"].encoded)
    lagged = data.again.older(5, "camera", 10**8)
    assert abs(image.stamp_ns - lagged.stamp_ns - 10**8) < 5 * 10**7


def test_a_data_set_of_another_simulator_is_not_made_again(folder: Path) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["simulator"] = "another"
    path.write_text(json.dumps(manifest))
    assert open_data(folder, "train").again is None
