"""Bags open elsewhere, say what was offered, and leave nothing behind when they fail."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability, QosReliability
from ruamel.yaml import YAML

from mm_fusion.bags.read import open_bag
from mm_fusion.bags.types import message_type, typestore
from mm_fusion.bags.write import BagWriter, McapFileWriter
from mm_fusion.errors import BagError


def test_an_empty_bag_is_a_bag(tmp_path: Path, storage: str) -> None:
    with BagWriter(tmp_path / "empty", storage):  # type: ignore[arg-type]
        pass
    with open_bag(tmp_path / "empty") as reader:
        assert list(reader.messages()) == []
        assert (reader.start_ns, reader.end_ns, reader.topics) == (0, 0, {})


def test_metadata_is_what_ros2_bag_expects(three_messages: Path, storage: str) -> None:
    tree = YAML(typ="safe").load((three_messages / "metadata.yaml").read_text())[
        "rosbag2_bagfile_information"
    ]
    assert tree["version"] == 8
    assert tree["ros_distro"] == "jazzy"
    assert tree["storage_identifier"] == storage
    assert tree["message_count"] == 3
    assert tree["starting_time"]["nanoseconds_since_epoch"] == 1000
    assert tree["duration"]["nanoseconds"] == 2000
    assert [(three_messages / name).is_file() for name in tree["relative_file_paths"]] == [True]
    assert tree["files"][0]["path"] == tree["relative_file_paths"][0]
    qos = [YAML(typ="safe").load(topic["topic_metadata"]["offered_qos_profiles"]) for topic in
           tree["topics_with_message_count"]]  # fmt: skip
    assert [profile[0]["reliability"] for profile in qos] == [1, 1]


def test_static_transforms_and_latched_topics_are_offered_transient_local(
    tmp_path: Path, storage: str, make: SimpleNamespace
) -> None:
    transforms = message_type("tf2_msgs/msg/TFMessage")(transforms=[])
    with BagWriter(tmp_path / "bag", storage, latched={"/mode"}) as writer:  # type: ignore[arg-type]
        writer.write("/tf_static", transforms, 1)
        writer.write("/mode", make.text("CLR"), 2)
        writer.write("/other", make.text("CLR"), 3)
    with AnyReader([tmp_path / "bag"]) as reader:
        offered = {entry.topic: entry.ext.offered_qos_profiles[0] for entry in reader.connections}  # type: ignore[union-attr]
    assert offered["/tf_static"].durability == offered["/mode"].durability == QosDurability.TRANSIENT_LOCAL
    assert offered["/other"].durability == QosDurability.VOLATILE
    assert {profile.reliability for profile in offered.values()} == {QosReliability.RELIABLE}


def test_independent_mcap_reader_finds_equal_bytes(tmp_path: Path, make: SimpleNamespace) -> None:
    messages = [("/a", make.text("x" * size), 1000 + size) for size in (0, 1, 700_000, 700_001)]
    with BagWriter(tmp_path / "bag") as writer:
        for entry in messages:
            writer.write(*entry)
    with open(tmp_path / "bag" / "bag.mcap", "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        found = [(channel.topic, schema.encoding, message.log_time, crc32(message.data))
                 for schema, channel, message in reader.iter_messages()]  # fmt: skip
        note = next(record for record in reader.iter_metadata() if record.name == "rosbag2")
    kind = "std_msgs/msg/String"
    assert found == [
        (topic, "ros2msg", receipt, crc32(bytes(typestore().serialize_cdr(message, kind))))
        for topic, message, receipt in messages
    ]
    assert "ros_distro: jazzy" in note.metadata["serialized_metadata"]


def test_failure_leaves_nothing(tmp_path: Path, storage: str, make: SimpleNamespace) -> None:
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), BagWriter(tmp_path / "bag", storage) as writer:  # type: ignore[arg-type]
            writer.write("/a", make.text("half"), 1)
            raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_kept_unless_told_otherwise(three_messages: Path, make: SimpleNamespace) -> None:
    with pytest.raises(BagError, match="exists already"):
        BagWriter(three_messages)
    with pytest.raises(RuntimeError), BagWriter(three_messages, overwrite=True):
        raise RuntimeError
    with open_bag(three_messages) as reader:
        assert reader.topics["/a"].count == 2
    with BagWriter(three_messages, overwrite=True) as writer:
        writer.write("/new", make.text("new"), 1)
    with open_bag(three_messages) as reader:
        assert set(reader.topics) == {"/new"}
    assert [path.name for path in three_messages.parent.iterdir()] == [three_messages.name]


def test_wrong_uses_are_named(tmp_path: Path, make: SimpleNamespace) -> None:
    with pytest.raises(BagError, match="mcap or sqlite3"):
        BagWriter(tmp_path / "bag", "rosbag1")  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match="cannot be written"), BagWriter(tmp_path / "file" / "bag"):
        pass
    with pytest.raises(BagError, match="carries std_msgs/msg/String"), BagWriter(tmp_path / "bag") as writer:
        writer.write("/a", make.text("one"), 1)
        writer.write("/a", make.image(1), 2)


def test_single_file_opens_with_both_libraries(tmp_path: Path, make: SimpleNamespace) -> None:
    path = tmp_path / "deep" / "one.mcap"
    with McapFileWriter(path, latched={"/mode"}) as writer:
        writer.write("/mode", make.text("CLR"), 10)
        raw = bytes(typestore().serialize_cdr(make.image(3), "sensor_msgs/msg/CompressedImage"))
        writer.write_raw("/image", "sensor_msgs/msg/CompressedImage", raw, 20)
        assert writer.counts() == {"/mode": 1, "/image": 1}
    with AnyReader([path]) as reader:
        found = [(entry.topic, receipt, reader.deserialize(data, entry.msgtype)) for entry, receipt, data in
                 reader.messages()]  # fmt: skip
        latched = {entry.topic: entry.ext.offered_qos_profiles[0].durability for entry in reader.connections}  # type: ignore[union-attr]
    assert [entry[:2] for entry in found] == [("/mode", 10), ("/image", 20)]
    assert found[0][2].data == "CLR"  # type: ignore[attr-defined]
    assert latched == {"/mode": QosDurability.TRANSIENT_LOCAL, "/image": QosDurability.VOLATILE}
    with open(path, "rb") as file:
        assert make_reader(file).get_summary().statistics.message_count == 2  # type: ignore[union-attr]


def test_single_file_under_failure_leaves_nothing(tmp_path: Path, make: SimpleNamespace) -> None:
    with pytest.raises(KeyboardInterrupt), McapFileWriter(tmp_path / "one.mcap") as writer:
        writer.write("/a", make.text("half"), 1)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
