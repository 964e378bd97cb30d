"""Messages become items in order of receipt; headers that cannot be used are counted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from mm_fusion.bags.items import bag_items
from mm_fusion.bags.read import open_bag
from mm_fusion.bags.write import BagWriter
from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.errors import DropLog


def vehicle() -> VehicleConfig:
    tree = {
        "sensors": {
            "camera": {"kind": "camera", "topic": "/image"},
            "absent": {"kind": "lidar", "topic": "/never"},
        },
        "alignment": {"reference": ["camera"]},
    }
    return parse_config(tree, VehicleConfig, "test")


def test_only_named_topics_and_bad_headers_counted(tmp_path: Path, make: SimpleNamespace) -> None:
    nameless = make.image(3)
    nameless.header.frame_id = ""
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/image", make.image(2), 20)
        writer.write("/image", make.image(1), 10)
        writer.write("/image", nameless, 30)
        writer.write("/other", make.text("x"), 5)
    drops = DropLog()
    with open_bag(tmp_path / "bag") as reader:
        found = [
            (sensor, item.stamp_ns, receipt) for sensor, item, receipt in bag_items(reader, vehicle(), drops)
        ]  # type: ignore[union-attr]
        assert len(list(bag_items(reader, vehicle()))) == 2  # counting is optional
    assert found == [("camera", 1, 10), ("camera", 2, 20)]
    assert drops.counts() == {"camera": {"unknown_frame": 1}}
