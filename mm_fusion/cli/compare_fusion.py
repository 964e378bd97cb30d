"""`mm-fusion compare-fusion --config FILE --data DIR --out REPORT`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--config", required=True, help="sizes of the model: a file, or a shipped one's name")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR", help="simulated data sets or recordings"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="REPORT", help="folder of the report")
    parser.add_argument(
        "--val", type=Path, metavar="DIR", help="what is scored; default: the first of --data"
    )
    parser.add_argument("--split", default="val", help="split of simulated data that is scored")
    parser.add_argument(
        "--encoders",
        metavar="MODEL",
        help="a model whose encoders are used; default: some are trained",
    )
    parser.add_argument("--encoder-steps", type=int, default=2000, help="steps of encoders that are trained")
    parser.add_argument("--operators", default="all", help="rows, with commas; all: every one")
    parser.add_argument("--steps", type=int, default=1500, help="optimiser steps of each row")
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="most minutes of processor time of each row, 0: no limit"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of leader, runner-up and default")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--batch", type=int, default=4, help="frames per step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--frames", type=int, default=1000, help="frames trained on, at most")
    parser.add_argument("--draws", type=int, default=2, help="augmented draws of each that are encoded")
    parser.add_argument("--scored", type=int, default=130, help="frames scored, at most")
    parser.add_argument("--bootstrap", type=int, default=200, help="draws of runs for intervals")
    parser.add_argument("--vehicle", help="vehicle file of recordings; default: found from each")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Train and score what is missing, print the table; the report is renewed after every row."""
    from mm_fusion.config import load_vehicle
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.network_config import load_learned
    from mm_fusion.training.compare import Comparison, compare
    from mm_fusion.training.compare_data import Extent
    from mm_fusion.training.compare_jobs import chosen_rows
    from mm_fusion.training.compare_report import report_text
    from mm_fusion.training.compare_train import Recipe

    for name in ("steps", "seeds", "batch", "frames", "draws", "scored", "bootstrap", "encoder_steps"):
        if getattr(args, name) < 1:
            raise ConfigurationError(
                f"--{name.replace('_', '-')}: expected 1 or more, got {getattr(args, name)}"
            )
    extent = Extent(args.frames, args.draws, args.scored, args.split, args.bootstrap, args.seed)
    tree = compare(
        Comparison(
            config=load_learned(args.config),
            data=args.data,
            out=args.out,
            rows=chosen_rows(args.operators),
            recipe=Recipe(args.steps, args.minutes, args.batch, args.rate, args.seed),
            seeds=args.seeds,
            val=args.val,
            encoders=args.encoders,
            encoder_steps=args.encoder_steps,
            vehicle=load_vehicle(args.vehicle) if args.vehicle else None,
            extent=extent,
            quiet=args.quiet,
        )
    )
    print(report_text(tree))
    print(f"written     {args.out / 'comparison.json'}, comparison.md, conditions.png, cost.png")
    return 0
