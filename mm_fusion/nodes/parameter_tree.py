"""The configuration tree as a flat list of parameters, and back; no ROS in here."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mm_fusion.config import Section
from mm_fusion.errors import ConfigurationError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Leaf:
    """One parameter. path: keys and list indices from the root. value: None where unset.

    kind: bool, int, float or str, `many` for a list of them. minimum, maximum: for display, as if inclusive.
    choices: the allowed words, empty for any.
    """

    path: Path
    value: Any
    kind: type
    many: bool = False
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """The dotted name, such as `sensors.lidar.topic`."""
        return ".".join(str(part) for part in self.path)


def leaves(config: Section) -> list[Leaf]:
    """Every parameter of `config` in its order, those of absent optional sections with value None."""
    return list(_section_leaves(type(config), config, ()))


def tree(values: Iterable[tuple[Path, Any]]) -> dict[str, Any]:
    """Keys and values as `parse_config` takes them, from paths and values; an index makes a list."""
    root: dict[Any, Any] = {}
    for path, value in values:
        node = root
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return _with_lists(root)


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise `ConfigurationError` for the first of `names` that is not known, with the nearest that is."""
    known = list(known)
    for name in sorted(set(names) - set(known)):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`ros2 param list` shows what there is"
        raise ConfigurationError(f"unknown parameter {name}; {hint}")


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(isinstance(key, int) for key in node):
        return [_with_lists(node[key]) for key in sorted(node)]
    return {key: _with_lists(value) for key, value in node.items()}


def _section_leaves(kind: type[Section], config: Section | None, path: Path) -> Iterator[Leaf]:
    for name, field in kind.model_fields.items():
        value = None if config is None else getattr(config, name)
        yield from _field_leaves(field, value, (*path, name))


def _field_leaves(field: FieldInfo, value: Any, path: Path) -> Iterator[Leaf]:
    annotation = _without_none(field.annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if _is_section(annotation):
        yield from _section_leaves(annotation, value, path)
    elif origin is dict and _is_section(arguments[1]):
        for key, item in (value or {}).items():
            yield from _section_leaves(arguments[1], item, (*path, key))
    elif origin is list and _is_section(arguments[0]):
        for index, item in enumerate(value or ()):
            yield from _section_leaves(arguments[0], item, (*path, index))
    elif origin is dict:
        for key, item in (value or {}).items():
            yield Leaf((*path, key), item, arguments[1], description=field.description or "")
    else:
        yield _leaf(field, annotation, value, path)


def _leaf(field: FieldInfo, annotation: Any, value: Any, path: Path) -> Leaf:
    origin, arguments = get_origin(annotation), get_args(annotation)
    many = origin in (list, tuple)
    kind, choices = arguments[0] if many else annotation, ()
    if origin is Literal:
        kind, choices = type(arguments[0]), arguments
    low, high = (None, None) if many else _limits(field.metadata)
    value = list(value) if many and value is not None else value
    return Leaf(path, value, kind, many, field.description or "", low, high, choices)


def _limits(metadata: Iterable[Any]) -> tuple[float | None, float | None]:
    found: dict[str, float] = {}
    for entry in metadata:
        for name in ("ge", "gt", "le", "lt"):
            if getattr(entry, name, None) is not None:
                found[name[0]] = getattr(entry, name)
    return found.get("g"), found.get("l")


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, getattr(types, "UnionType", Union)):
        rest = [a for a in get_args(annotation) if a is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def overridden(leaf_list: Iterable[Leaf], values: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    """Path and value of every leaf that has one, taking `values` (by name) before the leaf's own."""
    pairs = [(leaf, values.get(leaf.name, leaf.value)) for leaf in leaf_list]
    return [(leaf.path, _cast(leaf, value)) for leaf, value in pairs if value is not None]


def _cast(leaf: Leaf, value: Any) -> Any:
    return list(value) if leaf.many else value
