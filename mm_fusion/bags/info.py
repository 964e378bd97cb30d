"""Inspection of a recording: one pass over its transforms, one over everything, samples of its clouds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.payloads import LidarSamples, RadarSamples
from mm_fusion.bags.read import BagReader, open_bag
from mm_fusion.bags.report import BagReport, EgoReport, SensorReport, TopicReport
from mm_fusion.bags.sensors_found import (
    CAMERA_INFO,
    EGO_KIND_OF_TYPE,
    REFERENCE_ORDER,
    choose_base,
    info_topic_of,
    kind_of,
    sensor_names,
)
from mm_fusion.bags.sources import RawMessage
from mm_fusion.bags.timing import offset_ms, timing_of
from mm_fusion.bags.vehicle_file import vehicle_yaml
from mm_fusion.bags.warnings_found import find_warnings
from mm_fusion.config import SensorConfig
from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.transform_buffer import TransformBuffer
from mm_fusion.measurements import CameraModel, SensorKind
from mm_fusion.messages.camera_info import decode_camera_info
from mm_fusion.messages.transforms import decode_transforms

__all__ = ["inspect_bag", "vehicle_yaml"]

SAMPLES = {"lidar": 15, "radar": 128}
"""Messages whose payload is looked at, spread evenly over the recording."""
TF_TOPICS = {"/tf": False, "/tf_static": True}
DEFAULT_BASE = "base_link"
SAME_SHARE = 0.9
"""Topics of one kind and frame that share this much of their stamps carry the same measurements."""


@dataclass(slots=True)
class Gathered:
    """What one pass finds of a topic."""

    kind: str
    sample_at: frozenset[int]
    sensor: SensorKind | None = None
    frame_id: str = ""
    stamps: list[int] = field(default_factory=list)
    receipts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    samples: LidarSamples | RadarSamples | None = None
    model: CameraModel | None = None


def inspect_bag(path: str | Path, progress: Callable[[int, int], None] | None = None) -> BagReport:
    """What the recording at `path` holds; progress is called with (messages done, messages in all)."""
    with open_bag(path) as reader:
        tree = _Tree(reader)
        topics = {name: Gathered(info.type, _spread(info.count)) for name, info in reader.topics.items()}
        _gather(reader, tree, topics, progress)
        problems = [*reader.problems, *tree.problems]
    sensors = _sensors(topics, tree)
    reference = _reference(sensors)
    report = BagReport(
        path=str(path),
        start_ns=reader.start_ns,
        end_ns=reader.end_ns,
        topics=tuple(_topic_report(name, topic) for name, topic in topics.items()),
        sensors=_with_offsets(sensors, reference, topics),
        frames=tuple(sorted(tree.all.frames())),
        base_frame=tree.base,
        ego=_ego_sources(topics, tree),
        reference=reference.name if reference else None,
        problems=tuple(dict.fromkeys(problems)),
        warnings=(),
    )
    return replace(report, warnings=find_warnings(report))


class _Tree:
    """The recording's transforms: all of them at once for the frames, and in order of receipt for the
    samples.
    """

    def __init__(self, reader: BagReader) -> None:
        self.all, self.now = TransformBuffer(history_s=1e9), TransformBuffer()
        self.problems: list[str] = []
        for entry in reader.messages(set(TF_TOPICS) & set(reader.topics)):
            self._add(self.all, entry.topic, entry.message)
        parents = {child: edge.parent for child, edge in self.all.edges().items()}
        self.base = choose_base(self.all.frames(), parents)

    def add(self, topic: str, message: Any) -> None:
        """Take a message of /tf or /tf_static in at its turn."""
        self._add(self.now, topic, message)

    def _add(self, buffer: TransformBuffer, topic: str, message: Any) -> None:
        try:
            buffer.add(decode_transforms(message, static=TF_TOPICS[topic]))
        except MeasurementError as error:
            self.problems.append(f"{topic}: {error}")

    def base_from(self, frame_id: str, stamp_ns: int) -> NDArray[np.float64] | None:
        """(4, 4) base_from_sensor at a time, None where the frame is not joined to the base frame."""
        for buffer in (self.now, self.all):
            try:
                return buffer.lookup(self.base or DEFAULT_BASE, frame_id, stamp_ns)
            except MeasurementError:
                continue
        return None


def _spread(count: int) -> frozenset[int]:
    return frozenset(
        np.linspace(0, max(count - 1, 0), min(count, max(SAMPLES.values()))).astype(int).tolist()
    )


def _gather(
    reader: BagReader,
    tree: _Tree,
    topics: Mapping[str, Gathered],
    progress: Callable[[int, int], None] | None,
) -> None:
    total = sum(info.count for info in reader.topics.values())
    for number, raw in enumerate(reader.raw_messages()):
        topic = topics[raw.topic]
        if raw.topic in TF_TOPICS:
            message = reader.deserialize(raw)
            if message is not None:
                tree.add(raw.topic, message)
        _note(reader, topic, raw, tree)
        if progress and (number % 64 == 63 or number + 1 == total):
            progress(number + 1, total)


def _note(reader: BagReader, topic: Gathered, raw: RawMessage, tree: _Tree) -> None:
    header = reader.header(raw)
    index = len(topic.stamps)
    topic.stamps.append(header[0] if header else raw.receipt_ns)
    topic.receipts.append(raw.receipt_ns)
    topic.sizes.append(len(raw.data))
    topic.frame_id = topic.frame_id or (header[1].lstrip("/") if header else "")
    if index and (topic.sensor not in SAMPLES or index not in topic.sample_at):
        return
    message = reader.deserialize(raw) if index == 0 or topic.samples is not None else None
    if message is None:
        return
    if index == 0:
        _begin(topic, raw, message)
    if topic.samples is not None:
        try:
            topic.samples.add(message, raw.receipt_ns, tree.base_from(topic.frame_id, topic.stamps[-1]))
        except MeasurementError as error:
            reader.problems.append(str(error))


def _begin(topic: Gathered, raw: RawMessage, message: Any) -> None:
    """Judge a topic by its first message."""
    topic.sensor = kind_of(raw.topic, raw.kind, message)
    if topic.sensor == "lidar":
        topic.samples = LidarSamples(raw.topic)
        topic.sample_at = frozenset(
            sorted(topic.sample_at)[:: max(1, len(topic.sample_at) // SAMPLES["lidar"])]
        )
    if topic.sensor == "radar":
        topic.samples = RadarSamples(raw.topic)
    if raw.kind == CAMERA_INFO:
        try:
            topic.model = decode_camera_info(message, SensorConfig(kind="camera", topic=raw.topic))
        except MeasurementError:
            topic.model = None


def _topic_report(name: str, topic: Gathered) -> TopicReport:
    size = int(np.median(topic.sizes)) if topic.sizes else 0
    return TopicReport(name, topic.kind, topic.frame_id, size, timing_of(topic.stamps, topic.receipts))


def _sensors(topics: Mapping[str, Gathered], tree: _Tree) -> list[SensorReport]:
    kept = _without_copies({name: topic for name, topic in topics.items() if topic.sensor})
    names = sensor_names(list(kept), {name: topics[name].sensor or "camera" for name in kept})
    infos = {
        name: topic.frame_id for name, topic in topics.items() if topic.kind == CAMERA_INFO and topic.stamps
    }
    found = []
    for name, copies in kept.items():
        topic = topics[name]
        seen = topic.sensor in ("camera", "image_detections")
        info = info_topic_of(name, topic.frame_id, infos) if seen else None
        found.append(
            SensorReport(
                name=names[name],
                kind=topic.sensor or "camera",
                topic=name,
                frame_id=topic.frame_id,
                timing=timing_of(topic.stamps, topic.receipts),
                base_from_sensor=tree.base_from(topic.frame_id, topic.stamps[-1]),
                replaces=copies,
                info_topic=info,
                model=topics[info].model if info else None,
                lidar=topic.samples.report() if isinstance(topic.samples, LidarSamples) else None,
                radar=topic.samples.report() if isinstance(topic.samples, RadarSamples) else None,
            )
        )
    return found


def _without_copies(sensors: Mapping[str, Gathered]) -> dict[str, tuple[str, ...]]:
    """Topics that stand for themselves, each with the others that carry the same; compressed images and
    clouds win.
    """
    order = sorted(
        sensors, key=lambda name: ("Compressed" not in sensors[name].kind, "Scan" in sensors[name].kind, name)
    )
    kept: dict[str, list[str]] = {}
    for name in order:
        twin = next((other for other in kept if _same(sensors[name], sensors[other])), None)
        if twin:
            kept[twin].append(name)
        else:
            kept[name] = []
    return {name: tuple(kept[name]) for name in sorted(kept)}


def _same(one: Gathered, other: Gathered) -> bool:
    if (one.sensor, one.frame_id) != (other.sensor, other.frame_id) or not one.frame_id:
        return False
    stamps, others = set(one.stamps), set(other.stamps)
    return len(stamps & others) >= SAME_SHARE * max(len(stamps), len(others))


def _reference(sensors: list[SensorReport]) -> SensorReport | None:
    """The sensor that should open frames: a LiDAR before a radar before a camera, most messages."""
    return min(sensors, key=lambda s: (REFERENCE_ORDER.index(s.kind), -s.timing.count, s.name), default=None)


def _with_offsets(
    sensors: list[SensorReport], reference: SensorReport | None, topics: Mapping[str, Gathered]
) -> tuple[SensorReport, ...]:
    if reference is None:
        return ()
    result = []
    for sensor in sensors:
        found = offset_ms(topics[sensor.topic].stamps, topics[reference.topic].stamps)
        offset, spread = found or (None, None)
        result.append(replace(sensor, offset_ms=offset, offset_spread_ms=spread))
    return tuple(result)


def _ego_sources(topics: Mapping[str, Gathered], tree: _Tree) -> tuple[EgoReport, ...]:
    found = [
        EgoReport(EGO_KIND_OF_TYPE[topic.kind], name)
        for name, topic in topics.items()
        if topic.kind in EGO_KIND_OF_TYPE and topic.stamps and "ground_truth" not in name
    ]
    found.sort(key=lambda source: source.kind)  # odometry before twist
    frame = tree.base or DEFAULT_BASE
    edge = tree.all.edges().get(frame)
    if edge and not edge.static and len(edge.stamps_ns) > 1:
        found.append(EgoReport("tf", edge.parent))
    if any(topic.sensor == "radar" for topic in topics.values()):
        found.append(EgoReport("radar", ""))
    return tuple(found)
