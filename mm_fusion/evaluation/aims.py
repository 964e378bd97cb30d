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
FEWEST_STRUCK = 90.0
"""Share in percent of measurements that a condition must have struck to be judged."""
_LOST = {"lidar": "lidar_lost", "camera": "cameras_lost", "radar": "radars_lost"}


def aims_of(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows {what, aim, value, measured, reached} of what the report holds; reached None: reported only."""
    return [*_kept(tree), *_wrong(tree), *_decalibrated(tree), *_velocity(tree)]


def _row(what: str, aim: str, value: float | None, measured: str, reached: bool | None) -> dict[str, Any]:
    return {"what": what, "aim": aim, "value": value, "measured": measured, "reached": reached}


def _kept(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    full = tree["subsets"][tree["full"]]["nuscenes"].get("map")
    for name, aim in KEPT_AIMS.items():
        entry = tree["conditions"].get(name)
        if entry is not None and entry["kept"] is not None and full is not None:
            measured = f"mAP {entry['map']:.1f} of {full:.1f}"
            yield _row(f"{name}: kept", f">= {aim:g} %", entry["kept"], measured, entry["kept"] >= aim)


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
            judged = name == "CR against C"
            measured = f"{values['with']:.2f} of {values['without']:.2f} m/s, {entry['objects']} objects"
            aim = f"<= {VELOCITY_AIM:g}" if judged else "reported"
            reached = values["ratio"] <= VELOCITY_AIM if judged else None
            yield _row(f"{part} velocity error, {name}", aim, values["ratio"], measured, reached)
