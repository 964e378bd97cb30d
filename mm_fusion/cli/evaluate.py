"""`mm-fusion evaluate detections.json --truth BAG` and `mm-fusion evaluate BAG --projection`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="DETECTIONS",
        help="detections.json, or a recording with a detections_cloud topic; with --projection any recording",
    )
    parser.add_argument("--truth", type=Path, metavar="BAG", help="recording with /ground_truth_cloud")
    parser.add_argument("--out", type=Path, help="score.json to write; with --projection a folder")
    parser.add_argument("--against", type=Path, metavar="FILE", help="second detections: paired differences")
    parser.add_argument(
        "--region",
        default="auto",
        choices=("auto", "astyx", "nuscenes", "everywhere"),
        help="where labels are complete; auto: by the frames that the truth names",
    )
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws of runs (default 1000)")
    parser.add_argument(
        "--projection",
        action="store_true",
        help="judge calibrations instead: range edges of the LiDAR against edges of the images",
    )
    parser.add_argument("--vehicle", help="vehicle file for --projection; default: found from the recording")


def run(args: argparse.Namespace) -> int:
    """Score, print the tables, write the file; raises `FusionError` for bad input."""
    from mm_fusion.errors import ConfigurationError

    if args.projection:
        return _judge_projection(args)
    if args.truth is None:
        raise ConfigurationError("expected --truth BAG (or --projection to judge a calibration)")
    if args.draws < 1:
        raise ConfigurationError(f"--draws: expected 1 or more, got {args.draws}")
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
