"""`mm-fusion evaluate detections.json --truth BAG`, `evaluate --model M --data DIR`, `evaluate BAG
--projection`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm_fusion.evaluation.jobs import Model, Source
    from mm_fusion.evaluation.model_report import Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "source",
        type=Path,
        nargs="?",
        metavar="DETECTIONS",
        help="detections.json, or a recording with a detections_cloud topic; with --projection any recording",
    )
    parser.add_argument("--truth", type=Path, metavar="BAG", help="recording with /ground_truth_cloud")
    parser.add_argument("--out", type=Path, help="score.json to write; with --model or --projection a folder")
    parser.add_argument(
        "--against",
        metavar="FILE|MODEL",
        help="second detections, or with --model a second model: paired differences, and the baseline of mCE "
        "(default: geometric, for mCE alone, where faults are evaluated; none: without)",
    )
    parser.add_argument(
        "--region",
        default="auto",
        choices=("auto", "astyx", "nuscenes", "everywhere"),
        help="where labels are complete; auto: by the frames that the truth names, or by the vehicle",
    )
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws of runs (default 1000)")
    parser.add_argument(
        "--projection",
        action="store_true",
        help="judge calibrations instead: range edges of the LiDAR against edges of the images",
    )
    parser.add_argument("--vehicle", help="vehicle file for --projection; default: found from the recording")
    _add_model_arguments(parser.add_argument_group("a model on labelled frames"))


def _add_model_arguments(group: Any) -> None:
    group.add_argument(
        "--model",
        help="geometric, a settings file, a shipped or exported model, a run of train, or a checkpoint",
    )
    group.add_argument(
        "--data", type=Path, nargs="+", metavar="DIR", help="folders of simulate --dataset, or recordings"
    )
    group.add_argument("--split", default="test", help="split of simulated data (default test)")
    group.add_argument(
        "--folds", type=int, default=1, metavar="K", help="of recordings the runs alone that train left out"
    )
    group.add_argument("--fold", type=int, default=0, metavar="I", help="with --folds, as in train; from 0")
    group.add_argument("--subsets", default="all", help="all, or some of CLR,CL,CR,LR,C,L,R")
    group.add_argument(
        "--conditions",
        default="table",
        help="table (default: lost, wrong, decalibrated and late sensors), faults (the simulator's, at three "
        "severities), all, none, or name[@kind][:severity],...",
    )
    group.add_argument(
        "--calibrate",
        metavar="DIR",
        help="fit curves of scores on these frames, which must not be the scored ones (default: split val of "
        "simulated data; none: without)",
    )
    group.add_argument("--limit", type=int, metavar="N", help="the first N frames of each folder alone")
    group.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    group.add_argument("--backend", default="", help="what runs a learned model; default: its own choice")
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Score, print the tables, write the file or folder; raises `FusionError` for bad input."""
    from mm_fusion.errors import ConfigurationError

    if args.draws < 1:
        raise ConfigurationError(f"--draws: expected 1 or more, got {args.draws}")
    if args.model is not None or args.data is not None:
        return _judge_model(args)
    if args.source is None:
        raise ConfigurationError("expected DETECTIONS with --truth BAG, or --model M with --data DIR")
    if args.projection:
        return _judge_projection(args)
    if args.truth is None:
        raise ConfigurationError("expected --truth BAG (or --projection to judge a calibration)")
    return _score_file(args)


def _score_file(args: argparse.Namespace) -> int:
    from mm_fusion.evaluation.json_file import check_writable, write_json
    from mm_fusion.evaluation.report import score_report
    from mm_fusion.evaluation.score import evaluate

    if args.out is not None:
        check_writable(args.out)
    tree = evaluate(args.source, args.truth, args.against, args.region, args.draws)
    print(score_report(tree))
    if args.out is not None:
        write_json(args.out, tree)
        print(f"\nwritten {args.out}")
    return 0


def _judge_model(args: argparse.Namespace) -> int:
    from mm_fusion.evaluation.jobs import Workplace
    from mm_fusion.evaluation.json_file import check_writable, write_json, write_whole
    from mm_fusion.evaluation.model_report import plan_of, run_plan
    from mm_fusion.evaluation.report_page import report_html, report_text
    from mm_fusion.evaluation.report_tree import report_tree
    from mm_fusion.viewing.report_plots import write_report_plots

    request = _request(args)
    check_writable(args.out / "report.json")
    place = Workplace()
    data = place.data(request.source)
    plan = plan_of(request, data, [] if request.calibrate is None else place.data(request.calibrate))
    results = _with_bar(args, lambda progress: run_plan(args.out, plan, request.workers, progress, place))
    tree, table = report_tree(request, plan, results, data)
    write_json(args.out / "report.json", tree)
    if table is not None:
        write_json(args.out / "calibration.json", table)
    write_report_plots(args.out, tree)
    write_whole(args.out / "report.html", report_html(tree))
    print(report_text(tree))
    print(f"\nwritten {args.out}: report.html, report.json and pictures")
    return 0


def _with_bar(args: argparse.Namespace, work: Any) -> Any:
    from tqdm import tqdm

    with tqdm(total=0, unit="frame", disable=args.quiet, smoothing=0.05) as bar:

        def progress(count: int, total: int, what: str) -> None:
            bar.total = total
            bar.set_description(what, refresh=False)
            bar.update(count)

        return work(progress)


