from __future__ import annotations

import json
from pathlib import Path

from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import McapFileWriter
from mm_fusion.config import VehicleConfig
from mm_fusion.detections import CLASSES, empty_detections, make_detections
from mm_fusion.messages.encode_clouds import encode_detections_cloud
from mm_fusion.messages.encode_status import DiagnosticStatus, encode_diagnostics, encode_mode
from mm_fusion.nodes.demo_summary import frame_stamps, read_diagnostics, summarise, table, write_summary


def record(path: Path, stamps: list[int]) -> None:
    """What a node would publish: a car in the first frame, nothing in the others, diagnostics twice."""
    with McapFileWriter(path) as writer:
        writer.write("/fusion/mode", encode_mode("CLR", message_type), 1)
        for number, stamp_ns in enumerate(stamps):
            found = make_detections(1, class_id=[CLASSES.index("car")]) if number == 0 else empty_detections()
            message = encode_detections_cloud(found, stamp_ns, "base_link", message_type)
            writer.write("/fusion/detections_cloud", message, 2 + number)
        for count in ("1", "3"):
            statuses = [
                DiagnosticStatus("fusion: sensor lidar", 0, "alive", {"drops.late": count, "rate_hz": "10"}),
                DiagnosticStatus("fusion: sensor radar", 0, "alive", {"rate_hz": "10"}),
                DiagnosticStatus(
                    "fusion: stages",
                    0,
                    "",
                    {"detector": "tiny", "backend": "openvino", "detect.p50_ms": f"{count}.5"},
                ),
            ]
            writer.write("/diagnostics", encode_diagnostics(statuses, 5, message_type), 100)


def test_last_diagnostics_count(tmp_path: Path) -> None:
    record(tmp_path / "out.mcap", [])
    assert read_diagnostics(tmp_path / "out.mcap") == ({"lidar": {"late": 3}}, {"detect": {"p50_ms": 3.5}})


def test_frames_that_did_not_come_out_are_lost_and_said(
    tiny_bag: Path, vehicle: VehicleConfig, tmp_path: Path
) -> None:
    expected = sorted(frame_stamps(tiny_bag, vehicle))
    record(tmp_path / "out.mcap", expected[:-2])
    summary = summarise(tiny_bag, vehicle, tmp_path / "out.mcap")
    assert (summary.frames_in, summary.frames_out, summary.frames_lost) == (
        len(expected),
        len(expected) - 2,
        2,
    )
    assert (summary.model, summary.backend) == ("tiny", "openvino")
    assert summary.detections_by_class == {"car": 1}
    assert summary.modes == {"CLR": len(expected) - 2}
    assert summary.drops == {"lidar": {"late": 3}}
    write_summary(tmp_path / "summary.json", summary)
    assert json.loads((tmp_path / "summary.json").read_text())["frames_lost"] == 2
    assert f"{len(expected)} / {len(expected) - 2} / 2" in table(summary)
