"""Pictures of a model's report: subsets, ranges, conditions, reliability, velocity, variances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"main": "#3b6ea5", "after": "#3f9158", "other": "#d1742f", "grid": "#dddddd"}
_KEPT_FLOOR = 0.0


def write_report_plots(folder: Path, tree: Mapping[str, Any]) -> list[Path]:
    """Write the PNGs that the report has numbers for into `folder`; their paths."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    draws: dict[str, Callable[[Any, Mapping[str, Any]], bool]] = {
        "subsets": _subsets,
        "ranges": _ranges,
        "conditions": _conditions,
        "reliability": _reliability,
        "velocity": _velocity,
        "variances": _variances,
    }
    paths = [folder / f"{name}.png" for name in draws]
    return [path for path, draw in zip(paths, draws.values()) if _drawn(path, tree, draw)]


def _drawn(path: Path, tree: Mapping[str, Any], draw: Callable[[Any, Mapping[str, Any]], bool]) -> bool:
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(9, 4.5), layout="constrained")
    try:
        if not draw(figure, tree):
            return False
        beside = path.with_name(f".{path.stem}.part.png")
        figure.savefig(beside, dpi=110)
        beside.replace(path)
        return True
    finally:
        pyplot.close(figure)


def _subsets(figure: Any, tree: Mapping[str, Any]) -> bool:
    axis = figure.subplots()
    names = list(tree["subsets"])
    values = np.array([_known(part["nuscenes"].get("map")) for part in tree["subsets"].values()])
    ends = [part["interval"]["map"] or (v, v) for part, v in zip(tree["subsets"].values(), values)]
    spread = np.abs(np.array(ends, float).T - values)
    axis.bar(names, values, yerr=spread, color=COLOURS["main"], capsize=4)
    axis.set(ylabel="mAP, %", title="subsets of the sensors, 95 % over drives")
    axis.grid(axis="y", color=COLOURS["grid"])
    axis.set_axisbelow(True)
    return True


def _ranges(figure: Any, tree: Mapping[str, Any]) -> bool:
    axis = figure.subplots()
    for name, part in tree["subsets"].items():
        bands = part["by_range"]
        axis.plot(list(bands), [_known(band["map"]) for band in bands.values()], marker="o", label=name)
    axis.set(ylabel="mAP, %", xlabel="distance from the car, m", title="by range")
    axis.set_ylim(bottom=0)
    axis.grid(color=COLOURS["grid"])
    axis.legend(ncols=2)
    return True


def _conditions(figure: Any, tree: Mapping[str, Any]) -> bool:
    """Share of the full score that is kept, one bar for each condition."""
    entries = tree["conditions"]
    if not entries:
        return False
    figure.set_size_inches(9, 1.5 + 0.24 * len(entries))
    axis = figure.subplots()
    kept = [_known(entry["kept"]) for entry in entries.values()]
    axis.barh(list(entries), kept, color=COLOURS["main"])
    axis.axvline(100, color="#888888", linewidth=1)
    axis.invert_yaxis()
    axis.margins(y=0.01)
    axis.set(xlabel="mAP kept, %", title="conditions, on all sensors")
    axis.set_xlim(left=_KEPT_FLOOR)
    axis.grid(axis="x", color=COLOURS["grid"])
    axis.set_axisbelow(True)
    return True


def _reliability(figure: Any, tree: Mapping[str, Any]) -> bool:
    """Share of hits over score, by bins of equal mass, before and after fitting."""
    parts = {name: part for name, part in tree["calibration"].items() if part["detections"]}
    if not parts:
        return False
    columns = min(4, len(parts))
    rows = -(-len(parts) // columns)
    figure.set_size_inches(2.6 * columns + 1, 2.7 * rows + 0.4)
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    for axis, (name, part) in zip(axes, parts.items()):
        axis.plot((0, 1), (0, 1), color="#888888", linewidth=1)
        for bins, colour, label in (("bins", "other", "as given"), ("bins_after", "after", "fitted")):
            if part[bins]:
                x, y = ([row[key] for row in part[bins]] for key in ("score", "hit_share"))
                ece = part["ece" if bins == "bins" else "ece_after"]
                axis.plot(x, y, marker=".", color=COLOURS[colour], label=f"{label}, ECE {_known(ece):.1f} %")
        axis.set(title=name, xlabel="score", ylabel="share that is right")
        axis.legend(fontsize=7)
    for axis in axes[len(parts) :]:
        axis.axis("off")
    return True


def _velocity(figure: Any, tree: Mapping[str, Any]) -> bool:
    parts = {name: part["velocity"] for name, part in tree["subsets"].items() if part["velocity"]["objects"]}
    if not parts:
        return False
    axis = figure.subplots()
    place = np.arange(len(parts))
    for shift, side, colour in ((-0.2, "radial", "main"), (0.2, "tangential", "other")):
        means = [_known(part[side]["mean"]) for part in parts.values()]
        axis.bar(place + shift, means, 0.38, color=COLOURS[colour], label=side)
    axis.set_xticks(place, list(parts))
    axis.set(ylabel="mean error, m/s", title="velocity of moving objects")
    axis.legend()
    return True


def _variances(figure: Any, tree: Mapping[str, Any]) -> bool:
    parts = {n: p for n, p in tree["subsets"][tree["full"]]["variance"].items() if p["stated"]}
    if not parts:
        return False
    axis = figure.subplots()
    place = np.arange(len(parts))
    for shift, share, colour in ((-0.2, 68, "main"), (0.2, 95, "other")):
        inside = [_known(part[f"coverage_{share}"]) for part in parts.values()]
        axis.bar(place + shift, inside, 0.38, color=COLOURS[colour], label=f"inside the stated {share} %")
        axis.axhline(share, color=COLOURS[colour], linewidth=1, linestyle="--")
    axis.set_xticks(place, list(parts))
    axis.set(ylabel="share of residuals, %", ylim=(0, 100), title=f"stated variances, {tree['full']}")
    axis.legend(loc="lower right")
    return True


def _known(value: float | None) -> float:
    return float("nan") if value is None else float(value)
