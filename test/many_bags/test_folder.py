"""Names that cannot be mixed up, and results that are known again only with the same settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mm_fusion.config import load_vehicle
from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.detections_file import DetectionsFile, write_detections
from mm_fusion.many_bags.folder import ResultFolder, names_of, recorded_s
from mm_fusion.many_bags.tasks import BagOutcome

SAMPLE = Path(__file__).resolve().parents[2] / "rosbags" / "sample"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["x/a", "x/b.mcap"], ["a", "b.mcap"]),
        (["monday/drive", "tuesday/drive", "x/a"], ["monday_drive", "tuesday_drive", "a"]),
        (["x/summary"], ["x_summary"]),
    ],
)
def test_names(paths: list[str], names: list[str]) -> None:
    assert names_of([Path(path) for path in paths]) == names


def test_a_file_loses_its_ending(tmp_path: Path) -> None:
    (tmp_path / "b.mcap").touch()
    assert names_of([tmp_path / "b.mcap"]) == ["b"]


def test_one_recording_named_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a_b like those of"):
        names_of([Path("a/b"), Path("a/../a/b")])


def test_lengths(tmp_path: Path) -> None:
    assert recorded_s(SAMPLE) == pytest.approx(5.0, abs=0.5)
    assert recorded_s(tmp_path / "none") == 0.0


def text_of(tmp_path: Path, digest: str) -> str:
    path = tmp_path / "made.json"
    write_detections(path, DetectionsFile("base_link", [], inputs={"recording": digest}))
    return path.read_text()


def test_results_are_known_again_with_the_same_settings_alone(tmp_path: Path) -> None:
    out, vehicle = tmp_path / "out", load_vehicle("minimal")
    folder = ResultFolder(out, {"backend": "torch"})
    assert folder.known("a") == {}
    folder.keep(BagOutcome("a", text_of(tmp_path, "1"), frames=7), vehicle)
    folder.keep(BagOutcome("b", error="cut"), vehicle)
    assert ResultFolder(out, {"backend": "torch"}).known("a") == {"recording": "1"}
    again = ResultFolder(out, {"backend": "torch"})
    again.keep(BagOutcome("a", skipped=True), vehicle)
    entry = json.loads((out / "summary.json").read_text())["bags"]["a"]
    assert (entry["frames"], entry["skipped"]) == (7, True)
    assert ResultFolder(out, {}).known("a") == {}
    # and the results of the other settings stay unknown to what comes after
    assert ResultFolder(out, {}).known("a") == {}


def test_without_a_summary_the_results_speak_for_themselves(tmp_path: Path) -> None:
    out, vehicle = tmp_path / "out", load_vehicle("minimal")
    ResultFolder(out, {}).keep(BagOutcome("a", text_of(tmp_path, "1")), vehicle)
    (out / "summary.json").unlink()
    folder = ResultFolder(out, {})
    assert folder.known("a") == {"recording": "1"}
    folder.keep(BagOutcome("a", skipped=True), vehicle)
    assert json.loads((out / "summary.json").read_text())["bags"]["a"]["frames"] == 0


def test_broken_results_are_made_again(tmp_path: Path) -> None:
    out, vehicle = tmp_path / "out", load_vehicle("minimal")
    ResultFolder(out, {}).keep(BagOutcome("a", text_of(tmp_path, "1")), vehicle)
    (out / "a.json").write_text('{"version"')
    assert ResultFolder(out, {}).known("a") == {}
