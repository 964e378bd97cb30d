"""The tables of a model's report, as text for a terminal and as a page with its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any

from mm_fusion.evaluation.report import table_text


@dataclass(frozen=True, slots=True)
class Table:
    """A table of words. pictures: files beside the page that belong to it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    pictures: Sequence[str] = ()


def report_text(tree: Mapping[str, Any]) -> str:
    """The report's tables for a terminal."""
    blocks = [_heading(tree)]
    for table in tables_of(tree):
        note = f"\n{table.note}" if table.note else ""
        blocks.append(f"{table.title}\n{table_text(table.head, table.rows)}{note}")
    return "\n\n".join(blocks)


def report_html(tree: Mapping[str, Any]) -> str:
    """The report as one page; its pictures lie beside it."""
    parts = [_HEAD, f"<h1>{escape(tree['model']['name'])}</h1><p>{escape(_heading(tree))}</p>"]
    for table in tables_of(tree):
        parts.append(f"<h2>{escape(table.title)}</h2>")
        parts.append(_html_table(table))
        parts += [f'<p class="note">{escape(table.note)}</p>'] if table.note else []
        parts += [f'<img src="{escape(name)}" alt="{escape(table.title)}">' for name in table.pictures]
    settings = "".join(f"<li><b>{escape(k)}</b>: {escape(v)}</li>" for k, v in tree["settings"].items())
    return "\n".join([*parts, f"<h2>How it was measured</h2><ul>{settings}</ul></body></html>\n"])


