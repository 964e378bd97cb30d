"""A model's inference alone, by backend and precision, on one core.

`python -m test.benchmarks.bench_detector --model tiny [--calibration DIR] [--data DIR] [--out FILE]`: all
four graphs for one frame (every camera, both rasters, fusion), interleaved, each beside ONNX Runtime in FP32
of the same run. With --data also the change in mAP.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from mm_fusion.benchmarking.machine import hardware, software
from mm_fusion.benchmarking.stopwatch import quantiles
from mm_fusion.errors import FusionError
from mm_fusion.evaluation.json_file import write_json
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.backends import Options, is_installed, open_backend
from mm_fusion.runtime.frame_run import Graphs
from mm_fusion.training.export import export_model
from mm_fusion.training.export_frames import ExportFrames, calibration_frames, scored_frames
from mm_fusion.training.export_parity import compare_outputs, map_change
from mm_fusion.training.graph_runs import run_graphs

PRECISIONS = ("fp32", "int8", "int8-cpu")
ON = {
    "fp32": ("onnxruntime-cpu", "openvino", "openvino-bf16", "torch"),
    "int8": ("onnxruntime-cpu", "openvino"),
    "int8-cpu": ("onnxruntime-cpu", "openvino"),
}
"""Backends that each precision is tried on."""
REFERENCE = ("onnxruntime-cpu", "fp32")
Case = tuple[str, str]


@dataclass(frozen=True)
class Opened:
    """Graphs of one case."""

    case: Case
    graphs: Graphs


def open_cases(folder: Path, config: LearnedConfig) -> Iterator[Opened]:
    """Every backend and precision that works here; the others are named."""
    for precision in PRECISIONS:
        for backend in ON[precision]:
            if not is_installed(backend):
                continue
            try:
                graphs = open_backend(backend, folder / precision, config, Options(threads=1))
            except FusionError as error:
                print(f"left out    {backend} {precision}: {error}")
                continue
            yield Opened((backend, precision), graphs)


def timed(
    cases: Sequence[Opened], frames: Sequence[NetworkInputs], config: LearnedConfig, runs: int
) -> dict[Case, list[float]]:
    """Milliseconds per frame of each case, run in turn after a warm-up."""
    taken: dict[Case, list[float]] = {each.case: [] for each in cases}
    for number in range(runs + 1):
        for each in cases:
            start_s = time.perf_counter()
            run_graphs(each.graphs, frames[number % len(frames)], config)
            if number:
                taken[each.case].append((time.perf_counter() - start_s) * 1e3)
    return taken


def bench(
    model: FusionModel, frames: ExportFrames, scored: ExportFrames | None, runs: int, folder: Path
) -> dict[str, Any]:
    """The tree of figures by backend and precision."""
    config = model.config
    for precision in PRECISIONS:
        export_model(model, folder / precision, precision, frames.inputs)
    cases = list(open_cases(folder, config))
    taken = timed(cases, frames.inputs, config, runs)
    reference = next(each for each in cases if each.case == REFERENCE)
    tree: dict[str, Any] = {"model": config.name, "data": frames.name, "runs": runs, "cases": {}}
    for each in cases:
        row: dict[str, Any] = quantiles(taken[each.case])
        row["times_faster_than_onnxruntime_fp32"] = float(
            np.median(taken[REFERENCE]) / np.median(taken[each.case])
        )
        row |= _parity(reference.graphs, each.graphs, config, frames.inputs)
        if scored is not None:
            row["map"] = map_change(reference.graphs, each.graphs, config, scored)
        tree["cases"][" ".join(each.case)] = row
    return {**tree, "hardware": hardware(), "software": software()}


def _parity(
    reference: Graphs, other: Graphs, config: LearnedConfig, frames: Sequence[NetworkInputs]
) -> dict[str, float]:
    some = frames[:8]
    pairs = [(run_graphs(reference, each, config), run_graphs(other, each, config)) for each in some]
    found = compare_outputs(pairs)
    return {"matched_percent": found["matched_percent"], "near_percent": found["near_percent"]}


def table(tree: Mapping[str, Any]) -> str:
    """The figures as text."""
    lines = [f"{'backend, precision':<26}{'p50 ms':>9}{'p95 ms':>9}{'faster':>9}{'same %':>9}{'mAP':>16}"]
    for name, row in tree["cases"].items():
        scores = row.get("map")
        score = f"{scores['exported']:.1f} ({scores['change']:+.2f})" if scores else "-"
        lines.append(
            f"{name:<26}{row['p50_ms']:>9.2f}{row['p95_ms']:>9.2f}"
            f"{row['times_faster_than_onnxruntime_fp32']:>8.2f}x{row['matched_percent']:>9.1f}{score:>16}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    from mm_fusion.training.model_of import model_of

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--calibration", type=Path, help="data set or recording; default: the sample")
    parser.add_argument("--data", type=Path, help="data with truth, for mAP")
    parser.add_argument("--split", default="val")
    parser.add_argument("--frames", type=int, default=24, help="frames to calibrate with and to score")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(arguments)
    model = model_of(args.model)
    frames = calibration_frames(model.config, args.calibration, args.frames)
    scored = scored_frames(model.config, args.data, args.split, args.frames) if args.data else None
    with tempfile.TemporaryDirectory() as folder:
        tree = bench(model, frames, scored, args.runs, Path(folder))
    print(table(tree))
    if args.out:
        write_json(args.out, tree)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
