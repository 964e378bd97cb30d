"""Writing recordings that `ros2 bag`, `rosbags` and the MCAP tools open; a bag appears under its name when
whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, cast

from mcap.writer import CompressionType
from mcap.writer import Writer as McapLibraryWriter
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.metadata import dump_qos_v8
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from mm_fusion.bags.types import message_definition, message_type, typestore
from mm_fusion.errors import BagError

METADATA_VERSION: Literal[8] = 8
"""The newest version whose QoS profiles are text, which Humble reads as well as Jazzy and later."""
ROS_DISTRO = "jazzy"
"""What the definitions are of; the library's own `rosbags` is no distribution that tools know."""
DISTRO_LINE = "ros_distro: rosbags"
LATCHED_TOPICS = frozenset({"/tf_static"})
Storage = Literal["mcap", "sqlite3"]


def offered_qos(latched: bool) -> Qos:
    """Reliable, and transient local where `latched`, as a driver of such a topic offers it."""
    unset = QosTime(0, 0)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=100 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=unset,
        lifespan=unset,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=unset,
        avoid_ros_namespace_conventions=False,
    )


class _DistroMcapWriter(McapWriter):
    """The library's MCAP storage, with the distribution named in its copy of the metadata."""

    def close(self, version: int, metadata: str) -> None:
        """Close after writing."""
        super().close(version, metadata.replace(DISTRO_LINE, f"ros_distro: {ROS_DISTRO}"))


class _DistroSqlite3Writer(Sqlite3Writer):
    """The library's sqlite3 storage, with the distribution named in its copy of the metadata."""

    def close(self, version: int, metadata: str) -> None:
        """Close after writing."""
        super().close(version, metadata.replace(DISTRO_LINE, f"ros_distro: {ROS_DISTRO}"))


class _DistroWriter(Writer):
    """The library's bag writer on the two storages above."""

    STORAGE_PLUGINS = {
        StoragePlugin.MCAP: _DistroMcapWriter,
        StoragePlugin.SQLITE3: _DistroSqlite3Writer,
    }


class BagWriter:
    """A rosbag2 folder under writing; a context manager that leaves a whole bag at `path`, or nothing.

    storage: `mcap` or `sqlite3`. latched: topics offered as transient local. Raises `BagError` where `path`
    exists (unless `overwrite`, which replaces it when the new one is whole) or cannot be written.
    compressed: zstd inside the storage file, which pays for clouds and not for JPEG.
    """

    def __init__(
        self,
        path: str | Path,
        storage: Storage = "mcap",
        latched: Collection[str] = LATCHED_TOPICS,
        overwrite: bool = False,
        compressed: bool = False,
    ) -> None:
        self.path = Path(path)
        self._compressed = compressed
        self._storage = _plugin(storage)
        self._latched = frozenset(latched) | LATCHED_TOPICS
        self._overwrite = overwrite
        self._connections: dict[str, Connection] = {}
        if self.path.exists() and not overwrite:
            raise BagError(f"{self.path}: exists already; name another --out, or delete it first")

    def __enter__(self) -> BagWriter:
        try:
            self.path.absolute().parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(
                tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.absolute().parent)
            )
        except OSError as error:
            raise BagError(f"{self.path}: cannot be written: {error}") from error
        # The library names the storage file after its folder: the unfinished bag has its final name, deeper.
        self._partial = self._folder / self.path.name
        self._writer = _DistroWriter(self._partial, version=METADATA_VERSION, storage_plugin=self._storage)
        if self._compressed:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        return self

    def write(self, topic: str, message: Any, receipt_ns: int) -> None:
        """Append a message of `message_type`'s classes, received at `receipt_ns`."""
        kind = message.__msgtype__
        self.write_raw(topic, kind, typestore().serialize_cdr(message, kind), receipt_ns)

    def write_raw(self, topic: str, kind: str, data: bytes | memoryview, receipt_ns: int) -> None:
        """Append a serialised message of type `kind`, received at `receipt_ns`."""
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._connections[topic] = self._connect(topic, kind)
        if connection.msgtype != kind:
            raise BagError(f"{self.path}: {topic} carries {connection.msgtype}; got a message of type {kind}")
        try:
            self._writer.write(connection, receipt_ns, data)
        except OSError as error:
            raise BagError(f"{self.path}: cannot be written: {error}") from error

    def _connect(self, topic: str, kind: str) -> Connection:
        message_type(kind)
        qos = offered_qos(topic in self._latched)
        return self._writer.add_connection(topic, kind, typestore=typestore(), offered_qos_profiles=[qos])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self._name_distribution()
                self._move_into_place()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _name_distribution(self) -> None:
        metadata = self._partial / "metadata.yaml"
        text = metadata.read_text(encoding="utf-8")
        metadata.write_text(text.replace(DISTRO_LINE, f"ros_distro: {ROS_DISTRO}"), encoding="utf-8")

    def _move_into_place(self) -> None:
        if self._overwrite and self.path.exists():
            os.replace(self.path, self._folder / "replaced")
        os.replace(self._partial, self.path)


def _plugin(storage: str) -> StoragePlugin:
    match storage:
        case "mcap":
            return StoragePlugin.MCAP
        case "sqlite3":
            return StoragePlugin.SQLITE3
    raise BagError(f"{storage}: unknown storage; expected mcap or sqlite3")


class McapFileWriter:
    """A single MCAP file under writing (profile ros2, CDR, ros2msg schemas); whole under its name, or absent.

    A context manager; an existing file is replaced when the new one is whole. Raises `BagError` where the
    file cannot be written.
    """

    def __init__(self, path: str | Path, latched: Collection[str] = LATCHED_TOPICS) -> None:
        self.path = Path(path)
        self._latched = frozenset(latched) | LATCHED_TOPICS
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def __enter__(self) -> McapFileWriter:
        self._partial = self.path.with_name(f".{self.path.name}.part")
        try:
            self.path.absolute().parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = open(self._partial, "wb")
        except OSError as error:
            raise BagError(f"{self.path}: cannot be written: {error}") from error
        self._writer = McapLibraryWriter(self._file, compression=CompressionType.NONE)
        self._writer.start(profile="ros2", library="mm_fusion")
        return self

    def write(self, topic: str, message: Any, receipt_ns: int) -> None:
        """Append a message of `message_type`'s classes, received at `receipt_ns`."""
        kind = message.__msgtype__
        self.write_raw(topic, kind, typestore().serialize_cdr(message, kind), receipt_ns)

    def write_raw(self, topic: str, kind: str, data: bytes | memoryview, receipt_ns: int) -> None:
        """Append a serialised message of type `kind`, received at `receipt_ns`."""
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._channels[topic] = self._connect(topic, kind)
        self._counts[topic] = self._counts.get(topic, 0) + 1
        sequence = self._counts[topic] - 1
        self._writer.add_message(channel, receipt_ns, cast(bytes, data), receipt_ns, sequence=sequence)

    def counts(self) -> dict[str, int]:
        """Messages written so far by topic."""
        return dict(self._counts)

    def _connect(self, topic: str, kind: str) -> int:
        if kind not in self._schemas:
            text = message_definition(kind).encode()
            self._schemas[kind] = self._writer.register_schema(kind, "ros2msg", text)
        qos = dump_qos_v8([offered_qos(topic in self._latched)])
        return self._writer.register_channel(topic, "cdr", self._schemas[kind], {"offered_qos_profiles": qos})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._writer.finish()
                self._file.close()
                os.replace(self._partial, self.path)
        finally:
            self._file.close()
            self._partial.unlink(missing_ok=True)