_HEAD = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>mm_fusion: a model judged</title>
<style>body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}
th{border-bottom:2px solid #888}img{max-width:100%;margin:1em 0}.note{color:#666}</style></head><body>"""


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _heading(tree: Mapping[str, Any]) -> str:
    parts = []
    for data in tree["data"]:
        part = data["split"] or data["fold"]
        split = f" {part}" if part else ""
        without = data["truth_without_frame"]
        late = f", {without} truth frames without a frame" if without else ""
        where = f"{data['frames']} frames of {data['runs']} drives{late}; {data['region']}"
        parts.append(f"{data['name']}{split}: {where}")
    against = f", against {tree['against']['name']}" if _is_compared(tree) else ""
    return f"model {tree['model']['name']}{against}\n" + "\n".join(parts)


def _is_compared(tree: Mapping[str, Any]) -> bool:
    """Whether another model did everything that this one did."""
    return bool(tree["against"]) and not tree["baseline_only"]


def tables_of(tree: Mapping[str, Any]) -> list[Table]:
    """Every table that the report has numbers for."""
    found = [_subsets(tree), _classes(tree), *_kitti(tree), _conditions(tree), _robustness(tree)]
    found += [_velocity(tree), _calibration(tree), _calibration_by_class(tree), _variance(tree), _aims(tree)]
    return [table for table in found if table.rows]


def _subsets(tree: Mapping[str, Any]) -> Table:
    head = ["subset", "mAP", "95 %", "without attributes", "mATE", "mASE", "mAOE", "mAVE"]
    head += ["0-20 m", "20-35 m", "35-50 m"] + ["minus the other", "95 %"] * _is_compared(tree)
    rows = []
    for name, part in tree["subsets"].items():
        scores = part["nuscenes"]
        row = [name, number(scores.get("map")), interval(part["interval"]["map"])]
        row += [number(scores.get("sum_without_attributes"))]
        row += [number(scores.get(error), 2) for error in ("mate", "mase", "maoe", "mave")]
        row += [number(band["map"]) for band in part["by_range"].values()]
        if _is_compared(tree):
            row += _difference(tree["differences"]["subsets"][name]["map"])
        rows.append(row)
    note = "the sum without attributes is not NDS"
    return Table("Subsets of the sensors, %", head, rows, note, ("subsets.png", "ranges.png"))


def _classes(tree: Mapping[str, Any]) -> Table:
    full = tree["subsets"][tree["full"]]
    head = ["class", "truths", *(f"AP {name}" for name in tree["subsets"])]
    rows = [
        [
            name,
            str(count),
            *(number(_dig(part, "nuscenes", name, "ap_mean")) for part in tree["subsets"].values()),
        ]
        for name, count in full["truths"].items()
    ]
    return Table("AP by class, %", head, rows)


def _kitti(tree: Mapping[str, Any]) -> Iterator[Table]:
    for metric in ("3d", "bev"):
        rows = []
        for name, part in tree["subsets"].items():
            cells = [_dig(part, "kitti", "car", metric, "0.5", level) for level in _LEVELS]
            if all(cell is None for cell in cells):
                continue
            within = part["interval"].get(f"kitti car {metric} 0.5 moderate")
            eleven = _dig(part, "kitti_r11", "car", metric, "0.5", "moderate")
            plain = [_dig(part, "kitti_occlusion", "car", metric, "0.5", level) for level in _LEVELS]
            alone = " ".join(map(number, plain))
            rows.append([name, *map(number, cells), interval(within), number(eleven), alone])
        head = ["subset", *_LEVELS, "95 % of moderate", "R11 moderate", "occlusion alone"]
        yield Table(f"Car, KITTI {metric} AP at IoU 0.5, R40, %", head, rows)


_LEVELS = ("easy", "moderate", "hard")


def _conditions(tree: Mapping[str, Any]) -> Table:
    head = ["condition", "mAP", "minus full", "95 %", "kept %", "struck %"]
    head += ["minus the other", "95 %"] * _is_compared(tree)
    rows = []
    for name, entry in tree["conditions"].items():
        row = [name, number(entry["map"]), *_difference(entry["difference_to_full"]["map"])]
        row += [number(entry["kept"]), number(entry["struck_percent"], 0)]
        if _is_compared(tree):
            row += _difference(tree["differences"]["conditions"][name]["map"])
        rows.append(row)
    left = "; ".join(f"{name} left out: {reason}" for name, reason in tree["left_out"].items())
    return Table("Conditions, on all sensors", head, rows, left, ("conditions.png",))


def _robustness(tree: Mapping[str, Any]) -> Table:
    part = tree["robustness"].get("map")
    if part is None:
        return Table("Robustness", (), ())
    other = tree["robustness"]["sum_without_attributes"]
    head = ["fault", "RA of mAP", "RA of the sum", "CE of mAP", "CE of the sum"]
    rows = [
        [name, number(ra, 3), number(other["ra"][name], 3)]
        + [number(_dig(side, "ce", name), 3) for side in (part, other)]
        for name, ra in part["ra"].items()
    ]
    rows.append(["mean", number(part["mra"], 3), number(other["mra"], 3)])
    rows[-1] += [number(side.get("mce"), 3) for side in (part, other)]
    severities = ", ".join(map(str, tree["robustness"]["severities"]))
    note = f"mRA after MultiCorrupt, mCE after RoboBEV; severities {severities}"
    if tree["against"]:
        note += f"; baseline {tree['against']['name']}"
    return Table("Robustness against the simulator's faults", head, rows, note)


def _velocity(tree: Mapping[str, Any]) -> Table:
    head = ["subset", "objects", "known %", "radial m/s", "median", "tangential m/s", "median"]
    rows = []
    for name, part in tree["subsets"].items():
        if not (v := part["velocity"])["objects"]:
            continue
        row = [name, str(v["objects"]), number(v["known_share"], 0)]
        for side in ("radial", "tangential"):
            row += [number(v[side]["mean"], 2), number(v[side]["median"], 2)]
        rows.append(row)
    pairs = [
        f"{name}, {entry['objects']} objects found by both: radial x {number(entry['radial']['ratio'], 2)}, "
        f"tangential x {number(entry['tangential']['ratio'], 2)}"
        for name, entry in tree["radar_and_velocity"].items()
        if entry["objects"]
    ]
    return Table("Velocity errors of moving objects", head, rows, "; ".join(pairs), ("velocity.png",))


def _calibration(tree: Mapping[str, Any]) -> Table:
    head = ["subset", "detections", "ECE %", "after fitting %"]
    rows = [
        [name, str(part["detections"]), number(part["ece"]), number(part["ece_after"])]
        for name, part in tree["calibration"].items()
    ]
    return Table("Calibration of scores", head, rows, "", ("reliability.png",))


def _calibration_by_class(tree: Mapping[str, Any]) -> Table:
    """ECE as given > after fitting, by class and mode."""
    parts = tree["calibration"]
    names = [name for name in tree["subsets"][tree["full"]]["truths"] if name != "unknown"]
    rows = []
    for name in names:
        cells = [part["classes"].get(name) for part in parts.values()]
        if not any(cell and cell["detections"] for cell in cells):
            continue
        known = [("-", None) if cell is None else (number(cell["ece"]), cell["ece_after"]) for cell in cells]
        rows.append([name, *(one if after is None else f"{one} > {number(after)}" for one, after in known)])
    return Table("ECE by class and mode, % (as given > after fitting)", ["class", *parts], rows)


def _variance(tree: Mapping[str, Any]) -> Table:
    full = tree["subsets"][tree["full"]]
    head = ["quantity", "matches", "stated", "NLL", "inside 68 %", "inside 95 %"]
    rows = [
        [name, str(part["matches"]), str(part["stated"]), number(part["nll"], 2)]
        + [number(part["coverage_68"]), number(part["coverage_95"])]
        for name, part in full["variance"].items()
    ]
    return Table(f"Calibration of variances, {tree['full']}", head, rows, "", ("variances.png",))


def _aims(tree: Mapping[str, Any]) -> Table:
    words = {True: "yes", False: "no", None: "reported"}
    rows = [
        [row["what"], row["aim"], number(row["value"], 2), row["measured"], words[row["reached"]]]
        for row in tree["aims"]
    ]
    return Table("Aims", ["what", "aim", "value", "measured", "reached"], rows)


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table, `-` where there is none."""
    return "-" if value is None or not isfinite(value) else f"{value:.{digits}f}"


def interval(value: Sequence[float] | None) -> str:
    """An interval for a table."""
    return "-" if value is None else f"{value[0]:.1f} to {value[1]:.1f}"


def _difference(entry: Mapping[str, Any]) -> list[str]:
    value = entry["difference"]
    known = value is not None and isfinite(value)
    return [f"{value:+.1f}" if known else "-", interval(entry["interval"])]


def _dig(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree
