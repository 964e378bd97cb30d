"""The table of fusion operators: numbers, then text, then pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mm_fusion.evaluation.job_scores import map_draws
from mm_fusion.evaluation.json_file import write_json, write_whole
from mm_fusion.training.compare_jobs import SOURCES
from mm_fusion.training.compare_score import CONDITIONS, ERRORS

VERSION = 1


def report_tree(results: Sequence[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """Numbers by row: means over seeds, spread, and paired differences to the default of the same seed.

    Intervals are the middle 95 % over draws of runs; None with fewer than three runs.
    """
    rows: dict[str, Any] = {}
    for name in dict.fromkeys(result["row"] for result in results):
        mine = sorted((r for r in results if r["row"] == name), key=lambda r: int(r["seed"]))
        rows[name] = _row(name, mine, results, about["default"])
    order = sorted(rows, key=lambda name: -rows[name]["overall"])
    return {"version": VERSION, "about": about, "notes": NOTES, "rows": {name: rows[name] for name in order}}


NOTES = {
    "overall": "mean of mAP over the six conditions; leader and runner-up are taken by it",
    "budget": "encoders frozen, features cached: what operators do to the training of encoders is not seen",
    "left_out": "second stage, contribution loss, dropout of single cameras",
    "costs": "of the operator alone on the model's grid: GFLOP count convolutions and matrix products alone",
    "seeds": "one seed but for leader, runner-up and default: differences below their spread say nothing",
}


def _row(
    name: str, mine: list[dict[str, Any]], results: Sequence[dict[str, Any]], default: str
) -> dict[str, Any]:
    first = mine[0]
    keys = ("parameters", "gflop", "onnxruntime_ms", "steps", "seconds", "loss")
    values = [overall(each) for each in mine]
    other = [r for r in results if r["row"] == default and r["seed"] == first["seed"]]
    return {
        "source": SOURCES[name],
        "seeds": [each["seed"] for each in mine],
        **{key: first.get(key) for key in keys},
        "overall": float(np.mean(values)),
        "overall_spread": [min(values), max(values)],
        "conditions": {c: {e: _mean(mine, c, e) for e in ERRORS} for c in CONDITIONS},
        "against_default": {c: _paired(first, other[0], c) for c in CONDITIONS} if other else None,
    }


def overall(result: dict[str, Any]) -> float:
    """Mean mAP of a result over all conditions, those that say nothing left out."""
    values = [_number(result["conditions"][c]["map"]) for c in CONDITIONS]
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else float("-inf")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _mean(results: Sequence[dict[str, Any]], condition: str, error: str) -> float:
    return float(np.mean([_number(each["conditions"][condition][error]) for each in results]))


def _paired(mine: dict[str, Any], other: dict[str, Any], condition: str) -> dict[str, Any]:
    """mAP difference and its interval on the same draws of runs."""
    a, b = mine["conditions"][condition], other["conditions"][condition]
    gaps = map_draws(a["draws"]) - map_draws(b["draws"]) if a["draws"] and b["draws"] else np.empty(0)
    gaps = gaps[np.isfinite(gaps)]
    interval = np.percentile(gaps, (2.5, 97.5)).tolist() if len(gaps) else None
    return {"difference": _number(a["map"]) - _number(b["map"]), "interval": interval}


def write_report(out: Path, tree: dict[str, Any]) -> None:
    """`comparison.json`, `comparison.md` and two plots in `out`."""
    write_json(out / "comparison.json", tree)
    write_whole(out / "comparison.md", report_text(tree))
    if tree["rows"]:
        write_plots(out, tree)


def report_text(tree: dict[str, Any]) -> str:
    """The table as Markdown."""
    about = tree["about"]
    lines = [
        f"# Fusion operators of {about['config']}",
        "",
        f"Default: `{about['default']}`. mAP in percent.",
        "",
    ]
    heads = ["row", "source", "parameters", "GFLOP", "ORT ms", "steps", "minutes", "overall", *CONDITIONS]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, row in tree["rows"].items():
        spread = row["overall_spread"]
        seeds = f" ({spread[0]:.1f}-{spread[1]:.1f})" if len(row["seeds"]) > 1 else ""
        cells = [
            f"`{name}`",
            row["source"],
            _cell(row["parameters"], "{:.0f}"),
            _cell(row["gflop"], "{:.2f}"),
        ]
        cells += [_cell(row["onnxruntime_ms"], "{:.1f}"), str(row["steps"]), f"{row['seconds'] / 60:.1f}"]
        cells += [f"{row['overall']:.1f}{seeds}"]
        cells += [f"{row['conditions'][c]['map']:.1f}{_gap(row, c)}" for c in CONDITIONS]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Errors with all sensors: translation m, scale, orientation rad, velocity m/s.", ""]
    lines += ["| row | mATE | mASE | mAOE | mAVE |", "|---|---|---|---|---|"]
    for name, row in tree["rows"].items():
        errors = [f"{row['conditions']['all'][error]:.2f}" for error in ERRORS[1:]]
        lines.append(f"| `{name}` | " + " | ".join(errors) + " |")
    lines += [
        "",
        "In brackets: 95 % interval of the paired difference to the default, over draws of runs.",
        "",
    ]
    lines += [f"- {name}: {text}" for name, text in tree["notes"].items()]
    return "\n".join(lines) + "\n"


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _gap(row: dict[str, Any], condition: str) -> str:
    paired = row["against_default"]
    if not paired or paired[condition]["interval"] is None:
        return ""
    low, high = paired[condition]["interval"]
    return f" [{low:+.1f} {high:+.1f}]"


def write_plots(out: Path, tree: dict[str, Any]) -> None:
    """`conditions.png`: mAP of every row under every condition; `cost.png`: overall mAP over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = tree["rows"]
    table = np.array([[rows[name]["conditions"][c]["map"] for c in CONDITIONS] for name in rows], np.float64)
    figure, axis = pyplot.subplots(figsize=(8, 1.5 + 0.35 * len(rows)), layout="constrained")
    axis.imshow(table, aspect="auto", cmap="Blues")
    middle = (np.nanmin(table) + np.nanmax(table)) / 2 if np.isfinite(table).any() else 0.0
    axis.set(xticks=range(len(CONDITIONS)), xticklabels=CONDITIONS, yticks=range(len(rows)), yticklabels=rows)
    for (y, x), value in np.ndenumerate(table):
        axis.text(
            x,
            y,
            f"{value:.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value > middle else "black",
        )
    axis.set_title("mAP, percent")
    figure.savefig(out / "conditions.png", dpi=110)
    pyplot.close(figure)
    timed = {name: row for name, row in rows.items() if row["onnxruntime_ms"] is not None}
    figure, axis = pyplot.subplots(figsize=(7, 5), layout="constrained")
    for name, row in timed.items():
        axis.scatter(row["onnxruntime_ms"], row["overall"])
        axis.annotate(name, (row["onnxruntime_ms"], row["overall"]), fontsize=8)
    axis.set(xlabel="operator, ms by ONNX Runtime, one thread", ylabel="mean mAP over conditions, percent")
    figure.savefig(out / "cost.png", dpi=110)
    pyplot.close(figure)
