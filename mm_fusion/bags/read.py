"""Reading recordings without ROS: rosbag2 folders and single .mcap or .db3 files, broken ones as far as
they go.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from rosbags.typesys import Stores, TypesysError, get_typestore
from rosbags.typesys.store import Typestore
from ruamel.yaml import YAML, YAMLError

from mm_fusion.bags.sources import (
    READ_ERRORS,
    Channel,
    LibrarySource,
    OfferedQos,
    RawMessage,
    Source,
    open_source,
)
from mm_fusion.bags.types import message_definition, types_of_definition, typestore
from mm_fusion.errors import BagError

STORAGE_SUFFIXES = (".mcap", ".db3")


class BagMessage(NamedTuple):
    """One message as an object with the fields of its type; arrays are read-only views of the recorded
    bytes.
    """

    topic: str
    type: str
    message: Any
    receipt_ns: int


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic of a recording: its type, number of messages, and what its publishers offered."""

    name: str
    type: str
    count: int
    qos: tuple[OfferedQos, ...]


class BagReader:
    """An open recording, a context manager.

    topics: by name. start_ns, end_ns: first and last receipt (both 0 where there is none). problems: what
    could not be read, one sentence each; complete once the messages have been read.
    """

    def __init__(self, path: Path, sources: list[Source], problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self._sources = sources
        self._stores: dict[str, Typestore] = {}
        self._failed: dict[str, int] = {}
        self.topics = self._join_topics()
        filled = [source for source in sources if any(channel.count for channel in source.channels)]
        self.start_ns = min((source.start_ns for source in filled), default=0)
        self.end_ns = max((source.end_ns for source in filled), default=0)

    def _join_topics(self) -> dict[str, TopicInfo]:
        topics: dict[str, TopicInfo] = {}
        for channel in (channel for source in self._sources for channel in source.channels):
            known = topics.get(channel.topic)
            if known and known.type != channel.kind:
                self.problems.append(
                    f"{channel.topic}: carries {known.type} and {channel.kind}; only the first is used"
                )
                continue
            count = channel.count + (known.count if known else 0)
            topics[channel.topic] = TopicInfo(channel.topic, channel.kind, count, channel.qos)
            self._add_type(channel)
        return dict(sorted(topics.items()))

    def _add_type(self, channel: Channel) -> None:
        if channel.kind in self._stores:
            return
        try:
            self._stores[channel.kind] = _store_for(channel)
        except READ_ERRORS as error:
            self.problems.append(
                f"{channel.topic}: messages of {channel.kind or 'no type'} cannot be read: {error}"
            )

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Every message of `topics` (None: of all) in order of receipt, then topic, then stamp."""
        self._failed.clear()
        for raw in self.raw_messages(topics):
            message = self.deserialize(raw)
            if message is not None:
                yield BagMessage(raw.topic, raw.kind, message, raw.receipt_ns)
        self._report_failures()

    def raw_messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """As `messages`, still serialised (CDR), for a host that hands the bytes on."""
        wanted = frozenset(self.topics if topics is None else topics)
        streams = [source.read(wanted) for source in self._sources]
        merged = heapq.merge(*streams, key=_receipt) if len(streams) > 1 else streams[0]
        for _, group in groupby(merged, key=_receipt):
            instant = [raw for raw in group if self.topics[raw.topic].type == raw.kind]
            yield from sorted(instant, key=self._order) if len(instant) > 1 else instant
        self._report_breaks()

    def deserialize(self, raw: RawMessage) -> Any | None:
        """The message in `raw`, None (and a problem noted) where it cannot be deserialised."""
        store = self._stores.get(raw.kind)
        if store is None:
            return None
        try:
            return store.deserialize_cdr(raw.data, raw.kind)
        except READ_ERRORS as error:
            self._note_failure(raw.topic, str(error) or type(error).__name__)
            return None

    def header(self, raw: RawMessage) -> tuple[int, str] | None:
        """(stamp_ns, frame_id) of a message that begins with a header, payload unread; else None."""
        store = self._stores.get(raw.kind)
        if store is None or not _has_header(store, raw.kind) or len(raw.data) < 16:
            return None
        (size,) = struct.unpack_from("<I" if raw.data[1] & 1 else ">I", raw.data, 12)
        frame_id = bytes(raw.data[16 : 16 + max(size, 1) - 1]).decode("utf-8", "replace")
        return _stamp_ns(raw.data), frame_id

    def _order(self, raw: RawMessage) -> tuple[str, int]:
        store = self._stores.get(raw.kind)
        return raw.topic, _stamp_ns(raw.data) if store and _has_header(store, raw.kind) else 0

    def _note_failure(self, topic: str, reason: str) -> None:
        if topic not in self._failed:
            self.problems.append(f"{topic}: a message cannot be deserialised: {reason}")
        self._failed[topic] = self._failed.get(topic, 0) + 1

    def _report_failures(self) -> None:
        for topic, count in self._failed.items():
            if count > 1:
                self.problems.append(f"{topic}: {count} messages cannot be deserialised in all")

    def _report_breaks(self) -> None:
        for source in self._sources:
            if source.broken and not any(source.broken in problem for problem in self.problems):
                self.problems.append(f"{self.path.name}: {source.broken}")

    def close(self) -> None:
        """Let go of the files."""
        for source in self._sources:
            source.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_bag(path: str | Path) -> BagReader:
    """The recording at `path`: a rosbag2 folder, with or without metadata.yaml, or one .mcap or .db3 file.

    What is readable is used and the rest is said in `BagReader.problems`; raises `BagError` where nothing is.
    """
    path = Path(path)
    problems: list[str] = []
    if not path.exists():
        raise BagError(f"{path}: no such recording; expected a rosbag2 folder or a .mcap or .db3 file")
    sources = _sources_of_folder(path, problems) if path.is_dir() else _sources_of_file(path, problems)
    if not sources:
        said = "; ".join(problems) or "it holds no .mcap or .db3 file"
        raise BagError(f"{path}: expected a recording, nothing in it can be read: {said}")
    return BagReader(path, sources, problems)


def _sources_of_file(path: Path, problems: list[str]) -> list[Source]:
    if path.suffix == ".bag":
        raise BagError(
            f"{path}: is a ROS 1 recording; turn it into ROS 2 with rosbags-convert --src {path.name} first"
        )
    if path.suffix not in STORAGE_SUFFIXES:
        raise BagError(f"{path}: is no recording; expected a rosbag2 folder or a .mcap or .db3 file")
    source = open_source(path, problems)
    return [source] if source else []


def _sources_of_folder(path: Path, problems: list[str]) -> list[Source]:
    files = _files_in_order(path, problems)
    if any(file.suffix == ".zstd" for file in files) or (
        len(files) == 1 and (path / "metadata.yaml").exists()
    ):
        # Compressed bags and the ordinary single-file bag: the library knows their metadata best.
        try:
            return [LibrarySource(path)]
        except READ_ERRORS as error:
            problems.append(f"{path.name}: {error or type(error).__name__}")
    files = [file for file in files if file.suffix in STORAGE_SUFFIXES]
    if not files and not problems:
        problems.append("no .mcap or .db3 file in the folder")
    opened = [open_source(file, problems) for file in files]
    return [source for source in opened if source]


def _files_in_order(path: Path, problems: list[str]) -> list[Path]:
    found = sorted(
        file for file in path.iterdir() if file.suffix in (*STORAGE_SUFFIXES, ".zstd") and file.is_file()
    )
    metadata = path / "metadata.yaml"
    if not metadata.exists():
        if found:
            problems.append("metadata.yaml is missing; the storage files are read without it")
        return found
    try:
        tree = YAML(typ="safe").load(metadata.read_text(encoding="utf-8"))
        names = [Path(name).name for name in tree["rosbag2_bagfile_information"]["relative_file_paths"]]
    except (YAMLError, UnicodeDecodeError, OSError, KeyError, TypeError) as error:
        problems.append(
            f"metadata.yaml cannot be read ({type(error).__name__}); the storage files are read without it"
        )
        return found
    problems.extend(
        f"{name}: named in metadata.yaml, and missing" for name in names if not (path / name).is_file()
    )
    return [path / name for name in names if (path / name).is_file()]


def _store_for(channel: Channel) -> Typestore:
    """A store that knows the channel's type, as the recording defines it where it does."""
    known = typestore()
    if not channel.definition or (
        channel.kind in known.types and message_definition(channel.kind).strip() == channel.definition.strip()
    ):
        if channel.kind not in known.types:
            raise TypesysError("the recording holds no definition of it, and the package knows none")
        return known
    store = get_typestore(Stores.EMPTY)
    store.register(types_of_definition(channel.kind, channel.definition, channel.idl))
    if channel.kind not in store.types:
        raise TypesysError("its embedded definition does not define it")
    return store


def _receipt(raw: RawMessage) -> int:
    return raw.receipt_ns


def _has_header(store: Typestore, kind: str) -> bool:
    fields = store.fielddefs[kind][1]
    return bool(fields) and fields[0][1][1] == "std_msgs/msg/Header"


def _stamp_ns(data: bytes | memoryview) -> int:
    """The header stamp at the front of a CDR message (its second byte says the byte order)."""
    if len(data) < 12:
        return 0
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * 10**9 + int(nanoseconds)
