"""One task: results, skipped, or a cause; never an exception."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mm_fusion.cli.run import only_sensors
from mm_fusion.config import load_vehicle
from mm_fusion.frame import Frame
from mm_fusion.many_bags.tasks import BagTask, attempt
from mm_fusion.offline import input_hashes
from mm_fusion.pipeline import Pipeline

SAMPLE = Path(__file__).resolve().parents[2] / "rosbags" / "sample"
VEHICLE = only_sensors(load_vehicle("nuscenes_like"), ["radar"])


def test_what_is_not_there_is_a_cause(tmp_path: Path) -> None:
    ended = attempt(BagTask("a", tmp_path / "a", VEHICLE, "geometric"), lambda _: None)
    assert ended.text is None
    assert "no such recording" in str(ended.error)


def test_results_and_skipping_what_is_known() -> None:
    shares: list[float] = []
    task = BagTask("a", SAMPLE, VEHICLE, "geometric")
    ended = attempt(task, shares.append)
    assert ended.error is None
    assert len(json.loads(ended.text or "")["frames"]) == ended.frames > 10
    assert shares and all(0 <= share <= 1 for share in shares)
    known = input_hashes(SAMPLE, VEHICLE, "geometric")
    again = attempt(BagTask("a", SAMPLE, VEHICLE, "geometric", known=known), lambda _: None)
    assert again.skipped and again.text is None


@pytest.mark.parametrize(
    ("raised", "cause"), [(ValueError("odd"), "ValueError: odd"), (KeyboardInterrupt(), "interrupted")]
)
def test_nothing_is_raised_and_no_part_passes_for_the_whole(
    raised: BaseException, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Pipeline, frame: Frame) -> None:
        raise raised

    monkeypatch.setattr(Pipeline, "detect", broken)
    ended = attempt(BagTask("a", SAMPLE, VEHICLE, "geometric"), lambda _: None)
    assert (ended.error, ended.text) == (cause, None)
