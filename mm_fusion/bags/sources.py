"""Storage files of a recording as streams of serialised messages, whole ones and broken ones alike."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mcap.records import Channel as McapChannel
from mcap.records import Chunk as McapChunk
from mcap.records import McapRecord
from mcap.records import Message as McapMessage
from mcap.records import Schema as McapSchema
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.interfaces import MessageDefinitionFormat, Qos, QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import parse_qos

READ_ERRORS = (Exception,)
"""What the libraries raise on bytes that are not what they should be: errors of rosbags, mcap, SQLite twice,
struct and three decompressors, and whatever a wrong number leads to.
"""


class RawMessage(NamedTuple):
    """One serialised message (CDR) and when it was received."""

    receipt_ns: int
    topic: str
    kind: str
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class OfferedQos:
    """What the recorded publisher offered."""

    reliable: bool
    transient_local: bool
    depth: int


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic of a storage file. definition: embedded text, empty where there is none; idl: in OMG IDL."""

    topic: str
    kind: str
    definition: str
    idl: bool
    count: int
    qos: tuple[OfferedQos, ...]


class Source(Protocol):
    """A storage file under reading; `broken` says what could not be read, empty where all could."""

    channels: list[Channel]
    start_ns: int
    end_ns: int
    broken: str

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of `topics` in order of receipt, as far as they can be read."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class LibrarySource:
    """A whole storage file or bag folder, read by rosbags; raises one of `READ_ERRORS` where it is broken."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._reader.open()
        files = [path] if path.is_file() else sorted(path.glob("*.mcap"))
        self._file = files[0] if len(files) == 1 else None
        self.broken = ""
        self.start_ns = self._reader.start_time
        self.end_ns = self._reader.end_time - 1  # the library's end is one past the last message
        self.channels = [_channel(connection) for connection in self._reader.connections]

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of `topics` in order of receipt; damage is said in `broken`, and passed over."""
        wanted = [connection for connection in self._reader.connections if connection.topic in topics]
        count, last_ns = 0, -1
        try:
            for connection, receipt_ns, data in self._reader.messages(wanted) if wanted else ():
                count, last_ns = count + 1, receipt_ns
                yield RawMessage(receipt_ns, connection.topic, connection.msgtype, data)
        except READ_ERRORS as error:
            self.broken = f"damaged after {count} messages ({_reason(error)}); what lies there is not used"
            yield from self._after(last_ns, topics)

    def _after(self, last_ns: int, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages received after a damaged place, where the storage can be read past it."""
        if self._file is not None and self._file.suffix == ".mcap":
            later = RecoveredMcap(self._file).read(topics)
            yield from (message for message in later if message.receipt_ns > last_ns)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


class RecoveredMcap:
    """An MCAP file without its end, index or profile, or damaged inside: every whole chunk of it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schemas: dict[int, McapSchema] = {}
        self._channels: dict[int, McapChannel] = {}
        self.broken = ""
        counts: dict[int, int] = {}
        self.start_ns, self.end_ns, self._sorted = 2**63 - 1, 0, True
        for message in self._scan():
            counts[message.channel_id] = counts.get(message.channel_id, 0) + 1
            self._sorted &= message.log_time >= self.end_ns
            self.start_ns = min(self.start_ns, message.log_time)
            self.end_ns = max(self.end_ns, message.log_time)
        self.channels = [self._describe(key, counts.get(key, 0)) for key in self._channels]

    def _scan(self) -> Iterator[McapMessage]:
        with open(self._path, "rb") as file:
            try:
                limit = self._path.stat().st_size
                for record in StreamReader(file, record_size_limit=limit, emit_chunks=True).records:
                    for part in self._unpack(record) if isinstance(record, McapChunk) else (record,):
                        if isinstance(part, McapSchema):
                            self._schemas[part.id] = part
                        elif isinstance(part, McapChannel):
                            self._channels[part.id] = part
                        elif isinstance(part, McapMessage) and part.channel_id in self._channels:
                            yield part
            except READ_ERRORS as error:
                self.broken = f"readable up to byte {file.tell()} ({_reason(error)}); the rest is not used"

    def _unpack(self, chunk: McapChunk) -> list[McapRecord]:
        """The records of a chunk, none of them (and a word in `broken`) where it is damaged."""
        try:
            return breakup_chunk(chunk, validate_crc=True)
        except READ_ERRORS as error:
            self.broken = f"a damaged part ({_reason(error)}) is not used"
            return []

    def _describe(self, key: int, count: int) -> Channel:
        channel = self._channels[key]
        schema = self._schemas.get(channel.schema_id)
        kind, encoding, text = (schema.name, schema.encoding, schema.data) if schema else ("", "", b"")
        qos = _parsed_qos(channel.metadata.get("offered_qos_profiles", ""))
        idl = encoding in ("ros2idl", "omgidl")
        return Channel(channel.topic, kind, text.decode("utf-8", "replace"), idl, count, qos)

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of `topics` in order of receipt; a file out of order is sorted in memory."""
        messages = self._stream(topics)
        return messages if self._sorted else iter(sorted(messages, key=lambda message: message.receipt_ns))

    def _stream(self, topics: Collection[str]) -> Iterator[RawMessage]:
        for message in self._scan():
            channel = self._channels[message.channel_id]
            if channel.topic in topics:
                kind = self._schemas[channel.schema_id].name if channel.schema_id in self._schemas else ""
                yield RawMessage(message.log_time, channel.topic, kind, message.data)

    def close(self) -> None:
        """Nothing is kept open."""


class RecoveredSqlite:
    """A database cut short: the rows up to the first page that is missing."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        # With this set, SQLite opens a database that is shorter than its header says.
        self._base.execute("PRAGMA writable_schema=ON")
        self.broken = ""
        topics = self._base.execute("SELECT id, name, type FROM topics ORDER BY id").fetchall()
        texts = dict(self._texts())
        self._topics = {key: (name, kind) for key, name, kind in topics}
        counts: dict[int, int] = {}
        self.start_ns, self.end_ns = 2**63 - 1, 0
        for key, receipt_ns, _ in self._rows():
            counts[key] = counts.get(key, 0) + 1
            self.start_ns, self.end_ns = min(self.start_ns, receipt_ns), max(self.end_ns, receipt_ns)
        self.channels = [
            Channel(name, kind, texts.get(kind, ""), False, counts.get(key, 0), ())
            for key, name, kind in topics
        ]

    def _texts(self) -> list[tuple[str, str]]:
        columns = "topic_type, encoded_message_definition"
        query = f"SELECT {columns} FROM message_definitions WHERE encoding = 'ros2msg'"
        try:
            return list(self._base.execute(query).fetchall())
        except sqlite3.Error:  # older bags embed no definitions
            return []

    def _rows(self) -> Iterator[tuple[int, int, bytes]]:
        count = 0
        try:
            for row in self._base.execute("SELECT topic_id, timestamp, data FROM messages"):
                count += 1
                yield row
        except sqlite3.Error as error:
            self.broken = f"damaged after {count} messages ({_reason(error)}); the rest is not used"

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of `topics` in order of receipt, sorted in memory."""
        named = ((receipt_ns, *self._topics[key], data) for key, receipt_ns, data in self._rows())
        found = [RawMessage(*row) for row in named if row[1] in topics]
        return iter(sorted(found, key=lambda message: message.receipt_ns))

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()


def open_source(path: Path, problems: list[str]) -> Source | None:
    """The storage file at `path`, recovered where it is broken; None, with the reason in `problems`, if
    useless.
    """
    try:
        return LibrarySource(path)
    except READ_ERRORS as error:
        reason = _reason(error)
    recover: Callable[[Path], Source] = RecoveredMcap if path.suffix == ".mcap" else RecoveredSqlite
    try:
        source = recover(path)
    except READ_ERRORS as error:
        problems.append(f"{path.name}: cannot be read: {_reason(error)}")
        return None
    if not any(channel.count for channel in source.channels):
        problems.append(f"{path.name}: holds no readable message: {reason}")
        return None
    problems.append(f"{path.name}: {reason.rstrip('.')}; {source.broken or 'recovered without its index'}")
    return source


def _channel(connection: Any) -> Channel:
    idl = connection.msgdef.format == MessageDefinitionFormat.IDL
    text = "" if connection.msgdef.format == MessageDefinitionFormat.NONE else connection.msgdef.data
    qos = tuple(_offered(profile) for profile in connection.ext.offered_qos_profiles)
    return Channel(connection.topic, connection.msgtype, text, idl, connection.msgcount, qos)


def _parsed_qos(text: str) -> tuple[OfferedQos, ...]:
    try:
        return tuple(_offered(profile) for profile in parse_qos(text))
    except READ_ERRORS:
        return ()


def _offered(profile: Qos) -> OfferedQos:
    return OfferedQos(
        reliable=profile.reliability != QosReliability.BEST_EFFORT,
        transient_local=profile.durability == QosDurability.TRANSIENT_LOCAL,
        depth=profile.depth,
    )


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
