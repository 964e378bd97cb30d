"""`mm-fusion view BAG|detections.json [--bag BAG] [--explain --model MODEL] --out DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm_fusion.evaluation.detections_file import DetectionsFile
    from mm_fusion.viewing.explain_ranks import Agreement
    from mm_fusion.viewing.recording import Sight


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "source", type=Path, metavar="BAG|detections.json", help="a recording, or results as json or recorded"
    )
    parser.add_argument("--bag", type=Path, help="recording that the results are of")
    parser.add_argument("--vehicle", help="vehicle file or shipped name; default: found from the recording")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--video", action="store_true", help="MP4 instead of PNG files, where OpenCV can")
    parser.add_argument("--every", type=int, default=1, help="draw every N-th frame (default 1)")
    parser.add_argument("--limit", type=int, help="draw N frames at most")
    parser.add_argument(
        "--min-score", type=float, default=0.3, help="leave out weaker detections (default 0.3)"
    )
    parser.add_argument(
        "--explain", action="store_true", help="draw which sensor carried each decision of --model"
    )
    parser.add_argument("--model", help="learned model to explain: a shipped name, a folder, or a checkpoint")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Draw the pictures and say where they are; raises `FusionError` for bad input."""
    from tqdm import tqdm

    from mm_fusion.errors import ConfigurationError
    from mm_fusion.viewing.album import draw_album

    if args.every < 1:
        raise ConfigurationError(f"--every: expected 1 or more, got {args.every}")
    if args.limit is not None and args.limit < 1:
        raise ConfigurationError(f"--limit: expected 1 or more, got {args.limit}")
    if args.explain:
        return _explain(args)
    if args.model:
        raise ConfigurationError("--model: expected --explain beside it")
    results, recording = _sources(args.source, args.bag)
    shown = tqdm(_chosen(args, results, recording), desc="drawing", disable=args.quiet, unit=" frames")
    written = draw_album(args.out, shown, results, args.video, args.min_score)
    for name, path in written.items():
        print(f"{name}  {path}")
    if not written:
        print("no frames: nothing was drawn")
    return 0


def _explain(args: argparse.Namespace) -> int:
    """Pictures of why, with a table of how well what is stated agrees with removing sensors."""
    from tqdm import tqdm

    from mm_fusion.config import load_vehicle
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.evaluation.recorded_frames import vehicle_of_recording
    from mm_fusion.runtime.model_files import find_model
    from mm_fusion.viewing.explain import Explainer, explained_frames
    from mm_fusion.viewing.explain_album import explain_album

    bag = args.bag or args.source
    if args.model in (None, "geometric"):
        raise ConfigurationError("--explain: expected a learned model by --model, not geometric")
    if bag.suffix == ".json":
        raise ConfigurationError(f"--explain: expected a recording, got {bag}; the model is run anew")
    vehicle = load_vehicle(args.vehicle) if args.vehicle else vehicle_of_recording(bag)
    explainer = Explainer(vehicle, find_model(args.model))
    frames = explained_frames(bag, vehicle, explainer, args.every, args.limit)
    shown = tqdm(frames, desc="explaining", disable=args.quiet, unit=" frames")
    written, agreed = explain_album(args.out, shown, explainer.config.grid, args.min_score, args.video)
    for name, path in written.items():
        print(f"{name}  {path}")
    if not written:
        print("no frames: nothing was drawn")
        return 0
    print("agreement with removing sensors, over detections that two or more sensors see:")
    print(f"{'':22}Spearman  95 %             Kendall  strongest the same  detections")
    for method, each in agreed.items():
        print(_agreement_row(method, each))
    return 0


def _agreement_row(method: str, agreed: Agreement) -> str:
    from mm_fusion.viewing.explain_picture import METHOD_NAMES

    within = "" if agreed.interval is None else f"[{agreed.interval[0]:.2f}, {agreed.interval[1]:.2f}]"
    return (
        f"{METHOD_NAMES[method]:22}{agreed.spearman:8.2f}  {within:15}  {agreed.kendall:7.2f}  "
        f"{100 * agreed.first:16.0f} %  {agreed.detections:10}"
    )


def _sources(source: Path, bag: Path | None) -> tuple[DetectionsFile | None, Path | None]:
    """Results and recording: a recording may hold its own results, or be results alone."""
    from mm_fusion.bags.read import open_bag
    from mm_fusion.evaluation.detections_file import read_detections

    if not (source.is_dir() or source.suffix in (".mcap", ".db3")):
        return read_detections(source), bag
    with open_bag(source) as reader:
        topics = dict(reader.topics)
    published = [name for name in topics if name.endswith("/detections_cloud")]
    results = read_detections(source) if len(published) == 1 else None
    has_sensors = any(
        info.type.rpartition("/")[2] in ("PointCloud2", "CompressedImage", "Image", "RadarScan")
        and name not in published
        for name, info in topics.items()
    )
    return results, bag or (source if has_sensors or results is None else None)


def _chosen(
    args: argparse.Namespace, results: DetectionsFile | None, recording: Path | None
) -> Iterator[Sight]:
    from itertools import islice

    from mm_fusion.config import load_vehicle
    from mm_fusion.evaluation.recorded_frames import vehicle_of_recording
    from mm_fusion.viewing.album import sights_of_results
    from mm_fusion.viewing.recording import sights

    if recording is None:
        assert results is not None
        found = sights_of_results(results)
    else:
        vehicle = load_vehicle(args.vehicle) if args.vehicle else vehicle_of_recording(recording)
        found = sights(recording, vehicle)
    stop = None if args.limit is None else args.limit * args.every
    return islice(found, 0, stop, args.every)
