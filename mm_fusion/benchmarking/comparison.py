"""The pipeline and the plain implementations side by side on the same frames, and what came of it."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.benchmarking.load import Change, LoadFrame, data_hash, load_frames
from mm_fusion.benchmarking.machine import hardware, peak_rss_mb, software
from mm_fusion.benchmarking.plain_detector import OnnxRuntimeEngine, PlainDetector, torch_engine
from mm_fusion.benchmarking.stopwatch import Stopwatch, quantiles
from mm_fusion.config import VehicleConfig, load_config
from mm_fusion.detections import Detections
from mm_fusion.detectors.learned import LearnedDetector
from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Frame
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.network_config import LearnedConfig
from mm_fusion.pipeline import Pipeline
from mm_fusion.runtime.choice import open_graphs
from mm_fusion.runtime.falling_back import OpenedGraphs
from mm_fusion.runtime.protocol import Arrays

LEAST_MATCHED_PERCENT = 80.0
"""Of our detections, what each plain side must find as well before anything is timed."""
MATCHED_SCORE = 0.1
MATCHED_M = 1.0
WARM_UP = 3


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """What is run: a model's folder on a backend, with so many threads, over so many frames."""

    folder: Path
    backend: str = "auto"
    threads: int = 1
    frames: int = 50


class RememberedGraphs(OpenedGraphs):
    """Graphs that, while `asleep`, give their last answers again without any work."""

    def __init__(self, opened: OpenedGraphs) -> None:
        super().__init__(opened.backend, {name: opened.graph(name) for name in opened}, opened.reason)
        self._last: dict[str, Arrays] = {}
        self.asleep = False

    def run(self, name: str, inputs: Arrays) -> Arrays:
        """Outputs of one graph; raises `BackendError` where its backend fails."""
        if not self.asleep:
            self._last[name] = super().run(name, inputs)
        return self._last[name]


