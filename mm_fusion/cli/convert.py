"""`mm-fusion convert`: a recorded data set becomes a rosbag2 recording."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm_fusion.bags.convert.recording import ConvertReport

KINDS = ("astyx", "sensors_calibration", "nuscenes_keyframe")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is converted, from where, to where."""
    parser.add_argument("kind", choices=KINDS, help="the data set")
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="its folder (of Astyx: a split, or the download)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="BAG", help="folder of the recording to write"
    )
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="default: mcap")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing recording")


def run(args: argparse.Namespace) -> int:
    """Convert and say what was written; 130 after Ctrl-C, which leaves nothing at --out."""
    from tqdm import tqdm

    convert = converter(args.kind)
    try:
        with tqdm(unit="frame", desc=f"convert {args.kind}", delay=0.5) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = convert(args.source, args.out, args.storage, show, args.overwrite)
    except KeyboardInterrupt:
        print(f"stopped; nothing was left at {args.out}")
        return 130
    print(describe(report))
    return 0


def converter(kind: str) -> Callable[..., ConvertReport]:
    """The `convert` function of a data set."""
    match kind:
        case "astyx":
            from mm_fusion.bags.convert.astyx import convert
        case "sensors_calibration":
            from mm_fusion.bags.convert.sensors_calibration import convert
        case _:
            from mm_fusion.bags.convert.nuscenes_keyframe import convert
    return convert


def describe(report: ConvertReport) -> str:
    """A report as lines for a terminal."""
    objects = ", ".join(f"{count} {name}" for name, count in sorted(report.objects.items())) or "none"
    lines = [f"{report.path}: {report.frames} frames in {report.runs} runs", f"truth: {objects}"]
    lines += [f"{count:7d}  {topic}" for topic, count in sorted(report.messages.items())]
    return "\n".join([*lines, *report.notes])
