"""Message classes without ROS: the Jazzy type store with the packages that it lacks."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from mm_fusion.errors import BagError

DEFINITIONS = Path(__file__).resolve().parent.parent / "messages" / "definitions"
IDL_SEPARATOR = "=" * 80 + "\n"


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The type store of Jazzy with vision_msgs, radar_msgs and autoware_perception_msgs registered, made
    once.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    definitions = {}
    for path in sorted(DEFINITIONS.glob("*/msg/*.msg")):
        name = f"{path.parent.parent.name}/msg/{path.stem}"
        if name not in store.fielddefs:
            definitions.update(get_types_from_msg(path.read_text(encoding="utf-8"), name))
    store.register({name: fields for name, fields in definitions.items() if name not in store.fielddefs})
    return store


def message_type(name: str) -> type:
    """The class of a message such as `sensor_msgs/msg/Image`; its constructor takes every field by keyword.

    Raises `BagError` for a type that neither Jazzy nor the package knows.
    """
    try:
        return typestore().types[name]
    except KeyError:
        raise BagError(
            f"{name}: unknown message type; expected one of ROS 2 Jazzy or messages/definitions"
        ) from None


def message_definition(name: str) -> str:
    """The ros2msg text of a type with all types that it contains, as MCAP schemas hold it."""
    message_type(name)
    return typestore().generate_msgdef(name, ros_version=2)[0]


def types_of_definition(name: str, text: str, idl: bool) -> dict:
    """The parsed types of a definition embedded in a recording; raises `TypesysError` where it cannot be
    parsed.
    """
    if not idl:
        return dict(get_types_from_msg(text, name))
    if not text.startswith(IDL_SEPARATOR):
        return dict(get_types_from_idl(text))
    types: dict = {}
    for part in text.split(IDL_SEPARATOR)[1:]:
        header, _, body = part.partition("\n")
        if not header.startswith("IDL: "):
            raise TypesysError(f"{name}: expected a part of an IDL definition, got {header!r}")
        types.update(get_types_from_idl(body))
    return types
