from __future__ import annotations

import argparse
import sys

import pytest

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
