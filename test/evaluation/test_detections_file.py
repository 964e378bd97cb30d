"""detections.json: the same bytes for the same results, everything read back, broken files named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mm_fusion.detections import CLASSES, Detections, empty_detections, make_detections
from mm_fusion.errors import ResultError
from mm_fusion.evaluation.detections_file import (
    DetectionsFile,
    ResultFrame,
    read_detections,
    write_detections,
)

FINITE = st.floats(-1e6, 1e6, width=32)


def one_frame(detections: Detections) -> DetectionsFile:
    """A file with one frame of these."""
    return DetectionsFile(
        "base_link", [ResultFrame(1_500_000_000_123_456_789, "CL", {"front": True}, detections)]
    )


def test_a_file_without_frames_comes_back_empty(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", DetectionsFile("base_link", [], inputs={"bag": "abc"}))
    read = read_detections(tmp_path / "d.json")
    assert (read.frame_id, list(read.frames), tuple(read.classes)) == ("base_link", [], CLASSES)
    assert read.inputs == {"bag": "abc"}


def test_a_frame_without_detections_comes_back(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", one_frame(empty_detections()))
    frame = read_detections(tmp_path / "d.json").frames[0]
    assert (frame.stamp_ns, frame.mode, frame.available) == (1_500_000_000_123_456_789, "CL", {"front": True})
    assert len(frame.detections) == 0


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_array_comes_back_bit_for_bit(tmp_path: Path, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 4))

    def finite(*shape: int) -> np.ndarray:
        return data.draw(arrays(np.float32, (n, *shape), elements=FINITE))

    ids = data.draw(st.none() | arrays(np.int64, n))
    velocity = data.draw(arrays(np.float32, (n, 2), elements=FINITE | st.just(np.nan)))
    spread = data.draw(arrays(np.float32, (n, 5), elements=FINITE | st.just(np.inf)))
    written = make_detections(
        n,
        center=finite(3),
        size=finite(3),
        yaw=finite(),
        velocity=velocity,
        variance=spread,
        score=finite(),
        class_id=data.draw(arrays(np.int16, n, elements=st.integers(0, len(CLASSES) - 1))),
        track_id=ids,
    )
    write_detections(tmp_path / "d.json", one_frame(written))
    read = read_detections(tmp_path / "d.json").frames[0].detections
    for name, array in written.arrays().items():
        np.testing.assert_array_equal(getattr(read, name), array, err_msg=name)
    assert (read.track_id is None) == (ids is None)


def test_two_writes_are_byte_identical_and_numbers_are_short(tmp_path: Path) -> None:
    file = one_frame(make_detections(1, center=np.array([[0.1, -0.2, 1e-7]]), score=np.array([0.3])))
    for name in ("a", "b"):
        write_detections(tmp_path / name, file)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b'"center":[0.1,-0.2,1e-07]' in (tmp_path / "a").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    write_detections(tmp_path / "d.json", one_frame(empty_detections(1)))
    tree = json.loads((tmp_path / "d.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert list(tree) == ["version", "frame_id", "classes", "inputs", "frames"]
    assert list(tree["frames"][0]) == ["stamp_ns", "mode", "available", "detections"]
    row = tree["frames"][0]["detections"][0]
    assert set(row) == {
        *("class", "score", "center", "size", "yaw", "velocity", "position_cov", "velocity_cov"),
        *("variance", "moving", "contribution", "track_id"),
    }
    assert row["velocity"] == [None, None] and row["position_cov"] == [None, 0.0, None]
    assert row["class"] == "unknown" and row["track_id"] is None


def broken(change: dict[str, object] | None = None, **frame: object) -> str:
    """A small file's text with keys replaced, `...` taking a key out."""
    row = {
        "class": "car",
        "score": 0.5,
        "center": [1, 2, 3],
        "size": [4, 2, 1],
        "yaw": 0,
        "velocity": [None, None],
        "position_cov": [1, 0, 1],
        "velocity_cov": [1, 0, 1],
        "variance": [1] * 5,
        "moving": 0.5,
        "contribution": [0, 1, 0],
        "track_id": None,
        **(change or {}),
    }
    row = {key: value for key, value in row.items() if value is not ...}
    whole = {"stamp_ns": 1, "mode": "L", "available": {}, "detections": [row], **frame}
    return json.dumps({"version": 1, "frame_id": "b", "classes": ["car"], "inputs": {}, "frames": [whole]})


def test_the_unbroken_form_of_the_broken_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(broken())
    assert read_detections(tmp_path / "d.json").frames[0].detections.class_names() == ["car"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (broken()[:-40], "is not whole JSON"),
        ("", "is not whole JSON"),
        ("[]", "expected a detections.json"),
        ("{}", "expected a detections.json"),
        (broken().replace('"version": 1', '"version": 2'), "expected version 1, got 2"),
        (broken().replace('["car"]', '["car", "ufo"]'), "unknown class 'ufo'"),
        (broken({"class": "bus"}), "class 'bus' is not one of the file's classes"),
        (broken({"score": ...}), "detection 0: score is missing"),
        (broken({"center": [1, 2]}), "center: expected shape (1, 3)"),
        (broken({"center": [1, 2, None]}), "center: expected finite numbers"),
        (broken({"center": [1, 2, "x"]}), "center: expected numbers"),
        (broken({"center": [[1], 2, 3]}), "center: expected numbers"),
        (broken({"track_id": "a"}), "track_id: expected whole numbers"),
        (broken(stamp_ns=1.5), "stamp_ns: expected int, got float"),
        (broken(stamp_ns=True), "stamp_ns: expected int, got bool"),
        (broken(detections=[3]), "expected an object, got int"),
        (broken(detections=None), "detections: expected list, got null"),
    ],
)
def test_broken_files_are_named_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(ResultError, match="broken.json") as caught:
        read_detections(tmp_path / "broken.json")
    assert said in str(caught.value)


def test_a_missing_file_and_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"nowhere\.json: cannot be read"):
        read_detections(tmp_path / "nowhere.json")
    (tmp_path / "noise.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultError, match=r"noise\.json: cannot be read"):
        read_detections(tmp_path / "noise.json")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultError, match="cannot be written"):
        write_detections(tmp_path / "file" / "d.json", DetectionsFile("base_link", []))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
