"""`mm-fusion export --model MODEL --out FOLDER [--precision fp32|fp16|int8|int8-cpu]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "--model", required=True, help="a run's folder, a checkpoint, an exported folder or a shipped name"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument(
        "--precision", default="fp32", help="fp32, fp16, int8 (for TensorRT) or int8-cpu (default fp32)"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR",
        help="data set or recording whose frames INT8 is calibrated on; default: the sample recording",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data with truth: tell the change in mAP as well"
    )
    parser.add_argument("--split", default="val", help="split of --data, where it is a data set")
    parser.add_argument("--frames", type=int, default=32, help="frames of each, evenly spread")
    parser.add_argument("--no-parity", action="store_true", help="write the files alone, without a report")


def run(args: argparse.Namespace) -> int:
    """Write graphs, config, weights, samples and parity report; print where, and how near they are."""
    from mm_fusion.training.export import check_precision, export_model, make_folder
    from mm_fusion.training.export_frames import calibration_frames, scored_frames
    from mm_fusion.training.export_manifest import size_of
    from mm_fusion.training.model_of import model_of

    check_precision(args.precision, args.frames)
    model = model_of(args.model)
    make_folder(args.out)
    frames = calibration_frames(model.config, args.calibration, max(1, args.frames))
    shown = frames if frames.simulated else calibration_frames(model.config, None, SAMPLES)
    scored = scored_frames(model.config, args.data, args.split, args.frames) if args.data else None
    out = export_model(model, args.out, args.precision, frames.inputs, shown.inputs[:SAMPLES])
    print(f"written     {out} ({size_of(out) / 1e6:.1f} MB)")
    if not args.no_parity:
        print(_parity(out, args.precision, model.config, frames, scored))
    return 0


SAMPLES = 2
"""Network inputs stored in the folder."""


def _parity(out: Path, precision: str, config: Any, frames: Any, scored: Any) -> str:
    """Write `parity.json`; its table."""
    from mm_fusion.evaluation.json_file import write_json
    from mm_fusion.training.export_parity import parity_report, parity_table

    tree = {"precision": precision, **parity_report(out, config, frames, scored)}
    write_json(out / "parity.json", tree)
    return parity_table(tree)
