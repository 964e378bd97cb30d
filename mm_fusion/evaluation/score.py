"""Every score of a detections file against the truth of a recording: the numbers of `score.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.detections import CLASSES
from mm_fusion.errors import ResultError
from mm_fusion.evaluation import kitti, nuscenes, recall
from mm_fusion.evaluation.bootstrap import DRAWS, Key, Statistic, intervals, paired_differences
from mm_fusion.evaluation.detections_file import DetectionsFile, read_detections
from mm_fusion.evaluation.matching import (
    REGIONS,
    TOLERANCE_NS,
    Pair,
    Region,
    pair_frames,
    region_of_recording,
)
from mm_fusion.evaluation.scenes import Truth
from mm_fusion.evaluation.truth import read_truth_scenes

VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One detections file beside its truth: the pairs of frames and every statistic of them."""

    pairs: Sequence[Pair]
    statistics: Mapping[Key, Statistic]
    outputs: int

    @property
    def runs(self) -> int:
        """Number of runs of the truth."""
        return max((pair.run for pair in self.pairs), default=-1) + 1


def evaluate(
    detections: str | Path,
    truth_bag: str | Path,
    against: str | Path | None = None,
    region: str = "auto",
    draws: int = DRAWS,
) -> dict[str, Any]:
    """The tree of `score.json`; with `against` also the paired differences to a second file on the same
    frames.

    Raises `ResultError` or `BagError` where a file cannot be read or does not fit the truth.
    """
    truth = read_truth_scenes(truth_bag)
    where = region_of_recording(truth.frames) if region == "auto" else _region(region)
    ours = score(read_detections(detections), truth, where, str(detections))
    tree = score_tree(ours, where, draws)
    tree["inputs"] = {"detections": _hash(detections)}
    if against is not None:
        theirs = score(read_detections(against), truth, where, str(against))
        tree["inputs"]["against"] = _hash(against)
        tree["against"] = _nested(paired_differences(_compared(ours), _compared(theirs), ours.runs, draws))
    return tree


def score(file: DetectionsFile, truth: Truth, region: Region, name: str = "detections") -> Scored:
    """`file` beside `truth`; raises `ResultError` where they share no frame of reference or no time."""
    frames = {scene.frame_id for scene in truth.scenes}
    if file.frames and frames - {file.frame_id}:
        raise ResultError(
            f"{name}: boxes are in {file.frame_id!r}, the truth is in {', '.join(sorted(frames))}"
        )
    stamps = [frame.stamp_ns for frame in file.frames]
    if len(set(stamps)) < len(stamps):
        raise ResultError(f"{name}: two frames have one stamp; was it recorded in a loop?")
    pairs = pair_frames(truth.scenes, file.frames, region)
    if file.frames and pairs and all(pair.missed for pair in pairs):
        raise ResultError(
            f"{name}: none of its {len(stamps)} frames ({_span(stamps)}) is within 50 ms of one of the "
            f"truth's {len(pairs)} ({_span([scene.stamp_ns for scene in truth.scenes])}); of another one?"
        )
    statistics = kitti.kitti_statistics(pairs) | nuscenes.nuscenes_statistics(pairs)
    return Scored(pairs, statistics | recall.recall_near_statistics(pairs), len(file.frames))


def score_tree(scored: Scored, region: Region, draws: int = DRAWS) -> dict[str, Any]:
    """The numbers of one file nested by key, with what was scored, how, and 95 % intervals over runs."""
    once = np.ones(scored.runs, np.int64)
    tree: dict[str, Any] = {
        "version": VERSION,
        "frames": _frame_counts(scored),
        "region": _region_tree(region),
    }
    tree |= {"settings": SETTINGS, "objects": _object_counts(scored.pairs)}
    tree |= {part: {} for part in ("kitti", "kitti_r11", "kitti_occlusion", "nuscenes", "recall_30m")}
    for key, statistic in scored.statistics.items():
        _put(tree, key, statistic.value(once))
    tree["intervals"] = _nested(intervals(_compared(scored), scored.runs, draws))
    return tree


SETTINGS = {
    "unit": "percent; nuscenes errors in m, 1 - IoU, rad and m/s",
    "truth": f"moved to the output's stamp within {TOLERANCE_NS // 10**6} ms; "
    "a truth frame without output counts all its objects as missed",
    "kitti": "R40; occlusion <= 0/1/2, projected height >= 40/25/25 px, smaller truths and detections "
    "ignored, no truncation rule; truths of a neighbouring class and detections in an unknown object are "
    "ignored",
    "kitti_r11": "as kitti at 11 recall positions",
    "kitti_occlusion": "R40, occlusion <= 0/1/2 alone",
    "kitti_neighbours": kitti.NEIGHBOURS,
    "nuscenes": "without attributes, so the sum is not NDS; unknown velocity counts as standing; classes "
    "without truth are left out of the means; truths without a LiDAR or radar point are left out",
    "recall_30m": "truths with occlusion <= 2 within 30 m, one for one with detections of the class "
    "within 2 m, at any score",
    "intervals": "95 %, bootstrap over runs (gaps above 15 s part them)",
}


def _compared(scored: Scored) -> dict[Key, Statistic]:
    """What is worth an interval: KITTI's R40, nuScenes' means and recall."""
    return {
        key: s
        for key, s in scored.statistics.items()
        if key[0] in ("kitti", "recall_30m") or _is_summary(key)
    }


def _is_summary(key: Key) -> bool:
    return key[0] == "nuscenes" and key[-1] in ("ap_mean", "map")


def _frame_counts(scored: Scored) -> dict[str, int]:
    missed = sum(pair.missed for pair in scored.pairs)
    joined = len(scored.pairs) - missed
    return {
        "truth": len(scored.pairs),
        "missed": missed,
        "outputs": scored.outputs,
        "outputs_without_truth": scored.outputs - joined,
        "runs": scored.runs,
    }


def _object_counts(pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """Objects in the region by class, of both sides."""
    counts = {name: {"truth": 0, "detections": 0} for name in CLASSES}
    for pair in pairs:
        for side, objects, inside in (
            ("truth", pair.truth, pair.truth_inside),
            ("detections", pair.detections, pair.detections_inside),
        ):
            for name in objects.select(inside).class_names():
                counts[name][side] += 1
    return {name: sides for name, sides in counts.items() if any(sides.values())}


def _region_tree(region: Region) -> dict[str, Any]:
    bounds = {"x_m": list(region.x), "y_m": list(region.y), "class_range_m": dict(region.class_range)}
    return {"name": region.name, **bounds, "inside_image": region.inside_image, "words": region.words()}


def _region(name: str) -> Region:
    if name not in REGIONS:
        raise ResultError(f"unknown region {name!r}; known are auto, {', '.join(REGIONS)}")
    return REGIONS[name]


def _nested(table: Mapping[Key, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in table.items():
        _put(tree, key, value)
    return tree


def _put(tree: dict[str, Any], key: Key, value: Any) -> None:
    for part in key[:-1]:
        tree = tree.setdefault(part, {})
    tree[key[-1]] = value


def _hash(path: str | Path) -> str | None:
    """The sha256 of a file; None for a folder, whose bag library may rewrite its metadata."""
    source = Path(path)
    return hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else None


def _span(stamps_ns: Sequence[int]) -> str:
    return f"{min(stamps_ns) * 1e-9:.3f} to {max(stamps_ns) * 1e-9:.3f} s"
