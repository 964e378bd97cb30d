"""What the demo counts: frames in and out, objects, drops and times, read from what was recorded."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mm_fusion.bags.read import open_bag
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import CLASSES
from mm_fusion.evaluation.recorded import read_recorded_detections
from mm_fusion.evaluation.recorded_frames import decoded_frames


@dataclass(frozen=True)
class DemoSummary:
    """frames_in: that the recording makes when nothing is lost; frames_out: recorded over DDS. Times in ms.

    model: as it was named; backend: what ran it, '' for one without graphs; modes: frames by sensors in them.
    stages: {stage: {p50_ms, p95_ms, p99_ms}}, of the node's last diagnostics; `latency` runs from reference
    time to publication, `after_last` from the arrival of the message that completed the frame.
    """

    recording: str
    model: str
    backend: str
    frames_in: int
    frames_out: int
    frames_lost: int
    modes: dict[str, int]
    detections_by_class: dict[str, int]
    drops: dict[str, dict[str, int]]
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)


def summarise(bag: Path, vehicle: VehicleConfig, recorded: Path) -> DemoSummary:
    """The summary of a recording `bag` that was played, and of what was published, `recorded`."""
    expected = frame_stamps(bag, vehicle)
    frames = read_recorded_detections(recorded).frames
    stamps = {frame.stamp_ns for frame in frames}
    classes = Counter(name for frame in frames for name in frame.detections.class_names())
    drops, stages = read_diagnostics(recorded)
    counts = read_counts(recorded)
    return DemoSummary(
        recording=bag.name,
        model=counts.get("detector", vehicle.model),
        backend=counts.get("backend", ""),
        frames_in=len(expected),
        frames_out=len(frames),
        frames_lost=len(expected - stamps),
        modes=dict(Counter(frame.mode for frame in frames)),
        detections_by_class={name: classes[name] for name in CLASSES if classes[name]},
        drops=drops,
        stages=stages,
        latency_ms=stages.get("latency", {}),
    )


def frame_stamps(bag: Path, vehicle: VehicleConfig) -> set[int]:
    """Reference times of all frames that the recording makes, without detecting anything in them."""
    return {frame.stamp_ns for frame in decoded_frames(bag, vehicle)}


def read_diagnostics(recorded: Path) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Drops {sensor: {reason: count}} and times {stage: {quantile: ms}} as last told in /diagnostics."""
    drops: dict[str, dict[str, int]] = {}
    stages: dict[str, dict[str, float]] = {}
    with open_bag(recorded) as reader:
        for _, _, message, _ in reader.messages({"/diagnostics"}):
            for status in message.status:
                values = {entry.key: entry.value for entry in status.values}
                _take(status.name.partition(": ")[2], values, drops, stages)
    return {name: found for name, found in drops.items() if found}, stages


def read_counts(recorded: Path) -> dict[str, str]:
    """What the node last said of itself in /diagnostics beside times: detector, backend, frames, load ..."""
    found: dict[str, str] = {}
    with open_bag(recorded) as reader:
        for _, _, message, _ in reader.messages({"/diagnostics"}):
            for status in message.status:
                if status.name.endswith(": stages"):
                    found = {entry.key: entry.value for entry in status.values if "." not in entry.key}
    return found


def _take(
    name: str, values: dict[str, str], drops: dict[str, dict[str, int]], stages: dict[str, dict[str, float]]
) -> None:
    if name == "stages":
        for key, value in values.items():
            stage, _, quantile = key.rpartition(".")
            if stage:
                stages.setdefault(stage, {})[quantile] = float(value)
    else:
        counted = {key[6:]: int(value) for key, value in values.items() if key.startswith("drops.")}
        drops[name.removeprefix("sensor ")] = counted


def write_summary(path: Path, summary: DemoSummary) -> None:
    """Write summary.json; it takes its name only when whole."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(json.dumps(asdict(summary), indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)


def table(summary: DemoSummary) -> str:
    """A short table for people."""
    rows: list[tuple[str, Any]] = [
        ("model", f"{summary.model} {summary.backend}".strip()),
        ("frames in / out / lost", f"{summary.frames_in} / {summary.frames_out} / {summary.frames_lost}"),
        ("sensors in them", _counts(summary.modes)),
        ("detections", _counts(summary.detections_by_class)),
        ("drops", "; ".join(f"{name}: {_counts(found)}" for name, found in summary.drops.items()) or "none"),
    ]
    for stage, times in summary.stages.items():
        rows.append((f"{stage} p50 / p95 / p99", " / ".join(f"{ms:.1f}" for ms in times.values()) + " ms"))
    return "\n".join(f"{name:26} {text}" for name, text in rows)


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items()) or "none"
