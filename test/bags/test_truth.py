"""Truth comes back from a recording as it was written, in order of stamp."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.truth import EXTRA_FIELDS, TruthFrame, read_truth, write_truth
from mm_fusion.bags.write import BagWriter
from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.errors import BagError


def extra(count: int) -> dict[str, np.ndarray]:
    return {name: np.full(count, number, np.float32) for number, name in enumerate(EXTRA_FIELDS)}


def test_frames_come_back_empty_ones_too(tmp_path: Path, storage: str) -> None:
    objects = make_detections(
        2,
        center=np.array([[1, 2, 3], [4, 5, 6]]),
        size=np.ones((2, 3)),
        yaw=np.array([0.5, -3.0]),
        velocity=np.array([[1.0, -1.0], [np.nan, np.nan]]),
        score=np.ones(2),
        class_id=np.array([0, CLASSES.index("pedestrian")]),
    )
    later = TruthFrame(2_500_000_000, "base_link", objects, extra(2))
    earlier = TruthFrame(1_000_000_000, "base_link", empty_detections(), extra(0))
    with BagWriter(tmp_path / "bag", storage) as writer:  # type: ignore[arg-type]
        write_truth(writer, later, 1)
        write_truth(writer, earlier, 2)
    found = read_truth(tmp_path / "bag")
    assert [(frame.stamp_ns, len(frame.objects)) for frame in found] == [
        (1_000_000_000, 0),
        (2_500_000_000, 2),
    ]
    assert found[1].objects.class_names() == ["car", "pedestrian"]
    np.testing.assert_array_equal(found[1].objects.center, objects.center)
    np.testing.assert_array_equal(found[1].objects.velocity, objects.velocity)
    assert {name: column.tolist() for name, column in found[1].extra.items()} == {
        name: [number, number] for number, name in enumerate(EXTRA_FIELDS)
    }
    with open_bag(tmp_path / "bag") as reader:
        boxes = next(reader.messages({"/ground_truth"})).message.detections
    assert len(boxes) == 2 and boxes[0].results[0].hypothesis.class_id == "car"


def test_a_recording_without_truth_says_so(three_messages: Path, make: SimpleNamespace) -> None:
    with pytest.raises(BagError, match="/ground_truth_cloud"):
        read_truth(three_messages)