class Ours:
    """The pipeline as a host runs it: with two threads and more, images are prepared beside the rest."""

    def __init__(self, settings: BenchmarkSettings, config: LearnedConfig, vehicle: VehicleConfig) -> None:
        self.stages = Stopwatch()
        self._graphs = RememberedGraphs(open_graphs(settings.folder, config, settings.backend))
        self.detector = LearnedDetector(vehicle, settings.folder, graphs=self._graphs)
        self.pipeline = Pipeline(vehicle, self.detector, self.stages.measure)
        self.detector.measure = self.stages.measure
        workers = settings.threads - 1
        self._pool = ThreadPoolExecutor(workers, "prepare") if workers > 0 else None

    def detect(self, frame: Frame) -> Detections:
        """The objects of a fresh frame."""
        if self._pool is not None:
            for name, item in frame.measurements.items():
                self._pool.submit(self.pipeline.prepare, name, item)
        return self.pipeline.detect(frame).detections

    def without_inference_ms(self, frame: Frame) -> float:
        """Duration of a fresh frame like the last one while inference costs nothing; no stage counts it."""
        self._graphs.asleep = True
        try:
            return _timed(lambda: self.detect(frame))
        finally:
            self._graphs.asleep = False
            self.stages.skip_frame()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def benchmark(
    path: Path,
    vehicle: VehicleConfig,
    settings: BenchmarkSettings,
    change: Change | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """The tree of figures: the pipeline's stages and end to end, and both plain sides, run in turn.

    Raises `FusionError` where model or recording cannot be used, or where a plain side finds other objects.
    """
    config = load_config(settings.folder / "model.yaml", LearnedConfig)
    loads = load_frames(path, vehicle, settings.frames, change)
    ours = Ours(settings, config, vehicle)
    try:
        alone = _alone(ours, loads)
        with _plain_sides(settings, config, vehicle) as plain:
            closeness = _check(ours, plain, loads, InputMaker(config, vehicle))
            times = _side_by_side(ours, plain, loads, settings.frames, progress)
    finally:
        ours.close()
    tree = _figures(ours, plain, times)
    tree["peak_rss_mb"] = alone
    tree["peak_rss_with_plain_mb"] = peak_rss_mb()
    tree |= {"copy_ms": _copy_ms(loads), "plain_agrees": closeness}
    found = {"backend_used": ours.detector.backend, "backend_reason": ours.detector.backend_reason}
    around = _circumstances(settings, config, path, loads)
    around["configuration"] |= found
    return {**around, **tree}


def _alone(ours: Ours, loads: Sequence[LoadFrame]) -> float:
    """Peak memory of the pipeline by itself, after a warm-up over a few frames."""
    for load in loads[: WARM_UP + 2]:
        ours.detect(load.fresh())
    return peak_rss_mb()


@contextmanager
def _plain_sides(
    settings: BenchmarkSettings, config: LearnedConfig, vehicle: VehicleConfig
) -> Iterator[dict[str, PlainDetector]]:
    """The plain sides by name, both in FP32; ONNX Runtime's graphs are made where there are none."""
    with tempfile.TemporaryDirectory() as spare:
        floats = _float_graphs(settings.folder, Path(spare))
        yield {
            "torch": PlainDetector(config, vehicle, torch_engine(settings.folder, settings.threads)),
            "onnxruntime": PlainDetector(config, vehicle, OnnxRuntimeEngine(floats, settings.threads)),
        }


def _float_graphs(folder: Path, spare: Path) -> Path:
    """A folder with FP32 graphs of the same weights: the model's own, or one made for the occasion."""
    import json

    manifest = folder / "manifest.json"
    told = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {"precision": "fp32"}
    if told.get("precision") == "fp32" and (folder / "fusion.onnx").is_file():
        return folder
    from mm_fusion.training.export import export_model
    from mm_fusion.training.model_of import model_in

    return export_model(model_in(folder), spare / "fp32")


def _check(
    ours: Ours, plain: Mapping[str, PlainDetector], loads: Sequence[LoadFrame], maker: InputMaker
) -> dict[str, Any]:
    """How near the plain sides are to ours; raises `ConfigurationError` where they find something else."""
    some = loads[:: max(1, len(loads) // 5)]
    found: dict[str, Any] = {"inputs": plain["torch"].check_inputs(some[0], maker)}
    reference = [ours.detect(load.fresh()) for load in some]
    for name, side in plain.items():
        shares = [matched_percent(one, side.detect(load)) for one, load in zip(reference, some)]
        found[f"{name}_matched_percent"] = round(float(np.mean(shares)), 1)
        side.stages.forget()
        if found[f"{name}_matched_percent"] < LEAST_MATCHED_PERCENT:
            raise ConfigurationError(
                f"the plain side ({name}) finds {found[f'{name}_matched_percent']} % of our detections, "
                f"expected at least {LEAST_MATCHED_PERCENT:g} %; inputs differ by {found['inputs']}: not "
                "comparable"
            )
    ours.stages.forget()
    return found


def matched_percent(one: Detections, other: Detections) -> float:
    """Percent of the stronger detections of `one` that `other` has within 1 m with the same class."""
    strong = one.select(one.score >= MATCHED_SCORE)
    if not len(strong):
        return 100.0
    away = np.linalg.norm(strong.center[:, None] - other.center[None], axis=2)
    same = strong.class_id[:, None] == other.class_id[None]
    return float(((away < MATCHED_M) & same).any(axis=1).mean() * 100)


def _side_by_side(
    ours: Ours,
    plain: Mapping[str, PlainDetector],
    loads: Sequence[LoadFrame],
    count: int,
    progress: Callable[[float], None] | None,
) -> dict[str, list[float]]:
    """Milliseconds per frame of every side, run in turn so that all see the same machine.

    `rest` is ours again on the same frame, without inference.
    """
    times: dict[str, list[float]] = {name: [] for name in ("ours", "rest", *plain)}
    for number, load in enumerate(itertools.islice(itertools.cycle(loads), count)):
        frame = load.fresh()
        times["ours"].append(_timed(lambda: ours.detect(frame)))  # noqa: B023
        ours.pipeline.examine()  # what a host does while it waits for the next frame
        ours.stages.end_frame()
        times["rest"].append(ours.without_inference_ms(load.fresh()))
        for name, side in plain.items():
            times[name].append(_timed(lambda: side.detect(load)))  # noqa: B023
            side.stages.end_frame()
        if progress is not None:
            progress((number + 1) / count)
    return times


def _timed(work: Callable[[], Any]) -> float:
    start_s = time.perf_counter()
    work()
    return (time.perf_counter() - start_s) * 1e3


def _figures(
    ours: Ours, plain: Mapping[str, PlainDetector], times: Mapping[str, list[float]]
) -> dict[str, Any]:
    whole = {name: quantiles(values) for name, values in times.items()}
    p50 = {name: values["p50_ms"] for name, values in whole.items()}
    return {
        "end_to_end": whole["ours"],
        "stages": ours.stages.stages(),
        "everything_but_inference": whole["rest"],
        "plain": {"end_to_end": whole["torch"], "stages": plain["torch"].stages.stages()},
        "plain_onnxruntime": {
            "end_to_end": whole["onnxruntime"],
            "stages": plain["onnxruntime"].stages.stages(),
        },
        "ratio_to_plain": round(p50["torch"] / p50["ours"], 2),
        "ratio_to_plain_onnxruntime": round(p50["onnxruntime"] / p50["ours"], 2),
    }


def _copy_ms(loads: Sequence[LoadFrame]) -> float:
    """Median time to copy the payloads of a frame once."""
    return round(float(np.median([_timed(lambda: _copied(load)) for load in loads for _ in range(3)])), 3)  # noqa: B023


def _copied(load: LoadFrame) -> int:
    return sum(len(np.array(message.data, copy=True)) for message in load.messages.values())


def _circumstances(
    settings: BenchmarkSettings, config: LearnedConfig, path: Path, loads: Sequence[LoadFrame]
) -> dict[str, Any]:
    """What was run, where, and on what."""
    from mm_fusion.runtime.model_files import check_files

    return {
        "configuration": {
            "model": config.name,
            "model_hash": check_files(settings.folder) or config.hash(),
            "backend": settings.backend,
            "threads": settings.threads,
            "frames": settings.frames,
        },
        "data": {
            "name": path.name,
            "sha256": data_hash(loads),
            "distinct_frames": len(loads),
            "payload_bytes_per_frame": int(np.mean([load.payload_bytes() for load in loads])),
        },
        "hardware": hardware(),
        "software": software(),
    }
