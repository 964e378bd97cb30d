"""What the model is meant to reach, beside what a report measured: absolute values next to each ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mm_fusion.evaluation.conditions import KINDS

KEPT_AIMS = {"lidar_lost": 75.0, "cameras_lost": 92.0, "radars_lost": 95.0}
"""Least share in percent of the full score that is kept."""
WRONG_AIM = 2.0
"""Largest loss in mAP of a sensor that lies against the same sensor absent."""
DECALIBRATION_AIM = 3.0
VELOCITY_AIM = 0.5
"""Largest ratio of velocity errors, C+R against C."""
ABOVE_GEOMETRIC = 10.0
"""How far in mAP the full model must be above the geometric detector for what it keeps to be judged."""
FEWEST_OBJECTS = 20
"""Moving objects that both subsets must have found for a ratio of velocity errors to be judged."""
FEWEST_STRUCK = 90.0
"""Share in percent of measurements that a condition must have struck to be judged."""
_LOST = {"lidar": "lidar_lost", "camera": "cameras_lost", "radar": "radars_lost"}


def aims_of(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows {what, aim, value, measured, reached} of what the report holds; reached None: reported only."""
    return [*_best_single(tree), *_kept(tree), *_wrong(tree), *_decalibrated(tree), *_velocity(tree)]


def _row(what: str, aim: str, value: float | None, measured: str, reached: bool | None) -> dict[str, Any]:
    return {"what": what, "aim": aim, "value": value, "measured": measured, "reached": reached}


def _kept(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    full = tree["subsets"][tree["full"]]["nuscenes"].get("map")
    judged = _worth_keeping(tree)
    for name, aim in KEPT_AIMS.items():
        entry = tree["conditions"].get(name)
        if entry is not None and entry["kept"] is not None and full is not None:
            measured = f"mAP {entry['map']:.1f} of {full:.1f}"
            reached = entry["kept"] >= aim if judged else None
            yield _row(f"{name}: kept", f">= {aim:g} %", entry["kept"], measured, reached)


def _worth_keeping(tree: Mapping[str, Any]) -> bool:
    """Whether the full model is far enough above the geometric detector, where that is the other model."""
    if not tree["against"] or tree["against"]["name"] != "geometric":
        return True
    gap = tree["differences"]["subsets"][tree["full"]]["map"]["difference"]
    return bool(gap >= ABOVE_GEOMETRIC)


def _best_single(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    maps = {name: part["nuscenes"].get("map") for name, part in tree["subsets"].items()}
    single = {name: value for name, value in maps.items() if len(name) == 1 and value is not None}
    full = maps[tree["full"]]
    if single and full is not None and len(tree["full"]) > 1:
        best = max(single, key=lambda name: single[name])
        measured = f"mAP {full:.1f}, {best} alone {single[best]:.1f}"
        yield _row("fused over the best single sensor", "reported", full - single[best], measured, None)


def _wrong(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    conditions = tree["conditions"]
    for kind in KINDS:
        wrong, absent = conditions.get(f"{kind}_wrong"), conditions.get(_LOST[kind])
        if wrong is not None and absent is not None and wrong["struck_percent"] >= FEWEST_STRUCK:
            loss = absent["map"] - wrong["map"]
            measured = f"mAP {wrong['map']:.1f} wrong, {absent['map']:.1f} absent"
            yield _row(
                f"{kind} wrong against absent", f"loses <= {WRONG_AIM:g}", loss, measured, loss <= WRONG_AIM
            )


def _decalibrated(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    names = [f"{what}_{kind}" for what in ("turned", "shifted", "decalibrated") for kind in KINDS]
    for name in (*names, "camera_lag"):
        entry = tree["conditions"].get(name)
        if entry is not None:
            loss = -entry["difference_to_full"]["map"]["difference"]
            # turning the LiDAR turns what it says: its own yaw is reported
            judged = not name.endswith("_lidar") or name.startswith("shifted")
            judged &= entry["struck_percent"] >= FEWEST_STRUCK
            aim = f"loses <= {DECALIBRATION_AIM:g}" if judged else "reported"
            measured = f"mAP {entry['map']:.1f}, {entry['struck_percent']:.0f} % of measurements struck"
            reached = loss <= DECALIBRATION_AIM if judged else None
            yield _row(name, aim, loss, measured, reached)


def _velocity(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, entry in tree["radar_and_velocity"].items():
        for part in ("radial", "tangential"):
            values = entry[part]
            if values["ratio"] is None:
                continue
            judged = name == "CR against C" and entry["objects"] >= FEWEST_OBJECTS
            measured = f"{values['with']:.2f} of {values['without']:.2f} m/s, {entry['objects']} objects"
            aim = f"<= {VELOCITY_AIM:g}" if name == "CR against C" else "reported"
            reached = values["ratio"] <= VELOCITY_AIM if judged else None
            yield _row(f"{part} velocity error, {name}", aim, values["ratio"], measured, reached)
