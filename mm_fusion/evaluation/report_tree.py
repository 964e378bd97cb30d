"""`report.json` of a model: the numbers of all jobs brought together, with intervals and differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mm_fusion.evaluation.aims import aims_of
from mm_fusion.evaluation.bootstrap import drawn_weights
from mm_fusion.evaluation.conditions import NAMED, Condition, words_of
from mm_fusion.evaluation.job_scores import CONDITION_DRAWS, RANGES_M, map_draws
from mm_fusion.evaluation.labelled_data import LabelledData
from mm_fusion.evaluation.model_report import Plan, Request
from mm_fusion.evaluation.reliability import (
    BINS,
    Scored,
    expected_calibration_error,
    fit_mode,
    joined,
    reliability_bins,
)
from mm_fusion.evaluation.robustness import Scores, robustness_tree

VERSION = 1
METRICS = ("map", "sum_without_attributes")
VELOCITY_PAIRS = (("CR", "C"), ("CLR", "CL"), ("LR", "L"))
"""What the radar adds to the velocity of moving objects."""

SETTINGS = {
    "unit": "percent; nuscenes errors in m, 1 - IoU, rad and m/s; nll in nats; velocity in m/s",
    "map": "nuScenes: mean over classes with truth and over matches within 0.5, 1, 2, 4 m",
    "sum_without_attributes": "(5 mAP + terms of the errors) / (5 + terms), without attributes: not NDS",
    "by_range": "map of centres " + ", ".join(f"{a:g}-{b:g}" for a, b in RANGES_M) + " m from the car",
    "subsets": "the same truth for all; absent sensors as if they had sent nothing",
    "conditions": "on all sensors of the vehicle; percent of measurements struck is stated",
    "intervals": f"95 %, bootstrap over drives (recordings: gaps above 15 s part them); conditions with "
    f"{CONDITION_DRAWS} draws",
    "ra": "RA_c = mean over severities of MET_cs / MET_clean; MultiCorrupt",
    "ce": "CE_c = sum (100 - MET_cs) / sum (100 - MET_cs of the baseline); RoboBEV, there with NDS",
    "ece": f"{BINS} bins of equal mass; right: matched to truth of the class within 2 m",
    "variance": "matches within 2 m; nll under the stated normal distribution; coverage of its 68 and 95 %",
    "velocity": "matches within 2 m of truth above 0.5 m/s; an unknown velocity counts as standing",
}

Results = Mapping[str, Mapping[str, Any]]


def report_tree(
    request: Request, plan: Plan, results: Results, data: Sequence[LabelledData]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The tree of report.json, and that of calibration.json where curves were fitted."""
    full = results[plan.subsets["ours", plan.full].file]
    curves, table = _curves(request, plan, results)
    tree: dict[str, Any] = {
        "version": VERSION,
        "model": {"name": request.model.name, "digest": request.model.digest},
        "against": None if request.against is None else {"name": request.against.name},
        "baseline_only": request.baseline_only,
        "data": [_data_tree(one) for one in data],
        "full": plan.full,
        "settings": SETTINGS,
        "subsets": {
            subset: _subset_tree(results[job.file], full, curves.get(subset, {}))
            for (side, subset), job in plan.subsets.items()
            if side == "ours"
        },
        "conditions": _conditions(request, plan, results, full),
        "left_out": plan.left_out,
        "robustness": _robustness(request, plan, results),
        "radar_and_velocity": _velocity_pairs(plan, results),
        "calibration": _calibration(plan, results, curves),
    }
    if request.against is not None:
        tree["differences"] = _differences(plan, results)
    tree["aims"] = aims_of(tree)
    return tree, table


def _data_tree(data: LabelledData) -> dict[str, Any]:
    return {
        "name": data.folder.name,
        "split": data.split,
        "fold": data.fold,
        "frames": len(data),
        "runs": int(data.run.max()) + 1,
        "truth_without_frame": data.unmatched,
        "region": f"{data.region.name}: {data.region.words()}",
        "digest": data.digest,
    }


