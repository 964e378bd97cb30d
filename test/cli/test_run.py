"""`mm-fusion run` on a simulated recording: the same bytes twice, every subset, what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("open3d", reason="the recording is made by Open3D's ray casting")

from mm_fusion.cli.main import main
from mm_fusion.config import dump_config, load_vehicle
from mm_fusion.detections import FusionResult
from mm_fusion.frame import Frame
from mm_fusion.pipeline import Pipeline
from mm_fusion.simulation.bag import write_bag
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.simulator import Simulator

VEHICLE = "minimal"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "street"
    write_bag(path, Simulator(load_vehicle(VEHICLE), options=RigOptions(352, lidar_step=4)), 1.5)
    return path


def run(bag: Path, out: Path, *more: str) -> int:
    return main(["run", str(bag), "--vehicle", VEHICLE, "--out", str(out), "--quiet", *more])


def test_two_runs_are_byte_identical(bag: Path, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        assert run(bag, tmp_path / name) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    tree = json.loads((tmp_path / "a.json").read_text())
    assert len(tree["frames"]) >= 10
    assert {frame["mode"] for frame in tree["frames"][2:]} == {"CL"}
    assert sum(len(frame["detections"]) for frame in tree["frames"]) > 20
    assert str(tmp_path) not in (tmp_path / "a.json").read_text()


def test_the_resolved_vehicle_lies_beside_the_result(bag: Path, tmp_path: Path) -> None:
    run(bag, tmp_path / "d.json")
    assert yaml.safe_load((tmp_path / "d.vehicle.yaml").read_text()) == yaml.safe_load(
        dump_config(load_vehicle(VEHICLE))
    )


@pytest.mark.parametrize(("only", "mode"), [("lidar", "L"), ("camera", "C")])
def test_a_part_of_the_sensors(bag: Path, tmp_path: Path, only: str, mode: str) -> None:
    assert run(bag, tmp_path / "d.json", "--only", only) == 0
    assert {frame["mode"] for frame in json.loads((tmp_path / "d.json").read_text())["frames"]} == {mode}


def test_a_sensor_that_is_not_there_is_named(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bag, tmp_path / "d.json", "--only", "sonar") == 2
    assert "sonar: no such sensor; the vehicle has lidar (lidar), camera (camera)" in capsys.readouterr().err
    assert not (tmp_path / "d.json").exists()


def test_topics_of_another_car_are_said(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["run", str(bag), "--vehicle", "nuscenes_like", "--out", str(tmp_path / "d.json"), "--quiet"])
    assert code == 2
    words = capsys.readouterr().err
    assert "/lidar/points" in words and "--write-vehicle" in words


def test_where_nothing_can_be_written_is_said_before_the_work(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mm_fusion.offline.run_bag", lambda *_: pytest.fail("ran for nothing"))
    (tmp_path / "file").touch()
    assert run(bag, tmp_path / "file" / "d.json") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_interrupt_keeps_the_frames_that_are_done(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    detect, done = Pipeline.detect, []

    def interrupted(self: Pipeline, frame: Frame) -> FusionResult:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(frame.stamp_ns)
        return detect(self, frame)

    monkeypatch.setattr(Pipeline, "detect", interrupted)
    assert run(bag, tmp_path / "d.json") == 130
    frames = json.loads((tmp_path / "d.json").read_text())["frames"]
    assert [frame["stamp_ns"] for frame in frames] == done
    assert "interrupted: the results end after 3 frames" in capsys.readouterr().err


def run_many(bags: list[Path], out: Path, *more: str) -> int:
    words = [str(bag) for bag in bags]
    return main(["run", *words, "--vehicle", VEHICLE, "--out", str(out), "--quiet", "--only", "lidar", *more])


@pytest.fixture
def three(bag: Path, tmp_path: Path) -> list[Path]:
    """A whole recording, one cut in its middle, one of which only the head is left, and a second whole."""
    [whole] = bag.glob("*.mcap")
    content = whole.read_bytes()
    parts = {"first": content, "cut": content[: len(content) * 2 // 3], "head": content[:60], "last": content}
    paths = [tmp_path / f"{name}.mcap" for name in parts]
    for path, part in zip(paths, parts.values()):
        path.write_bytes(part)
    return paths


def test_many_bags_go_on_past_bad_ones_and_are_known_again(
    bag: Path, three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_many(three, out, "--workers", "2") == 1
    said = capsys.readouterr().out
    assert "head  failed 2 times" in said and "3 of 4 bags" in said
    bags = json.loads((out / "summary.json").read_text())["bags"]
    assert bags["head"]["error"] and bags["head"]["attempts"] == 2
    assert 0 < bags["cut"]["frames"] < bags["first"]["frames"] and bags["cut"]["problems"]
    assert run(three[0], tmp_path / "alone.json", "--only", "lidar") == 0
    for name in ("first", "last"):
        assert (out / f"{name}.json").read_bytes() == (tmp_path / "alone.json").read_bytes()
        assert (out / f"{name}.vehicle.yaml").is_file()
    assert not (out / "head.json").exists()
    capsys.readouterr()
    assert run_many([three[0], three[3]], out) == 0
    assert capsys.readouterr().out.count("skipped: its results are there") == 2
    again = json.loads((out / "summary.json").read_text())["bags"]
    assert again["first"] == {**bags["first"], "skipped": True} and again["head"] == bags["head"]


def test_an_interrupt_keeps_the_bags_that_are_done(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mm_fusion.many_bags.folder import ResultFolder

    keep = ResultFolder.keep

    def then_interrupted(self: ResultFolder, *outcome: Any) -> None:
        keep(self, *outcome)
        raise KeyboardInterrupt

    monkeypatch.setattr(ResultFolder, "keep", then_interrupted)
    assert run_many([three[0], three[3]], tmp_path / "out", "--workers", "1") == 130
    assert (tmp_path / "out" / "first.json").is_file() and not (tmp_path / "out" / "last.json").exists()
    assert list(json.loads((tmp_path / "out" / "summary.json").read_text())["bags"]) == ["first"]


def test_one_bag_into_a_folder(bag: Path, tmp_path: Path) -> None:
    assert run_many([bag], tmp_path) == 0
    assert (tmp_path / f"{bag.name}.json").is_file() and (tmp_path / "summary.json").is_file()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--workers", "0"], "--workers: expected 1 or more"),
        (["--model", "nonsense"], "no such model"),
    ],
)
def test_bad_choices_are_said_before_the_work(
    bag: Path, tmp_path: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_many([bag, bag.parent], tmp_path / "out", *more) == 2
    assert words in capsys.readouterr().err


def test_many_bags_do_not_fit_one_file(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_many([bag, bag.parent], tmp_path / "d.json") == 2
    assert "expected a folder" in capsys.readouterr().err
