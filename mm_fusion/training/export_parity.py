"""How far exported graphs are from torch: the same detections on stored frames, and the same score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.detectors.learned import detections_of
from mm_fusion.evaluation.matching import pair_of
from mm_fusion.evaluation.nuscenes import nuscenes_statistics
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.protocol import Arrays
from mm_fusion.training.export_frames import ExportFrames
from mm_fusion.training.graph_runs import Graphs, run_graphs

COMPARED_SCORE = 0.1
"""Candidates of the reference from this score on are looked for; weaker ones come and go by rounding."""
Key = tuple[int, int]


def parity_report(
    folder: Path,
    config: LearnedConfig,
    frames: ExportFrames,
    scored: ExportFrames | None = None,
    backend: str = "onnxruntime",
) -> dict[str, Any]:
    """The tree of `parity.json`: the graphs of a folder on `backend` beside torch with the same weights.

    frames: those whose detections are compared; scored: those with truth that both are scored on.
    """
    torch_graphs = open_graphs(folder, config, "torch")
    exported = open_graphs(folder, config, backend)
    pairs = [
        (run_graphs(torch_graphs, each, config), run_graphs(exported, each, config)) for each in frames.inputs
    ]
    tree: dict[str, Any] = {"reference": "torch fp32", "backend": backend, "data": frames.name}
    tree |= compare_outputs(pairs)
    if scored is not None:
        tree["map"] = map_change(torch_graphs, exported, config, scored)
    return tree


def compare_outputs(pairs: Sequence[tuple[Arrays, Arrays]]) -> dict[str, Any]:
    """Detections of (reference, other) raw outputs as sets keyed by class and cell, over all frames.

    matched_percent: share of the reference's candidates found again in the same cell with the same class;
    near_percent: in it or one beside it. Errors are of those in the same cell: score, centre in m, size in m
    and yaw in degrees.
    """
    rows: list[np.ndarray] = []
    wanted = near = 0
    for reference, other in pairs:
        strong, found = _candidates(reference, COMPARED_SCORE), _candidates(other, 0.0)
        wanted += len(strong)
        near += sum(_is_near(reference, place, other) for place in strong.values())
        rows += [_errors(reference, strong[key], other, found[key]) for key in strong.keys() & found.keys()]
    errors = np.array(rows, np.float64).reshape(-1, 4)
    percent = 100.0 / wanted if wanted else float("nan")
    return {
        "frames": len(pairs),
        "detections": wanted,
        "matched_percent": len(rows) * percent,
        "near_percent": near * percent,
        "score_error": _summary(errors[:, 0]),
        "center_error_m": _summary(errors[:, 1]),
        "size_error_m": _summary(errors[:, 2]),
        "yaw_error_deg": _summary(errors[:, 3]),
    }


def _candidates(outputs: Arrays, least: float) -> dict[Key, int]:
    """Row of each candidate from a score on, by class and cell."""
    rows = np.flatnonzero(outputs["score"][0] >= least)
    return {(int(outputs["class_index"][0, row]), int(outputs["cell"][0, row])): int(row) for row in rows}


def _is_near(reference: Arrays, row: int, other: Arrays) -> bool:
    """Whether the other has a candidate of the same class within about a cell of this one's centre."""
    same = other["class_index"][0] == reference["class_index"][0, row]
    away = np.linalg.norm(other["box"][0, :, :2] - reference["box"][0, row, :2], axis=1)
    return bool((same & (away < 1.0)).any())


def _errors(one: Arrays, i: int, other: Arrays, j: int) -> np.ndarray:
    a, b = one["box"][0, i].astype(np.float64), other["box"][0, j].astype(np.float64)
    turn = np.degrees(np.arctan2(a[6] * b[7] - a[7] * b[6], a[7] * b[7] + a[6] * b[6]))
    score = abs(float(one["score"][0, i]) - float(other["score"][0, j]))
    return np.array([score, np.linalg.norm(a[:3] - b[:3]), np.abs(a[3:6] - b[3:6]).max(), abs(turn)])


def _summary(errors: np.ndarray) -> dict[str, float]:
    if not len(errors):
        return dict.fromkeys(("mean", "p99", "max"), float("nan"))
    return {
        "mean": float(errors.mean()), "p99": float(np.percentile(errors, 99)), "max": float(errors.max()),
    }  # fmt: skip


def map_change(
    torch_graphs: Graphs, exported: Graphs, config: LearnedConfig, scored: ExportFrames
) -> dict[str, Any]:
    """nuScenes mAP in percent of both on frames with truth, and what the export changes."""
    torch_map = _map_of(torch_graphs, config, scored)
    exported_map = _map_of(exported, config, scored)
    return {
        "data": scored.name,
        "frames": len(scored.inputs),
        "torch": torch_map,
        "exported": exported_map,
        "change": exported_map - torch_map,
    }


def _map_of(graphs: Graphs, config: LearnedConfig, scored: ExportFrames) -> float:
    pairs = [
        pair_of(scene, detections_of(run_graphs(graphs, inputs, config), inputs, config), scored.region, run)
        for inputs, scene, run in zip(scored.inputs, scored.scenes, scored.runs)
    ]
    score = nuscenes_statistics(pairs).get(("nuscenes", "map"))
    return float("nan") if score is None else score.value(np.ones(max(scored.runs) + 1, np.int64))


def parity_table(tree: Mapping[str, Any]) -> str:
    """The report as a few lines of text."""
    lines = [
        f"{tree['precision']} on {tree['backend']} beside {tree['reference']}, {tree['frames']} frames of "
        f"{tree['data']}, {tree['detections']} detections from a score of {COMPARED_SCORE}",
        f"  found again   {tree['matched_percent']:.1f} % in the same cell, {tree['near_percent']:.1f} % "
        "within 1 m",
        f"  {'error':<14}{'mean':>10}{'p99':>10}{'max':>10}",
    ]
    for name in ("score_error", "center_error_m", "size_error_m", "yaw_error_deg"):
        values = tree[name]
        cells = "".join(f"{values[each]:>10.5f}" for each in ("mean", "p99", "max"))
        lines.append(f"  {name.replace('_error', ''):<14}{cells}")
    if "map" in tree:
        scores = tree["map"]
        lines.append(
            f"  mAP on {scores['frames']} frames of {scores['data']}: torch {scores['torch']:.2f}, exported "
            f"{scores['exported']:.2f} ({scores['change']:+.2f})"
        )
    return "\n".join(lines)
