"""The mean over seeds of what reports of `mm-fusion evaluate --model` say of cars.

    python tools/mean_of_reports.py REPORT REPORT REPORT

Each is a folder with `report.json`, of one recipe trained with another seed and scored on the same frames.
By subset: KITTI AP of cars (R40, percent) at IoU 0.5 in 3D and in bird's eye view, easy / moderate / hard,
the range of moderate over the seeds, and the mean of the ends of their intervals by bootstrap over runs.
Exit code 2 for what is no such report, or of other frames.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from compare_reports import read_report

from mm_fusion.errors import FusionError, ResultError

LEVELS = ("easy", "moderate", "hard")
VIEWS = {"3d": "3D AP@0.5", "bev": "BEV AP@0.5"}


def mean_table(reports: Sequence[dict[str, Any]]) -> str:
    """A row for each subset that every report has and each view; raises `ResultError` for other frames."""
    if len({str(report.get("data")) for report in reports}) > 1:
        raise ResultError("expected reports on the same frames, got several data sets")
    subsets = [each.get("subsets", {}) for each in reports]
    names = [name for name in subsets[0] if all(name in each for each in subsets)]
    rows = [_row(name, view, [each[name] for each in subsets]) for name in names for view in VIEWS]
    if not rows:
        raise ResultError("expected a subset that all reports have, got none: evaluate with --subsets all")
    heads = f"{'easy / moderate / hard':>24s}  {'moderate by seed':>16s}  95 % of moderate"
    head = f"{'subset':6s} {'Car':10s} {heads}"
    return "\n".join([f"mean of {len(reports)} reports, %", head, *rows])


def _row(name: str, view: str, subsets: Sequence[dict[str, Any]]) -> str:
    try:
        by_level = [[float(each["kitti"]["car"][view]["0.5"][level]) for level in LEVELS] for each in subsets]
        ends = np.mean([each["interval"][f"kitti car {view} 0.5 moderate"] for each in subsets], axis=0)
    except (KeyError, TypeError, ValueError):
        raise ResultError(
            f"subset {name}: expected KITTI scores of cars with an interval, got none"
        ) from None
    mean = " / ".join(f"{value:.1f}" for value in np.mean(by_level, axis=0))
    moderate = [levels[1] for levels in by_level]
    seeds = f"{min(moderate):.1f} to {max(moderate):.1f}"
    return f"{name:6s} {VIEWS[view]:10s} {mean:>24s}  {seeds:>16s}  {ends[0]:.1f} to {ends[1]:.1f}"


def main(args: Sequence[str] | None = None) -> int:
    """Read, average, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help="folder with report.json")
    try:
        print(mean_table([read_report(folder) for folder in parser.parse_args(args).reports]))
    except FusionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
