"""Whole recordings are read in order; of broken ones what is readable is used and the rest is said."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import Writer as McapLibraryWriter

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.types import message_type, typestore
from mm_fusion.bags.write import BagWriter, McapFileWriter
from mm_fusion.errors import BagError

STRING = "std_msgs/msg/String"


def test_messages_come_back_as_written(three_messages: Path) -> None:
    with open_bag(three_messages) as reader:
        found = list(reader.messages())
        assert reader.problems == []
        assert (reader.start_ns, reader.end_ns) == (1000, 3000)
        assert {name: (info.type, info.count) for name, info in reader.topics.items()} == {
            "/a": (STRING, 2),
            "/b": ("sensor_msgs/msg/CompressedImage", 1),
        }
        assert reader.topics["/a"].qos[0].reliable and not reader.topics["/a"].qos[0].transient_local
    assert [(entry.topic, entry.receipt_ns) for entry in found] == [("/a", 1000), ("/b", 2000), ("/a", 3000)]
    assert found[0].message.data == "first"
    assert found[1].message.header.stamp.nanosec == 5


def test_payloads_are_views_of_the_recorded_bytes(three_messages: Path, make: SimpleNamespace) -> None:
    with open_bag(three_messages) as reader:
        data = next(reader.messages({"/b"})).message.data
    assert isinstance(data, np.ndarray) and not data.flags.owndata and not data.flags.writeable
    assert data.tolist() == make.jpeg(7).tolist()


def test_chosen_topics_only_and_raw_bytes(three_messages: Path, make: SimpleNamespace) -> None:
    with open_bag(three_messages) as reader:
        assert list(reader.messages(set())) == []
        assert list(reader.messages({"/absent"})) == []
        raw = list(reader.raw_messages({"/a"}))
    assert [bytes(entry.data) for entry in raw] == [
        bytes(typestore().serialize_cdr(make.text(data), STRING)) for data in ("first", "third")
    ]


def test_equal_receipts_are_ordered_by_topic_then_stamp(
    tmp_path: Path, storage: str, make: SimpleNamespace
) -> None:
    with BagWriter(tmp_path / "bag", storage) as writer:  # type: ignore[arg-type]
        for topic, stamp_ns in (("/b", 9), ("/b", 2), ("/a", 7), ("/a", 3), ("/a", 5 * 10**9)):
            writer.write(topic, make.image(stamp_ns), 100)
        writer.write("/a", make.image(1), 99)
    with open_bag(tmp_path / "bag") as reader:
        found = [(m.receipt_ns, m.topic, m.message.header.stamp.sec, m.message.header.stamp.nanosec)
                 for m in reader.messages()]  # fmt: skip
    assert found == [
        (99, "/a", 0, 1),
        (100, "/a", 0, 3),
        (100, "/a", 0, 7),
        (100, "/a", 5, 0),
        (100, "/b", 0, 2),
        (100, "/b", 0, 9),
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_any_order_of_writing_is_read_in_order_of_receipt(receipts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with McapFileWriter(Path(folder) / "one.mcap") as writer:
            for receipt in receipts:
                writer.write("/a", message_type(STRING)(data=str(receipt)), receipt)
        with open_bag(Path(folder) / "one.mcap") as reader:
            found = [int(entry.message.data) for entry in reader.messages()]
    assert found == sorted(receipts)


def test_several_files_of_one_bag_are_merged(tmp_path: Path, make: SimpleNamespace) -> None:
    for name, receipts in (("one", (1, 4)), ("two", (2, 3))):
        with McapFileWriter(tmp_path / "bag" / f"{name}.mcap") as writer:
            for receipt in receipts:
                writer.write("/a", make.text(name), receipt)
    with open_bag(tmp_path / "bag") as reader:
        assert [entry.receipt_ns for entry in reader.messages()] == [1, 2, 3, 4]
        assert reader.topics["/a"].count == 4
        assert "metadata.yaml is missing" in reader.problems[0]


def test_single_storage_files_open(three_messages: Path) -> None:
    file = next(path for path in three_messages.iterdir() if path.suffix in (".mcap", ".db3"))
    with open_bag(file) as reader:
        assert len(list(reader.messages())) == 3


def test_wrong_paths_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no bag")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / "junk.mcap").write_bytes(b"junk" * 20)
    (tmp_path / "junk.db3").write_bytes(b"junk" * 20)
    (tmp_path / "nothing.mcap").write_bytes(b"")
    for name, hint in {
        "absent": "no such recording",
        "empty": "no .mcap or .db3",
        "notes.txt": "is no recording",
        "old.bag": "ROS 1",
        "junk.mcap": "nothing in it can be read",
        "junk.db3": "nothing in it can be read",
        "nothing.mcap": "nothing in it can be read",
    }.items():
        with pytest.raises(BagError, match=hint) as error:
            open_bag(tmp_path / name)
        assert name in str(error.value)


def _long_bag(path: Path, make: SimpleNamespace, storage: str = "mcap") -> Path:
    with BagWriter(path, storage) as writer:  # type: ignore[arg-type]
        for receipt in range(40):
            writer.write("/a", make.text(str(receipt) * 60_000), receipt)
    return next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))


@pytest.mark.parametrize("whole_folder", [False, True])
def test_truncated_mcap_gives_its_whole_chunks(
    tmp_path: Path, make: SimpleNamespace, whole_folder: bool
) -> None:
    file = _long_bag(tmp_path / "bag", make)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    with open_bag(tmp_path / "bag" if whole_folder else file) as reader:
        receipts = [entry.receipt_ns for entry in reader.messages()]
        assert receipts == list(range(len(receipts)))
        assert 10 <= len(receipts) < 40
        assert reader.topics["/a"].count == len(receipts)
        assert any("the rest is not used" in problem for problem in reader.problems)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.0, 0.999), flip=st.booleans())
def test_any_damage_gives_a_prefix_or_one_clear_error(
    damaged_source: bytes, share: float, flip: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bag.mcap"
        at = int(len(damaged_source) * share)
        cut = damaged_source[:at] + (
            bytes([damaged_source[at] ^ 0x55]) + damaged_source[at + 1 :] if flip else b""
        )
        file.write_bytes(cut)
        try:
            with open_bag(file) as reader:
                found = list(reader.messages())
                assert len(found) <= 40
        except BagError as error:
            assert "bag.mcap" in str(error)


@pytest.fixture(scope="module", params=[False, True])
def damaged_source(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> bytes:
    """The bytes of a whole storage file, plain or compressed."""
    folder = tmp_path_factory.mktemp("source") / "one"
    path = folder / "one.mcap"
    with BagWriter(folder, compressed=request.param) as writer:
        for receipt in range(40):
            writer.write("/a", message_type(STRING)(data=str(receipt) * 30), receipt)
    return path.read_bytes()


@pytest.mark.parametrize("whole_folder", [False, True])
def test_damaged_chunk_is_left_out(tmp_path: Path, make: SimpleNamespace, whole_folder: bool) -> None:
    with BagWriter(tmp_path / "bag", compressed=True) as writer:
        for receipt in range(40):
            noise = np.random.default_rng(receipt).integers(33, 127, 90_000, np.uint8).tobytes().decode()
            writer.write("/a", make.text(noise), receipt)
    file = tmp_path / "bag" / "bag.mcap"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    file.write_bytes(content)
    with open_bag(tmp_path / "bag" if whole_folder else file) as reader:
        receipts = [entry.receipt_ns for entry in reader.messages()]
        assert any("damaged" in problem for problem in reader.problems)
    assert receipts == sorted(set(receipts)) and receipts[0] == 0 and receipts[-1] == 39
    assert 20 <= len(receipts) < 40


def test_database_without_metadata_is_read(tmp_path: Path, make: SimpleNamespace) -> None:
    _long_bag(tmp_path / "bag", make, "sqlite3")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    with open_bag(tmp_path / "bag") as reader:
        assert len(list(reader.messages())) == 40


def test_truncated_database_says_what_is_lost(tmp_path: Path, make: SimpleNamespace) -> None:
    file = _long_bag(tmp_path / "bag", make, "sqlite3")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 9 // 10])
    try:
        with open_bag(tmp_path / "bag") as reader:
            receipts = [entry.receipt_ns for entry in reader.messages()]
            assert receipts == sorted(receipts) and 0 < len(receipts) < 40
            assert any("damaged" in problem or "malformed" in problem for problem in reader.problems)
    except BagError as error:
        assert "malformed" in str(error)


def test_missing_part_of_a_split_bag_is_said(tmp_path: Path, make: SimpleNamespace) -> None:
    file = _long_bag(tmp_path / "bag", make)
    metadata = tmp_path / "bag" / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("  - bag.mcap\n", "  - bag.mcap\n  - bag_1.mcap\n"))
    with open_bag(tmp_path / "bag") as reader:
        assert len(list(reader.messages())) == 40
        assert any("bag_1.mcap" in problem for problem in reader.problems)
    shutil.copy(file, tmp_path / "copy.mcap")
    metadata.write_text("{nonsense")
    with open_bag(tmp_path / "bag") as reader:
        assert any("metadata.yaml cannot be read" in problem for problem in reader.problems)


def test_unknown_and_unreadable_types_do_not_stop_the_others(tmp_path: Path, make: SimpleNamespace) -> None:
    good = bytes(typestore().serialize_cdr(make.text("good"), STRING))
    with open(tmp_path / "mixed.mcap", "wb") as file:
        writer = McapLibraryWriter(file)
        writer.start(profile="ros2", library="test")
        rows = [
            ("/good", STRING, b"string data", good),
            ("/own", "own_msgs/msg/Own", b"string data", good),
            ("/undefined", "own_msgs/msg/Undefined", b"", good),
            ("/nonsense", "own_msgs/msg/Nonsense", b"%% ?? no definition", good),
            ("/short", STRING, b"string data", b"\x00\x01\x00\x00\xff\x00\x00\x00"),
        ]
        schemas: dict[tuple[str, bytes], int] = {}
        for receipt, (topic, kind, definition, data) in enumerate(rows):
            key = (kind, definition)
            schemas.setdefault(key, writer.register_schema(kind, "ros2msg" if definition else "", definition))
            channel = writer.register_channel(topic, "cdr", schemas[key])
            writer.add_message(channel, receipt, data, receipt)
        writer.finish()
    with open_bag(tmp_path / "mixed.mcap") as reader:
        found = {entry.topic: entry.message.data for entry in reader.messages()}
        assert found == {"/good": "good", "/own": "good"}
        said = "\n".join(reader.problems)
    for topic in ("/undefined", "/nonsense", "/short"):
        assert topic in said


def test_recording_without_profile_or_index_is_recovered(tmp_path: Path, make: SimpleNamespace) -> None:
    data = bytes(typestore().serialize_cdr(make.text("x"), STRING))
    with open(tmp_path / "plain.mcap", "wb") as file:
        writer = McapLibraryWriter(file, use_chunking=False)
        writer.start(profile="", library="test")
        schema = writer.register_schema(STRING, "ros2msg", b"string data")
        channel = writer.register_channel("/a", "cdr", schema)
        for receipt in (5, 3, 4):
            writer.add_message(channel, receipt, data, receipt)
        writer.finish()
    with open_bag(tmp_path / "plain.mcap") as reader:
        assert [entry.receipt_ns for entry in reader.messages()] == [3, 4, 5]


def test_one_topic_with_two_types_keeps_the_first(tmp_path: Path, make: SimpleNamespace) -> None:
    for name, message in (("one", make.text("x")), ("two", make.image(1))):
        with McapFileWriter(tmp_path / "bag" / f"{name}.mcap") as writer:
            writer.write("/a", message, 1)
    with open_bag(tmp_path / "bag") as reader:
        assert [entry.type for entry in reader.messages()] == [STRING]
        assert any("only the first is used" in problem for problem in reader.problems)


def test_database_of_an_older_distribution_needs_no_definitions(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    _long_bag(tmp_path / "bag", make, "sqlite3")
    base = sqlite3.connect(tmp_path / "bag" / "bag.db3")
    base.execute("DELETE FROM message_definitions")
    base.commit()
    base.close()
    with open_bag(tmp_path / "bag") as reader:
        assert len(list(reader.messages())) == 40
