"""Results as a node published them, read back from a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mm_fusion.bags.read import BagReader, open_bag
from mm_fusion.errors import ResultError
from mm_fusion.evaluation.detections_file import DetectionsFile, ResultFrame
from mm_fusion.messages.encode import decode_detections_cloud


def read_recorded_detections(path: str | Path) -> DetectionsFile:
    """Frames of the one `.../detections_cloud` topic of a bag, each with the `mode` published last before it.

    A recording does not say which sensors were available beyond the mode, so `available` is empty. Raises
    `ResultError` where the bag has no such topic, or several.
    """
    with open_bag(path) as reader:
        cloud = _topic(reader, "detections_cloud", path)
        mode_topic = cloud.rpartition("/")[0] + "/mode"
        pairs = list(_frames(reader, cloud, mode_topic))
    pairs.sort(key=lambda pair: pair[1].stamp_ns)
    frame_id = pairs[0][0] if pairs else "base_link"
    return DetectionsFile(frame_id, [frame for _, frame in pairs])


def _topic(reader: BagReader, ending: str, path: str | Path) -> str:
    found = [name for name in reader.topics if name.rpartition("/")[2] == ending]
    if len(found) != 1:
        there = ", ".join(found or sorted(reader.topics)) or "none"
        raise ResultError(
            f"{path}: expected one topic that ends in /{ending}, got {len(found)}; topics: {there}"
        )
    return found[0]


def _frames(reader: BagReader, cloud: str, mode_topic: str) -> Iterator[tuple[str, ResultFrame]]:
    mode = "-"
    for bag_message in reader.messages({cloud, mode_topic}):
        message: Any = bag_message.message
        if bag_message.topic == mode_topic:
            mode = message.data
            continue
        detections, _ = decode_detections_cloud(message)
        stamp = message.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        yield message.header.frame_id, ResultFrame(stamp_ns, mode, {}, detections)
