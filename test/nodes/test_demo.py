from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: source ROS 2 or install its wheels")

from mm_fusion.nodes import demo

pytestmark = pytest.mark.ros


def test_a_model_that_is_none_ends_the_demo_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "READY_S", 60.0)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    assert demo.main(["--model", "no_such_model", "--out", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("demo: fusion_node will not say")
    assert "no_such_model" in lines[0] and "no such model" in lines[0]
