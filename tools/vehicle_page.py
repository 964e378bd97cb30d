"""The page of all keys of a vehicle file, from the configuration tree itself.

    python tools/vehicle_page.py > docs/vehicle.md

Prints Markdown: a table per section with default, range and meaning of each key.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mm_fusion.config import Section, VehicleConfig

HEAD = """# The vehicle file

`mm-fusion info BAG --write-vehicle my_car.yaml` writes one from a recording; `config/vehicles` has examples.
The node declares every key as a ROS parameter (`alignment.budget_ms`, `sensors.lidar.topic`). Units are in
the names; an unknown key is an error. Written by `python tools/vehicle_page.py > docs/vehicle.md`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_section(VehicleConfig, "")])


def _section(kind: type[Section], place: str) -> Iterator[str]:
    title = f"`{place}`" if place else "The file"
    yield f"## {title}\n\n{_first(kind)}\n\n| key | type | default | meaning |\n|---|---|---|---|"
    below = []
    for name, field in kind.model_fields.items():
        inner = _sections_in(field.annotation)
        below += [(each, f"{place}.{name}{_more(field.annotation)}".lstrip(".")) for each in inner]
        meaning = _first(inner[0]) if inner and not field.description else field.description or ""
        yield f"| `{name}` | {_type(field)} | {_default(field)} | {meaning} |"
    yield ""
    for each, where in below:
        yield from _section(each, where)


def _first(kind: type[Section]) -> str:
    """The first paragraph of a section's docstring on one line."""
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _sections_in(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for each in get_args(annotation) for found in _sections_in(each)]


def _more(annotation: Any) -> str:
    """How a list or a table by name is gone into."""
    return {dict: ".NAME", list: "[]"}.get(get_origin(annotation), "")  # type: ignore[arg-type]


def _type(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(each, name):g}"
        for each in field.metadata
        for name, sign in _LIMITS
        if hasattr(each, name)
    ]
    return ", ".join([_words(field.annotation), *limits])


_LIMITS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def _words(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inside)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(each) for each in inside if each is not type(None))
    if origin is dict:
        return f"{_words(inside[1])} by name"
    if origin is list:
        return f"list of {_words(inside[0])}"
    if origin is tuple:
        return f"{len(inside)} numbers" if Ellipsis not in inside else f"list of {_words(inside[0])}"
    if get_origin(annotation) is not None and inside:
        return _words(inside[0])
    names = {float: "number", int: "whole number", str: "text", bool: "true or false"}
    return names.get(annotation, "section" if _sections_in(annotation) else "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None else f"`{list(value) if isinstance(value, tuple) else value}`"


if __name__ == "__main__":
    print(page(), end="")
