"""Reading ahead changes nothing, hands errors on, and leaves no thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mm_fusion.offline
from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.cli.run import only_sensors
from mm_fusion.config import load_vehicle
from mm_fusion.detections import FusionResult
from mm_fusion.detectors.choice import make_detector
from mm_fusion.offline import FramesAhead, input_hashes, run_bag
from mm_fusion.pipeline import Pipeline

SAMPLE = Path(__file__).resolve().parents[1] / "rosbags" / "sample"
VEHICLE = only_sensors(load_vehicle("nuscenes_like"), ["radar", "lidar"])


def in_turn() -> Iterator[FusionResult]:
    pipeline = Pipeline(VEHICLE, make_detector("geometric", VEHICLE))
    with open_bag(SAMPLE) as reader:
        for sensor, item, receipt_ns in bag_items(reader, VEHICLE, pipeline.drops):
            yield from map(pipeline.detect, pipeline.add(sensor, item, receipt_ns))
        yield from map(pipeline.detect, pipeline.flush())


def test_the_same_results_as_one_after_the_other() -> None:
    shares: list[float] = []
    ahead, plain = run_bag(SAMPLE, VEHICLE, "geometric", shares.append).results, list(in_turn())
    assert [result.stamp_ns for result in ahead] == [result.stamp_ns for result in plain]
    for one, other in zip(ahead, plain):
        assert one.detections.score.tolist() == other.detections.score.tolist()
        assert one.detections.center.tolist() == other.detections.center.tolist()
    assert shares == sorted(shares) and len(shares) == len(plain)


def test_an_error_while_reading_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[None]:
        raise RuntimeError("torn")
        yield

    monkeypatch.setattr(mm_fusion.offline, "bag_items", broken)
    with pytest.raises(RuntimeError, match="torn"):
        run_bag(SAMPLE, VEHICLE, "geometric")


def test_who_leaves_early_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    pipeline = Pipeline(VEHICLE, make_detector("geometric", VEHICLE))
    with open_bag(SAMPLE) as reader, FramesAhead(pipeline, reader) as frames:
        next(iter(frames))
    assert set(threading.enumerate()) == before


def test_a_model_is_its_bytes_wherever_it_lies(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fusion.onnx").write_bytes(content)
    a, b, c = (input_hashes(SAMPLE, VEHICLE, str(tmp_path / name)) for name in "abc")
    assert a == b and a["model"] != c["model"] and a["recording"] == c["recording"]
