"""`mm-fusion export --model CHECKPOINT --out FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--model", type=Path, required=True, help="checkpoint of mm-fusion train")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")


def run(args: argparse.Namespace) -> int:
    """Write four graphs, config and weights; print where."""
    from mm_fusion.training.checkpoint import load_checkpoint
    from mm_fusion.training.export import export_model

    out = export_model(load_checkpoint(args.model), args.out)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"written     {out} ({size / 1e6:.1f} MB)")
    return 0
