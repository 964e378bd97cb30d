"""What is evaluated, by name: subsets of the sensors, faults of the simulator, and the named hard cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mm_fusion.errors import ConfigurationError

SUBSETS = ("CLR", "CL", "CR", "LR", "C", "L", "R")
KINDS = ("camera", "lidar", "radar")
SEVERITIES = (1, 2, 3)
USUAL_SEVERITY = 2

TURN_DEG = 1.0
SHIFT_M = 0.1
LAG_S = 0.1

_PLURAL = {"lidar": "lidar", "camera": "cameras", "radar": "radars"}
NAMED: dict[str, tuple[str, str, str]] = {
    **{f"{_PLURAL[k]}_lost": ("lost", k, f"nothing from any {k}") for k in KINDS},
    **{
        f"{k}_wrong": ("wrong", k, f"every {k} shows another frame's measurement, well stamped")
        for k in KINDS
    },
    **{
        f"turned_{k}": ("turned", k, f"each {k} turned by {TURN_DEG:g} degree against its calibration")
        for k in KINDS
    },
    **{
        f"shifted_{k}": ("shifted", k, f"each {k} moved by {SHIFT_M * 100:g} cm against its calibration")
        for k in KINDS
    },
    **{
        f"decalibrated_{k}": (
            "decalibrated",
            k,
            f"each {k} turned by {TURN_DEG:g} degree and moved by {SHIFT_M * 100:g} cm at once",
        )
        for k in KINDS
    },
    "camera_lag": ("lag", "camera", f"every image {LAG_S * 1e3:g} ms older, rightly stamped"),
}
"""Hard cases without a severity: what happens, to which kind of sensor, in words."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way in which the sensors fail.

    fault: of the simulator, or of `NAMED`. kind: of the sensors it strikes; `` for one kind in each drive, in
    turn; `all`. severity: 1 to 3, 0 for a named one.
    """

    name: str
    fault: str
    kind: str
    severity: int = 0

    @property
    def label(self) -> str:
        """The name as the command takes it."""
        return f"{self.name}:{self.severity}" if self.severity else self.name


def fault_names() -> tuple[str, ...]:
    """The simulator's faults."""
    from mm_fusion.simulation.faults import FAULT_NAMES

    return FAULT_NAMES


def words_of(condition: Condition) -> str:
    """What a condition does, in words."""
    from mm_fusion.simulation.faults import DESCRIPTIONS

    if condition.name in NAMED:
        return NAMED[condition.name][2]
    struck = {"": "one kind of sensor in each drive, in turn", "all": "every sensor"}
    return f"{DESCRIPTIONS[condition.fault]}; {struck.get(condition.kind, f'every {condition.kind}')}"


def named_condition(name: str) -> Condition:
    """A hard case of `NAMED`."""
    fault, kind, _ = NAMED[name]
    return Condition(name, fault, kind)


def parse_subsets(text: str) -> list[str]:
    """Subsets of a list with commas; `all` is all seven. Raises `ConfigurationError` with the choices."""
    words = _words(text)
    if words == ["all"]:
        return list(SUBSETS)
    found = []
    for word in words:
        same = [subset for subset in SUBSETS if sorted(subset) == sorted(word.upper())]
        if not same:
            raise ConfigurationError(
                f"--subsets: unknown subset {word!r}; choices are all, {', '.join(SUBSETS)}"
            )
        found += same
    return list(dict.fromkeys(found))


def parse_conditions(text: str) -> list[Condition]:
    """Conditions of a list with commas: `name[@kind][:severity]`, or a set of them.

    `table`: every named one; `faults`: each of the simulator's at three severities; `all`: both; `none`. A
    fault strikes one kind of sensor in each drive, in turn, unless @camera, @lidar, @radar or @all says so;
    fog strikes all. Raises `ConfigurationError` with the choices.
    """
    sets: dict[str, Callable[[], list[Condition]]] = {
        "none": list,
        "table": lambda: [named_condition(name) for name in NAMED],
        "faults": lambda: [fault_condition(name, severity=s) for name in fault_names() for s in SEVERITIES],
    }
    sets["all"] = lambda: sets["table"]() + sets["faults"]()
    found: list[Condition] = []
    for word in _words(text):
        found += sets[word]() if word in sets else [_condition(word)]
    return list(dict.fromkeys(found))


def fault_condition(name: str, kind: str = "", severity: int = USUAL_SEVERITY) -> Condition:
    """A fault of the simulator, on one kind of sensor in turn, on `kind`, or on `all`."""
    struck = kind or ("all" if name == "fog" else "")
    return Condition(f"{name}@{kind}" if kind else name, name, struck, severity)


def _condition(word: str) -> Condition:
    rest, _, severity = word.partition(":")
    name, _, kind = rest.partition("@")
    if name in NAMED:
        if kind or severity:
            raise ConfigurationError(f"--conditions: {name} has neither a kind nor a severity, got {word!r}")
        return named_condition(name)
    if name not in fault_names():
        raise ConfigurationError(
            f"--conditions: unknown condition {name!r}; choices are all, table, faults, none, "
            f"{', '.join(NAMED)}, {', '.join(fault_names())}"
        )
    if kind and kind not in (*KINDS, "all"):
        raise ConfigurationError(
            f"--conditions: {word}: unknown kind {kind!r}; choices are {', '.join(KINDS)}, all"
        )
    if severity and severity not in {str(s) for s in SEVERITIES}:
        raise ConfigurationError(f"--conditions: {word}: unknown severity {severity!r}; choices are 1, 2, 3")
    return fault_condition(name, kind, int(severity or USUAL_SEVERITY))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def possible_subsets(wanted: Sequence[str], kinds: set[str]) -> list[str]:
    """Those of `wanted` whose every group of sensors the vehicle carries."""
    letters = {kind[0].upper() for kind in KINDS if kind in kinds}
    return [subset for subset in wanted if set(subset) <= letters]


def full_subset(kinds: set[str]) -> str:
    """The mode with everything that the vehicle carries."""
    return "".join(kind[0].upper() for kind in KINDS if kind in kinds)
