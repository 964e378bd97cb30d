"""`mm-fusion convert`: a recorded data set becomes a rosbag2 recording."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm_fusion.bags.convert.recording import ConvertReport

KINDS = ("astyx", "sensors_calibration", "nuscenes_keyframe")
MOST_FRAMES = 100_000
"""No range of frames is longer; what is was mistyped."""


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
    parser.add_argument(
        "--frames",
        type=numbers_of,
        metavar="RANGES",
        help="of Astyx these alone, such as 0-41,130-294",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing recording")


def run(args: argparse.Namespace) -> int:
    """Convert and say what was written; 130 after Ctrl-C, which leaves nothing at --out."""
    from tqdm import tqdm

    from mm_fusion.errors import ConfigurationError

    if args.frames is not None and args.kind != "astyx":
        raise ConfigurationError(f"--frames: expected astyx, whose frames have numbers, got {args.kind}")
    wanted = {} if args.frames is None else {"numbers": args.frames}
    convert = converter(args.kind)
    try:
        with tqdm(unit="frame", desc=f"convert {args.kind}", delay=0.5) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = convert(args.source, args.out, args.storage, show, args.overwrite, **wanted)
    except KeyboardInterrupt:
        print(f"stopped; nothing was left at {args.out}")
        return 130
    print(describe(report))
    return 0


def numbers_of(text: str) -> set[int]:
    """The whole numbers in ranges such as `0-41,130`; raises `ValueError`."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not 0 < len(span) <= MOST_FRAMES:
            raise ValueError(f"{part}: expected 1 to {MOST_FRAMES} frames")
        numbers |= set(span)
    return numbers


def converter(kind: str) -> Callable[..., ConvertReport]:
    """The `convert` function of a data set."""
    match kind:
        case "astyx":
            from mm_fusion.bags.convert import astyx

            return astyx.convert
        case "sensors_calibration":
            from mm_fusion.bags.convert import sensors_calibration

            return sensors_calibration.convert
        case _:
            from mm_fusion.bags.convert import nuscenes_keyframe

            return nuscenes_keyframe.convert


def describe(report: ConvertReport) -> str:
    """A report as lines for a terminal."""
    objects = ", ".join(f"{count} {name}" for name, count in sorted(report.objects.items())) or "none"
    lines = [f"{report.path}: {report.frames} frames in {report.runs} runs", f"truth: {objects}"]
    lines += [f"{count:7d}  {topic}" for topic, count in sorted(report.messages.items())]
    return "\n".join([*lines, *report.notes])
