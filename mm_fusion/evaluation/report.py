"""Score trees as text that a person reads; no number is made here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

_DIFFICULTIES = ("easy", "moderate", "hard")
_FEWEST_OBJECTS = 20


def score_report(tree: Mapping[str, Any]) -> str:
    """The tables of one `score.json`: what was scored, KITTI, nuScenes, recall, and differences where there
    are any.
    """
    blocks = [_heading(tree), _kitti(tree), _nuscenes(tree), _recall(tree)]
    if "against" in tree:
        blocks.append(_differences(tree))
    return "\n\n".join(block for block in blocks if block)


def projection_report(tree: Mapping[str, Any]) -> str:
    """The tables of one `projection.json`, over all cameras and by camera."""
    blocks = [
        "median distance from LiDAR edges to image edges that run the same way, and with cameras turned by "
        f"{tree['turn_deg']:g} deg\n(felt: only edges that the turn moves across themselves by half of that)"
    ]
    for name, part in (("all cameras", tree["all"]), *tree["cameras"].items()):
        rows = [
            (
                turn,
                _number(one["median"]),
                _percent(one["smaller_percent"]),
                f"{one['felt_edges']}",
                _number(one["felt_median_given"]),
                _number(one["felt_median"]),
                _percent(one["felt_smaller_percent"]),
            )
            for turn, one in part["turned"].items()
        ]
        title = f"{name}: {part['images']} images, {part['edges']} edges, median {_number(part['median'])} px"
        head = ("turned", "px", "smaller by %", "felt by", "given px", "turned px", "smaller by %")
        blocks.append(f"{title}\n{table_text(head, rows)}")
    return "\n\n".join(blocks)


def _heading(tree: Mapping[str, Any]) -> str:
    frames = tree["frames"]
    counted = ", ".join(
        f"{name} {sides['truth']} ({sides['detections']} detected)" for name, sides in tree["objects"].items()
    )
    return (
        f"{frames['truth']} truth frames in {frames['runs']} runs, {frames['missed']} without output, "
        f"{frames['outputs_without_truth']} outputs without truth\n"
        f"region {tree['region']['name']}: {tree['region']['words']}\n"
        f"objects: {counted or 'none'}"
    )


def _kitti(tree: Mapping[str, Any]) -> str:
    rows = list(_kitti_rows(tree))
    head = (
        "AP, %",
        "",
        "IoU",
        "R40  easy",
        "moderate",
        "hard",
        "95 % of moderate",
        "R11 moderate",
        "occlusion alone",
    )
    return table_text(head, rows) if rows else "no class with truth in the region"


def _kitti_rows(tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, metrics in tree["kitti"].items():
        for metric, overlaps in metrics.items():
            for overlap, by_difficulty in overlaps.items():
                interval = _dig(tree["intervals"], "kitti", name, metric, overlap, "moderate")
                yield (
                    name,
                    metric,
                    overlap,
                    *(_percent(by_difficulty[d]) for d in _DIFFICULTIES),
                    _interval(interval),
                    _percent(tree["kitti_r11"][name][metric][overlap]["moderate"]),
                    " ".join(
                        _percent(tree["kitti_occlusion"][name][metric][overlap][d]) for d in _DIFFICULTIES
                    ),
                )


def _nuscenes(tree: Mapping[str, Any]) -> str:
    scores = tree["nuscenes"]
    classes = {name: part for name, part in scores.items() if isinstance(part, Mapping)}
    if not classes:
        return ""
    rows = [
        (
            name,
            *(_percent(value) for value in part["ap"].values()),
            _percent(part["ap_mean"]),
            *(_number(part.get(error)) for error in ("ate", "ase", "aoe", "ave")),
        )
        for name, part in classes.items()
    ]
    means = (_number(scores.get(error)) for error in ("mate", "mase", "maoe", "mave"))
    rows.append(("mean", "", "", "", "", _percent(scores["map"]), *means))
    head = ("AP, % at", "0.5 m", "1 m", "2 m", "4 m", "mean", "ATE m", "ASE", "AOE rad", "AVE m/s")
    summary = f"sum without attributes (not NDS): {_percent(scores['sum_without_attributes'])}"
    return f"{table_text(head, rows)}\n{summary}"


def _recall(tree: Mapping[str, Any]) -> str:
    rows = [
        (name, _percent(value), _interval(_dig(tree["intervals"], "recall_30m", name)))
        for name, value in tree["recall_30m"].items()
    ]
    return table_text(("recall in 30 m, %", "", "95 %"), rows) if rows else ""


def _differences(tree: Mapping[str, Any]) -> str:
    """What tells two methods apart: moderate AP at 0.3 and 0.5, means, recall, of classes that occur often
    enough.
    """
    frequent = {name for name, sides in tree["objects"].items() if sides["truth"] >= _FEWEST_OBJECTS}
    rows = [
        (
            " ".join(key),
            _signed(entry["difference"]),
            _interval(entry["interval"]),
            _share(entry["share_above_zero"]),
        )
        for key, entry in _leaves(tree["against"])
        if _tells_apart(key, frequent)
    ]
    return table_text(("difference to the other file, points", "", "95 %", "share of draws above 0"), rows)


def _tells_apart(key: tuple[str, ...], frequent: set[str]) -> bool:
    if key[0] == "kitti":
        return key[1] in frequent and key[3] in ("0.3", "0.5") and key[4] == "moderate"
    return key[1] in frequent or key == ("nuscenes", "map")


def _leaves(
    tree: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for key, value in tree.items():
        if "difference" in value:
            yield (*path, key), value
        else:
            yield from _leaves(value, (*path, key))


def table_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the first to the left, the others to the right."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    lines = [
        "  ".join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths)))
        for row in (head, *rows)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _percent(value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value:+.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None or not isfinite(value) else f"{value:.2f}"


def _interval(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.1f} to {interval[1]:.1f}"


def _dig(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree
