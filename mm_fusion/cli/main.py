"""Entry point of `mm-fusion`: imports only the verb asked for, turns errors into one line and exit 2."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from mm_fusion import __version__


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else here does; `--help` shows the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


VERBS = {
    "convert": "write a rosbag2 from a data set",
    "info": "tell what a recording holds, and write a vehicle file from it",
    "run": "detect objects in a recording, without ROS",
    "play": "publish a recording over ROS",
    "view": "draw pictures of a recording or of results",
    "evaluate": "score results against truth",
    "simulate": "make a drive that never happened: recording, live, or training data",
    "train": "train the learned detector on simulated and recorded data",
    "compare-fusion": "train and score every fusion operator from the same encoders, as one table",
    "export": "write a trained model as ONNX graphs and half-precision weights",
    "build-engine": "compile a model with TensorRT for this machine's NVIDIA GPU",
    "benchmark": "time the pipeline, stage by stage, beside plain code for the same work",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code: 0, 1 where the verb says so, 2 for bad input, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("mm-fusion: interrupted; what was written whole is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _interrupt(signal_number: int, _: object) -> None:
    raise KeyboardInterrupt


def _run(arguments: list[str]) -> int:
    verb = next((word for word in arguments if word in VERBS), None)
    module = None if verb is None or arguments[0] != verb else _import(verb)
    parsed = build_parser(module, verb).parse_args(arguments)
    if module is None:
        build_parser().print_help()
        return 0
    from mm_fusion.errors import FusionError

    try:
        return int(module.run(parsed))
    except FusionError as error:
        print(f"mm-fusion {verb}: {error}", file=sys.stderr)
        return 2


def _import(verb: str) -> ModuleType:
    return importlib.import_module(f"mm_fusion.cli.{verb.replace('-', '_')}")


def build_parser(module: ModuleType | None = None, verb: str | None = None) -> OneLineParser:
    """The parser of all verbs; only `verb` knows its arguments, from its `module`."""
    parser = OneLineParser(
        prog="mm-fusion",
        description="Camera, LiDAR and radar to fused 3D detections, on ROS 2 and on recordings.",
    )
    parser.add_argument("--version", action="version", version=f"mm_fusion {__version__}")
    verbs = parser.add_subparsers(metavar="VERB")
    for name, text in VERBS.items():
        own = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == verb and module is not None:
            module.add_arguments(own)
    return parser


if __name__ == "__main__":
    sys.exit(main())
