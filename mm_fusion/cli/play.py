"""`mm-fusion play`: publish a recording over ROS."""

from __future__ import annotations

import argparse

from mm_fusion.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb, and of the player as an executable."""
    parser.add_argument("bag", help="rosbag2 folder, or .mcap or .db3 file")
    parser.add_argument("--rate", type=float, default=1.0, help="speed, 2 is twice real time (default 1)")
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument(
        "--start", type=float, default=0.0, metavar="S", help="seconds to leave out at the beginning"
    )
    parser.add_argument(
        "--longest-gap", type=float, default=0.0, metavar="S", help="shorten longer gaps (default: keep)"
    )
    parser.add_argument(
        "--clock", type=float, default=100.0, metavar="HZ", help="rate of /clock, 0: none (default 100)"
    )
    parser.add_argument(
        "--wait-for",
        type=float,
        default=0.0,
        metavar="S",
        help="wait up to S seconds for listeners (default 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Play until the end or an interrupt; the exit code. Raises `ConfigurationError` where ROS is missing."""
    if not args.rate > 0:
        raise ConfigurationError(f"--rate {args.rate}: expected above 0")
    try:
        from mm_fusion.nodes.player_node import play
    except ImportError as error:
        raise ConfigurationError(
            f"playing needs ROS 2: {error}; source an installation or install its wheels"
        ) from error
    return play(args)