def _request(args: argparse.Namespace) -> Request:
    """What is asked for, checked as far as that goes without the data."""
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.evaluation.conditions import NAMED, parse_conditions, parse_subsets
    from mm_fusion.evaluation.jobs import Source
    from mm_fusion.evaluation.model_report import Request

    for flag, value in (("--model M", args.model), ("--data DIR", args.data), ("--out REPORT", args.out)):
        if value is None:
            raise ConfigurationError(f"expected {flag}: a model is judged with --model, --data and --out")
    if args.source is not None or args.truth is not None:
        raise ConfigurationError("expected either DETECTIONS with --truth, or --model with --data, got both")
    for flag in ("limit", "workers", "folds"):
        value = getattr(args, flag)
        if value is not None and value < 1:
            raise ConfigurationError(f"--{flag}: expected 1 or more, got {value}")
    if not 0 <= args.fold < args.folds:
        raise ConfigurationError(f"--fold: expected from 0 and below --folds {args.folds}, got {args.fold}")
    conditions = parse_conditions(args.conditions)
    faults = any(condition.name not in NAMED for condition in conditions)
    folders = tuple(str(folder) for folder in args.data)
    source = Source(folders, args.split, args.region, args.limit, args.folds, args.fold)
    return Request(
        _model(args.model, args.backend),
        source,
        parse_subsets(args.subsets),
        conditions,
        _against(args, faults),
        _calibrate(args, source),
        args.draws,
        args.workers,
        baseline_only=args.against is None,
    )


def _against(args: argparse.Namespace, faults: bool) -> Model | None:
    name = args.against or ("geometric" if faults and args.model != "geometric" else "none")
    return None if name == "none" else _model(name, args.backend)


def _calibrate(args: argparse.Namespace, source: Source) -> Source | None:
    """Where curves are fitted: never on what is scored."""
    from dataclasses import replace

    from mm_fusion.errors import ConfigurationError
    from mm_fusion.simulation.dataset import MANIFEST, read_manifest

    if args.calibrate == "none" or (args.calibrate is None and _is_calibrated(args.model)):
        return None
    if _is_calibrated(args.model):
        raise ConfigurationError(
            f"--calibrate: {args.model} already carries a calibration.json, so its scores are fitted ones; "
            "take that file out of its folder to fit anew"
        )
    if args.calibrate is not None:
        same = Path(args.calibrate).resolve() in {Path(folder).resolve() for folder in source.folders}
        shards = (Path(args.calibrate) / MANIFEST).is_file()
        if same and not (shards and args.split != "val"):
            raise ConfigurationError(f"--calibrate {args.calibrate}: is what is scored; name other frames")
        return replace(source, folders=(args.calibrate,), split="val", limit=None, folds=1, fold=0)
    simulated = [folder for folder in source.folders if (Path(folder) / MANIFEST).is_file()]
    with_val = [folder for folder in simulated if read_manifest(Path(folder))["splits"].get("val")]
    if len(with_val) < len(source.folders) or args.split == "val":
        return None
    return replace(source, split="val")


def _is_calibrated(model: str) -> bool:
    """Whether a model's folder carries curves: its scores come out fitted."""
    from mm_fusion.detectors.score_calibration import FILE

    if _is_geometric(model):
        return False
    from mm_fusion.runtime.model_files import find_model

    return (find_model(model) / FILE).is_file()


def _is_geometric(model: str) -> bool:
    return model == "geometric" or model.endswith((".yaml", ".yml"))


def _model(name: str, backend: str) -> Model:
    """The model with a digest of its files; raises `ConfigurationError` where the name is none."""
    import hashlib

    from mm_fusion.evaluation.jobs import Model

    if _is_geometric(name):
        from mm_fusion.model_config import load_geometric

        content = load_geometric(name).model_dump_json().encode()
        return Model(name, hashlib.sha256(content).hexdigest(), "")
    from mm_fusion.runtime.model_files import find_model

    digest = hashlib.sha256()
    for file in sorted(path for path in find_model(name).iterdir() if path.is_file()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return Model(name, digest.hexdigest(), backend)


def _judge_projection(args: argparse.Namespace) -> int:
    from mm_fusion.config import load_vehicle
    from mm_fusion.evaluation.json_file import write_json
    from mm_fusion.evaluation.projection import edge_views, projection_tree
    from mm_fusion.evaluation.recorded_frames import decoded_frames, vehicle_of_recording
    from mm_fusion.evaluation.report import projection_report
    from mm_fusion.viewing.edges import draw_edges
    from mm_fusion.viewing.video import write_picture

    vehicle = load_vehicle(args.vehicle) if args.vehicle else vehicle_of_recording(args.source)
    views = list(edge_views(decoded_frames(args.source, vehicle)))
    tree = projection_tree(views)
    print(projection_report(tree))
    if args.out is not None:
        for number, view in enumerate(views):
            write_picture(args.out / f"edges_{view.camera}_{number:03d}.png", draw_edges(view))
        write_json(args.out / "projection.json", tree)
        print(f"\nwritten {args.out}")
    return 0
