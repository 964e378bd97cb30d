"""What a graph's file says about itself, read without any ONNX library and without its weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from mm_fusion.errors import ConfigurationError

HASH_KEY = "mm_fusion_hash"
"""Metadata that `export` writes: config and weights that the graph belongs to."""
_METADATA_FIELD = 14
"""`metadata_props` of ModelProto, each a message of key (1) and value (2). Source: onnx.proto."""


def model_hash(path: Path) -> str:
    """Config and weights that a graph belongs to, '' where it says nothing.

    Raises `ConfigurationError` where the file cannot be read or ends too early.
    """
    return _metadata(path).get(HASH_KEY, "")


def _metadata(path: Path) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            return dict(_pairs(file, os.fstat(file.fileno()).st_size))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: expected a graph of mm-fusion export, got {error}") from error


def _pairs(file: BinaryIO, size: int) -> list[tuple[str, str]]:
    """Metadata of a ModelProto: its fields one after the other, each tag saying how long it is."""
    found = []
    if not size:
        raise ValueError("an empty file")
    while file.tell() < size:
        field, content = _field(file, size, _METADATA_FIELD)
        if field == _METADATA_FIELD:
            found.append(_entry(content))
    return found


def _entry(content: bytes) -> tuple[str, str]:
    import io

    words = {1: "", 2: ""}
    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        field, value = _field(stream, len(content), None)
        words[field] = value.decode("utf-8", "replace")
    return words[1], words[2]


def _field(file: BinaryIO, size: int, wanted: int | None) -> tuple[int, bytes]:
    """Number and bytes of the next field; those of a field that is not `wanted` are skipped, None: all."""
    tag = _varint(file)
    field, kind = tag >> 3, tag & 7
    match kind:
        case 0:
            _varint(file)
            return field, b""
        case 1 | 5:
            length = 8 if kind == 1 else 4
        case 2:
            length = _varint(file)
        case _:
            raise ValueError("no protobuf file")
    if field == 0 or file.tell() + length > size:
        raise ValueError("a file that is cut short, or none of protobuf")
    if wanted is None or field == wanted:
        return field, file.read(length)
    file.seek(length, os.SEEK_CUR)
    return field, b""


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("no protobuf file")
    raise ValueError("a file that is cut short")
