"""How alike two reports rank the subsets of the sensors, or the fusion operators.

    python tools/compare_reports.py REPORT_ON_SIM REPORT_ON_REAL

Each is a folder of `mm-fusion evaluate --model` (`report.json`) or of `mm-fusion compare-fusion`
(`comparison.json`). Printed are both scores by subset (Car, KITTI 3D AP@0.5 moderate where a report has it,
else nuScenes mAP) or by operator (mean mAP over the conditions), and Spearman's rank correlation between
them: does the simulator rank as reality does? Exit code 2 for what is no such report.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from mm_fusion.errors import FusionError, ResultError
from mm_fusion.evaluation.json_file import read_json


def scores_of(report: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """What is scored, and the score in percent by subset or operator."""
    if "rows" in report:
        return "mean mAP", {name: float(row["overall"]) for name, row in report["rows"].items()}
    subsets = report["subsets"]
    kitti = {name: _moderate(each) for name, each in subsets.items()}
    if all(value is not None for value in kitti.values()):
        return "Car 3D AP@0.5 moderate", {name: float(value or 0.0) for name, value in kitti.items()}
    return "nuScenes mAP", {name: float(each["nuscenes"]["map"]) for name, each in subsets.items()}


def _moderate(subset: dict[str, Any]) -> float | None:
    value = (subset.get("kitti") or {}).get("car", {}).get("3d", {}).get("0.5", {}).get("moderate")
    return None if value is None else float(value)


def table(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Scores of both by row, and their rank correlation; raises `ResultError` below three rows."""
    (first, left), (second, right) = scores_of(one), scores_of(other)
    names = [name for name in left if name in right]
    if len(names) < 3:
        raise ResultError(
            f"expected at least three rows that both reports have, got {', '.join(names) or 'none'}: "
            "evaluate with --subsets all, or compare the same operators"
        )
    rows = [f"{name:18s} {left[name]:10.1f} {right[name]:10.1f}" for name in names]
    rank = float(spearmanr([left[n] for n in names], [right[n] for n in names]).statistic)
    head = f"left: {first}, right: {second}, %"
    return "\n".join([head, *rows, f"rank correlation (Spearman) over {len(names)} rows: {rank:.2f}"])


def main(args: Sequence[str] | None = None) -> int:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", nargs=2, type=Path, metavar="REPORT", help="folder of a report")
    folders = parser.parse_args(args).reports
    try:
        one, other = (read_report(folder) for folder in folders)
        print(table(one, other))
    except FusionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def read_report(folder: Path) -> dict[str, Any]:
    """The tree of a folder's report; raises `ResultError` for another file."""
    path = folder / "comparison.json"
    path = path if path.is_file() else folder / "report.json"
    tree = read_json(path)
    if not isinstance(tree, dict) or not isinstance(tree.get("subsets", tree.get("rows")), dict):
        raise ResultError(
            f"{path}: expected a report of mm-fusion evaluate --model or compare-fusion, got something else"
        )
    return tree


if __name__ == "__main__":
    sys.exit(main())
