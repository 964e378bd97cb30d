"""A recording through the pipeline without ROS: the same calls that a live host makes, as fast as it goes."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import BagReader, open_bag
from mm_fusion.config import VehicleConfig, dump_config
from mm_fusion.detections import CLASSES, FusionResult
from mm_fusion.detectors.choice import make_detector
from mm_fusion.detectors.learned import LearnedDetector
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import BagError
from mm_fusion.evaluation.detections_file import DetectionsFile, ResultFrame
from mm_fusion.frame import Frame
from mm_fusion.messages.routes import routes
from mm_fusion.pipeline import Pipeline
from mm_fusion.runtime.model_files import SHIPPED, shipped_models

Progress = Callable[[float], None]
"""Takes the share of the recording that is done, 0..1."""
AHEAD = 2
"""Frames that are collected and decoded before the one under detection."""
PATIENCE_S = 0.1
"""How often a thread that waits looks whether it is still wanted."""


@dataclass(slots=True)
class OfflineRun:
    """What one run gave: results in order of reference time, and how it went.

    stage_ms: duration of each frame's detection by stage; drops: {sensor: {reason: count}} of the whole run;
    problems: what was wrong with the recording, in words; backend: what ran a learned model's graphs.
    """

    results: list[FusionResult] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=lambda: {"detect": []})
    drops: dict[str, dict[str, int]] = field(default_factory=dict)
    explanations: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False
    recorded_s: float = 0.0
    elapsed_s: float = 0.0
    backend: str = ""

    def detections_by_class(self) -> dict[str, int]:
        """Number of detections of each class that occurs."""
        counts = Counter(name for result in self.results for name in result.detections.class_names())
        return {name: counts[name] for name in CLASSES if counts[name]}


def run_bag(
    path: Path, vehicle: VehicleConfig, model: str, progress: Progress | None = None, **options: Any
) -> OfflineRun:
    """Every frame of a recording detected; the same bytes in give the same results out.

    options: what `make_detector` takes beside model and vehicle. An interrupt ends it early, with the frames
    that are done. Raises `BagError` where the recording cannot be opened or none of the vehicle's sensors is
    in it.
    """
    detector = make_detector(model, vehicle, **options)
    pipeline = Pipeline(vehicle, detector)
    run = OfflineRun(backend=backend_of(detector))
    start_s = time.perf_counter()
    with open_bag(path) as reader:
        _check_topics(reader, vehicle, run)
        run.recorded_s = (reader.end_ns - reader.start_ns) * 1e-9
        try:
            with FramesAhead(pipeline, reader) as frames:
                for frame, share in frames:
                    began_s = time.perf_counter()
                    run.results.append(pipeline.detect(frame))
                    run.stage_ms["detect"].append((time.perf_counter() - began_s) * 1e3)
                    if progress is not None:
                        progress(share)
        except KeyboardInterrupt:
            run.interrupted = True
            run.problems.append(f"interrupted: the results end after {len(run.results)} frames")
        run.problems += reader.problems
    run.elapsed_s = time.perf_counter() - start_s
    run.drops = pipeline.drops.counts()
    run.explanations = [f"{sensor}: {text}" for (sensor, _), text in pipeline.drops.texts().items()]
    return run


def backend_of(detector: Detector) -> str:
    """Name of what runs a learned detector's graphs, '' for one without."""
    return detector.backend if isinstance(detector, LearnedDetector) else ""


class FramesAhead:
    """The frames of a recording with the share of it that is read, a context manager.

    A thread of its own reads, collects and decodes a few frames ahead, in the one order that there is, so
    that the results are those of doing it in turn. Errors of that thread come out of the iteration.
    """

    def __init__(self, pipeline: Pipeline, reader: BagReader) -> None:
        self._pipeline, self._reader = pipeline, reader
        self._ready: queue.Queue[tuple[Frame, float] | BaseException | None] = queue.Queue(AHEAD)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._read, name="frames-ahead", daemon=True)
        self._decoding = ThreadPoolExecutor(1, "decode-ahead")

    def __enter__(self) -> FramesAhead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Both threads are gone when this returns: the recording can be closed."""
        self._unwanted.set()
        self._thread.join()
        self._decoding.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[Frame, float]]:
        while (entry := self._ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry

    def _read(self) -> None:
        try:
            for frame, share in self._frames():
                for name, item in frame.measurements.items():
                    self._decoding.submit(self._pipeline.prepare, name, item)
                if not self._hand_over((frame, share)):
                    return
        except BaseException as error:
            self._hand_over(error)
        else:
            self._hand_over(None)

    def _frames(self) -> Iterator[tuple[Frame, float]]:
        reader, pipeline = self._reader, self._pipeline
        span_ns = max(1, reader.end_ns - reader.start_ns)
        for sensor, item, receipt_ns in bag_items(reader, pipeline.vehicle, pipeline.drops):
            if self._unwanted.is_set():
                return
            for frame in pipeline.add(sensor, item, receipt_ns):
                yield frame, (receipt_ns - reader.start_ns) / span_ns
        for frame in pipeline.flush():
            yield frame, 1.0

    def _hand_over(self, entry: tuple[Frame, float] | BaseException | None) -> bool:
        """Wait for a free place; False where nobody wants it any more."""
        while not self._unwanted.is_set():
            try:
                self._ready.put(entry, timeout=PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False


def _check_topics(reader: BagReader, vehicle: VehicleConfig, run: OfflineRun) -> None:
    """Say which configured topics never come; raise where no sensor has one."""
    missing = sorted(set(routes(vehicle)) - set(reader.topics) - {"/tf", "/tf_static"})
    run.problems += [f"topic {topic} of the vehicle file is not in the recording" for topic in missing]
    if all(sensor.topic not in reader.topics for sensor in vehicle.sensors.values()):
        raise BagError(
            "none of the vehicle's topics is in the recording, which has "
            f"{', '.join(sorted(reader.topics)) or 'none'}; write a fitting vehicle file with "
            "`mm-fusion info BAG --write-vehicle my_car.yaml`"
        )


def results_file(run: OfflineRun, vehicle: VehicleConfig, inputs: Mapping[str, str]) -> DetectionsFile:
    """What a detections.json of the run holds."""
    frames = [ResultFrame(r.stamp_ns, r.mode, r.available, r.detections) for r in run.results]
    return DetectionsFile(vehicle.output_frame, frames, inputs=inputs)


def input_hashes(path: Path, vehicle: VehicleConfig, model: str) -> dict[str, str]:
    """SHA-256 of the recording's data files, of the resolved vehicle file and the model."""
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return {
        "recording": digest.hexdigest(),
        "vehicle": hashlib.sha256(dump_config(vehicle).encode()).hexdigest(),
        "model": hashlib.sha256(_model_bytes(model)).hexdigest(),
    }


def _model_bytes(model: str) -> bytes:
    """What a model is, wherever it lies: a file's bytes, all files of a folder, or the name of neither."""
    path = SHIPPED / model if model in shipped_models() else Path(model)
    if path.is_dir():
        return b"".join(file.read_bytes() for file in sorted(path.iterdir()) if file.is_file())
    return path.read_bytes() if path.is_file() else model.encode()
