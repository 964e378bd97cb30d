"""Ground truth in a recording: `/ground_truth` for people and tools, `/ground_truth_cloud` with every
column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mm_fusion.bags.read import BagReader, open_bag
from mm_fusion.bags.types import message_type
from mm_fusion.detections import Detections
from mm_fusion.errors import BagError
from mm_fusion.messages.encode import decode_detections_cloud, encode_detections, encode_detections_cloud

TRUTH_TOPIC = "/ground_truth"
TRUTH_CLOUD_TOPIC = "/ground_truth_cloud"
EXTRA_FIELDS = ("occlusion", "truncation", "visibility", "num_lidar_points", "num_radar_points")
"""occlusion as in KITTI (0 fully visible, 1 partly, 2 largely, 3 unknown or hidden); truncation 0..1, the
share of the box's image outside the image; visibility as in nuScenes (4: 80-100 %, 3: 60-80, 2: 40-60, 1:
0-40, 0 unknown).
"""


@dataclass(frozen=True, slots=True, eq=False)
class TruthFrame:
    """What was there at `stamp_ns`, in `frame_id`. extra: (N,) float32 by name, `EXTRA_FIELDS` and maybe
    more.
    """

    stamp_ns: int
    frame_id: str
    objects: Detections
    extra: dict[str, np.ndarray]


def read_truth(bag_path: str | Path) -> list[TruthFrame]:
    """The truth of a recording in order of stamp; raises `BagError` where it holds none."""
    with open_bag(bag_path) as reader:
        if TRUTH_CLOUD_TOPIC not in reader.topics:
            raise BagError(
                f"{bag_path}: expected truth on {TRUTH_CLOUD_TOPIC}, found none; "
                "convert a labelled data set or simulate one to get a recording with truth"
            )
        return truth_of(reader)


def truth_of(reader: BagReader) -> list[TruthFrame]:
    """The truth of an open recording in order of stamp, empty where it has none."""
    found = reader.messages({TRUTH_CLOUD_TOPIC} & set(reader.topics))
    return sorted((_truth_frame(entry.message) for entry in found), key=lambda frame: frame.stamp_ns)


def _truth_frame(message: Any) -> TruthFrame:
    objects, extra = decode_detections_cloud(message)
    stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    return TruthFrame(stamp_ns, message.header.frame_id, objects, dict(extra))


class Writes(Protocol):
    """A recording under writing."""

    def write(self, topic: str, message: Any, receipt_ns: int) -> None:
        """Append a message."""
        ...


def write_truth(writer: Writes, frame: TruthFrame, receipt_ns: int) -> None:
    """Append `frame` on both topics of truth."""
    extra: Mapping[str, np.ndarray] = {
        name: np.asarray(column, np.float32) for name, column in frame.extra.items()
    }
    boxes = encode_detections(frame.objects, frame.stamp_ns, frame.frame_id, message_type)
    cloud = encode_detections_cloud(frame.objects, frame.stamp_ns, frame.frame_id, message_type, extra)
    writer.write(TRUTH_TOPIC, boxes, receipt_ns)
    writer.write(TRUTH_CLOUD_TOPIC, cloud, receipt_ns)
