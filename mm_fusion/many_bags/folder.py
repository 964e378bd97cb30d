"""The folder of results of many recordings: names, what is there already, and summary.json."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mm_fusion import __version__
from mm_fusion.bags.read import open_bag
from mm_fusion.config import VehicleConfig, dump_config
from mm_fusion.errors import BagError, ConfigurationError, ResultError
from mm_fusion.evaluation.json_file import read_json, write_json, write_whole
from mm_fusion.many_bags.tasks import BagOutcome

SUMMARY = "summary.json"
VERSION = 1


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for the results of each recording: its own, with its folder's where two are called the same.

    Raises `ConfigurationError` where that is not enough.
    """
    # links keep the names that people gave them
    places = [Path(os.path.abspath(path)) for path in paths]
    short = Counter(_own(place) for place in places) | Counter([Path(SUMMARY).stem] * 2)
    names = [
        _own(place) if short[_own(place)] == 1 else f"{place.parent.name}_{_own(place)}" for place in places
    ]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ConfigurationError(
                f"{paths[number]}: its results would be called {name} like those of "
                f"{paths[names.index(name)]}; name each recording once, or run them into different folders"
            )
    return names


def _own(place: Path) -> str:
    return place.stem if place.is_file() else place.name


def recorded_s(path: Path) -> float:
    """Length of a recording in s, 0 for one that cannot be opened."""
    try:
        with open_bag(path) as reader:
            return (reader.end_ns - reader.start_ns) * 1e-9
    except BagError:
        return 0.0


class ResultFolder:
    """Results by the name of their recording, and a summary that is whole at any time.

    settings: what changes results beside their inputs; results of others are not taken for ours. Raises
    `ResultError` where the folder cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = {"package": __version__, **settings}
        self._bags: dict[str, dict[str, Any]] = {}
        former = self._former()
        same = former is None or former.get("settings") == self._settings
        self._former_bags: dict[str, Any] = former.get("bags", {}) if former and same else {}
        self._unknown_past = former is None
        self._write()

    def known(self, name: str) -> dict[str, str]:
        """Input hashes of the results that are there already; empty without any that can be trusted."""
        if not (self._unknown_past or name in self._former_bags) or not self._results(name).is_file():
            return {}
        inputs = self._tree(name).get("inputs")
        return dict(inputs) if isinstance(inputs, dict) else {}

    def keep(self, outcome: BagOutcome, vehicle: VehicleConfig) -> None:
        """Write what a task gave."""
        if outcome.text is not None:
            write_whole(self._results(outcome.name), outcome.text)
            write_whole(self.path / f"{outcome.name}.vehicle.yaml", dump_config(vehicle))
        self._bags[outcome.name] = self._entry(outcome)
        self._write()

    def _results(self, name: str) -> Path:
        return self.path / f"{name}.json"

    def _former(self) -> dict[str, Any] | None:
        return self._tree(Path(SUMMARY).stem) or None

    def _tree(self, name: str) -> dict[str, Any]:
        """What a file of the folder holds, empty where it is not there or broken."""
        try:
            tree = read_json(self._results(name))
        except ResultError:
            return {}
        return tree if isinstance(tree, dict) else {}

    def _entry(self, outcome: BagOutcome) -> dict[str, Any]:
        if outcome.skipped:
            return {**self._former_entry(outcome.name), "skipped": True}
        return {
            "frames": outcome.frames,
            "detections": dict(outcome.detections),
            "drops": {sensor: dict(reasons) for sensor, reasons in outcome.drops.items()},
            "problems": list(outcome.problems),
            "recorded_s": round(outcome.recorded_s, 3),
            "seconds": round(outcome.seconds, 3),
            "attempts": outcome.attempts,
            "skipped": outcome.skipped,
            "error": outcome.error,
        }

    def _former_entry(self, name: str) -> dict[str, Any]:
        """What the summary said of results that stand; counted again where it said nothing."""
        before = self._former_bags.get(name)
        if isinstance(before, dict) and before.get("error") is None:
            return before
        frames = self._tree(name).get("frames", [])
        found = Counter(row["class"] for frame in frames for row in frame["detections"])
        return self._entry(BagOutcome(name, frames=len(frames), detections=found))

    def _write(self) -> None:
        bags = dict(sorted({**self._former_bags, **self._bags}.items()))
        write_json(self.path / SUMMARY, {"version": VERSION, "settings": self._settings, "bags": bags})
