from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from mm_fusion.bags.types import message_type
from mm_fusion.bags.write import McapFileWriter
from mm_fusion.cli import play
from mm_fusion.errors import ConfigurationError


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    play.add_arguments(parser)
    return parser.parse_args(list(words))


def test_defaults_play_once_in_real_time_with_a_clock() -> None:
    args = parsed("bag")
    assert (args.rate, args.loop, args.start, args.clock, args.longest_gap, args.wait_for) == (
        1,
        False,
        0,
        100,
        0,
        0,
    )


@pytest.mark.parametrize("rate", ["0", "-1", "nan"])
def test_a_rate_that_goes_nowhere_is_an_error(rate: str) -> None:
    with pytest.raises(ConfigurationError, match="--rate"):
        play.run(parsed("bag", f"--rate={rate}"))


def test_without_ros_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mm_fusion.nodes.player_node", raising=False)
    monkeypatch.setitem(sys.modules, "rclpy", None)
    with pytest.raises(ConfigurationError, match="playing needs ROS 2"):
        play.run(parsed("bag"))


@pytest.mark.parametrize("start", ["-1", "1e9", "nan"])
def test_a_start_outside_of_the_recording_is_an_error(start: str, tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="the player needs ROS 2")
    with McapFileWriter(tmp_path / "short.mcap") as writer:
        for receipt_ns in (0, 2_000_000_000):
            writer.write("/mode", message_type("std_msgs/msg/String")(data="L"), receipt_ns)
    with pytest.raises(ConfigurationError, match=r"--start.*2\.0 s"):
        play.run(parsed(str(tmp_path / "short.mcap"), f"--start={start}"))