def _subset_tree(
    result: Mapping[str, Any], full: Mapping[str, Any], curves: Mapping[str, Any]
) -> dict[str, Any]:
    kept = ("truths", "nuscenes", "kitti", "kitti_r11", "kitti_occlusion", "by_range", "variance")
    tree = {name: result[name] for name in kept if name in result}
    velocity = result["velocity"]
    tree["velocity"] = {name: value for name, value in velocity.items() if name != "each"}
    tree["interval"] = _intervals(result)
    tree["difference_to_full"] = _difference(result, full)
    return tree


def _intervals(result: Mapping[str, Any]) -> dict[str, list[float] | None]:
    table = {"map": _middle(map_draws(result["draws"]))}
    return table | {name: _middle(np.array(values, float)) for name, values in result["draws"].items()}


def _middle(values: np.ndarray) -> list[float] | None:
    finite = values[np.isfinite(values)]
    return [float(q) for q in np.percentile(finite, (2.5, 97.5))] if len(finite) else None


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """{map, and KITTI's of cars: {difference, interval, share_above_zero}} on the same draws."""
    table = {"map": _paired(_map(ours), _map(theirs), map_draws(ours["draws"]), map_draws(theirs["draws"]))}
    for name in ours["draws"]:
        if name.startswith("kitti") and name in theirs["draws"]:
            mine, other = (np.array(side["draws"][name], float) for side in (ours, theirs))
            table[name] = _paired(_dug(ours, name), _dug(theirs, name), mine, other)
    return table


def _paired(ours: float, theirs: float, our_draws: np.ndarray, their_draws: np.ndarray) -> dict[str, Any]:
    count = min(len(our_draws), len(their_draws))
    gaps = our_draws[:count] - their_draws[:count]
    gaps = gaps[np.isfinite(gaps)]
    above = float(np.mean(gaps > 0)) if len(gaps) else None
    return {"difference": ours - theirs, "interval": _middle(gaps), "share_above_zero": above}


def _dug(result: Mapping[str, Any], name: str) -> float:
    tree: Any = result
    for part in name.split():
        tree = tree[part]
    return _number(tree)


def _map(result: Mapping[str, Any]) -> float:
    return _metric(result, "map")


def _metric(result: Mapping[str, Any], metric: str) -> float:
    return _number(result["nuscenes"].get(metric))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _conditions(
    request: Request, plan: Plan, results: Results, full: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    table = {}
    for condition in request.conditions:
        job = plan.conditions.get(("ours", condition.label))
        if job is None:
            continue
        result = results[job.file]
        entry: dict[str, Any] = {metric: _metric(result, metric) for metric in METRICS}
        entry |= {"kept": 100 * entry["map"] / _map(full) if _map(full) else None}
        entry |= {"difference_to_full": _difference(result, full)}
        entry |= {"struck_percent": result["struck"]["percent"], "words": words_of(condition)}
        entry["severity"] = condition.severity or None
        table[condition.label] = entry
    return table


def _robustness(request: Request, plan: Plan, results: Results) -> dict[str, Any]:
    """RA and mRA, and against a baseline CE and mCE, of the simulator's faults by both metrics."""
    faults = [c for c in request.conditions if c.name not in NAMED and ("ours", c.label) in plan.conditions]
    tree: dict[str, Any] = {"severities": sorted({c.severity for c in faults})}
    for metric in METRICS if faults else ():
        clean = _metric(results[plan.subsets["ours", plan.full].file], metric)
        baseline = None
        if request.against is not None:
            baseline = _by_severity("against", metric, faults, plan, results)
        ours = _by_severity("ours", metric, faults, plan, results)
        tree[metric] = robustness_tree(ours, clean, baseline)
    return tree


def _by_severity(side: str, metric: str, faults: Sequence[Condition], plan: Plan, results: Results) -> Scores:
    table: dict[str, dict[int, float]] = {}
    for condition in faults:
        result = results[plan.conditions[side, condition.label].file]
        table.setdefault(condition.name, {})[condition.severity] = _metric(result, metric)
    return table


def _velocity_pairs(plan: Plan, results: Results) -> dict[str, dict[str, Any]]:
    """Velocity errors with the radar over those without, on the moving objects that both found."""
    table = {}
    for more, less in VELOCITY_PAIRS:
        if ("ours", more) in plan.subsets and ("ours", less) in plan.subsets:
            sides = [results[plan.subsets["ours", subset].file] for subset in (more, less)]
            table[f"{more} against {less}"] = _velocity_pair(*sides)
    return table


def _velocity_pair(more: Mapping[str, Any], less: Mapping[str, Any]) -> dict[str, Any]:
    one, other = (side["velocity"]["each"] for side in (more, less))
    _, i, j = np.intersect1d(np.array(one["key"], int), np.array(other["key"], int), return_indices=True)
    tree: dict[str, Any] = {"objects": len(i)}
    run = np.array(one["run"], int)[i]
    for name in ("radial", "tangential"):
        ours, theirs = np.array(one[name], float)[i], np.array(other[name], float)[j]
        ratios = np.empty(0)
        if len(i) and more["runs"] > 2:
            weights = drawn_weights(more["runs"], 1000)[:, run]
            below = weights @ theirs
            ratios = (weights @ ours)[below > 0] / below[below > 0]
        tree[name] = {
            "with": float(ours.mean()) if len(i) else None,
            "without": float(theirs.mean()) if len(i) else None,
            "ratio": float(ours.sum() / theirs.sum()) if len(i) and theirs.sum() else None,
            "interval": _middle(ratios),
        }
    return tree


def _scored(result: Mapping[str, Any]) -> Scored:
    return {
        name: (np.array(entry["score"], float), np.array(entry["hit"], bool))
        for name, entry in result["scored"].items()
    }


def _curves(
    request: Request, plan: Plan, results: Results
) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """Curves by mode and class, and the tree of calibration.json; nothing where there is none to fit on."""
    if not plan.calibrate or request.calibrate is None:
        return {}, None
    fits = {mode: fit_mode(_scored(results[job.file])) for mode, job in plan.calibrate.items()}
    curves = {mode: {name: curve for name, (_, curve) in of.items()} for mode, of in fits.items()}
    entries = {mode: {name: entry for name, (entry, _) in of.items()} for mode, of in fits.items()}
    table = {"version": 1, "match_m": 2.0, "model": request.model.digest}
    table |= {"fitted_on": f"split {request.calibrate.split}", "curves": entries}
    return curves, table


def _calibration(plan: Plan, results: Results, curves: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By subset: ECE before and after over all classes and by class, and the bins of all classes."""
    tree = {}
    for (side, subset), job in plan.subsets.items():
        if side == "ours":
            scored = _scored(results[job.file])
            after = _after(scored, curves[subset]) if subset in curves else None
            tree[subset] = _calibration_of(scored, after)
    return tree


def _after(scored: Scored, curves: Mapping[str, Any]) -> Scored:
    table = {}
    for name, (score, hit) in scored.items():
        curve = curves.get(name, curves.get("all"))
        table[name] = (score if curve is None else curve(score), hit)
    return table


def _calibration_of(scored: Scored, after: Scored | None) -> dict[str, Any]:
    score, hit = joined(scored)
    tree: dict[str, Any] = {"detections": len(score), "ece": 100 * expected_calibration_error(score, hit)}
    tree |= {"bins": reliability_bins(score, hit), "ece_after": None, "bins_after": None}
    if after is not None:
        better, hit = joined(after)
        tree |= {"ece_after": 100 * expected_calibration_error(better, hit)}
        tree |= {"bins_after": reliability_bins(better, hit)}
    tree["classes"] = {
        name: {
            "detections": len(values),
            "ece": 100 * expected_calibration_error(values, right),
            "ece_after": None if after is None else 100 * expected_calibration_error(*after[name]),
        }
        for name, (values, right) in scored.items()
    }
    return tree


def _differences(plan: Plan, results: Results) -> dict[str, Any]:
    """Ours minus the other model, on the same frames and draws."""
    table: dict[str, dict[str, Any]] = {"subsets": {}, "conditions": {}}
    for part, jobs in (("subsets", plan.subsets), ("conditions", plan.conditions)):
        for (side, name), job in jobs.items():
            if side == "ours" and ("against", name) in jobs:
                table[part][name] = _difference(results[job.file], results[jobs["against", name].file])
    return table
