"""`mm-fusion train --config FILE --data DIR [DIR ...] --out RUN --steps N`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--config", required=True, help="sizes of the model: a file, or a shipped one's name")
    parser.add_argument(
        "--fusion", metavar="NAME", help="operator that joins sensors, in place of the config's"
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR", help="simulated data sets or recordings"
    )
    parser.add_argument("--shares", help="share of each DIR in every batch, with commas; default: by size")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--steps", type=int, required=True, help="optimiser steps in all")
    parser.add_argument("--vehicle", help="vehicle file of recordings; default: found from each")
    parser.add_argument("--batch", type=int, default=4, help="frames per step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1, help="of weights, order and what goes missing")
    parser.add_argument("--save-every", type=int, default=100, help="steps between checkpoints")
    parser.add_argument("--sensors", default="camera,lidar,radar", help="sensors that take part, with commas")
    parser.add_argument("--precision", default="32-true", help="32-true, or bf16-mixed where that is faster")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="weights that a new run begins with")
    parser.add_argument("--freeze", default="", help="graphs that stay as they are, with commas")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Train, going on with what the folder holds; print where the checkpoint lies."""
    from pydantic import ValidationError

    from mm_fusion.config import load_vehicle
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.network_config import load_learned, with_fusion
    from mm_fusion.training.run import train
    from mm_fusion.training.settings import TrainingConfig

    plain = ("steps", "batch", "rate", "seed", "save_every", "precision")
    try:
        settings = TrainingConfig.model_validate(
            {name: getattr(args, name) for name in plain}
            | {"sensors": tuple(args.sensors.split(","))}
            | {"shares": args.shares.split(",") if args.shares else None}
            | {"frozen": tuple(filter(None, args.freeze.split(",")))}
        )
    except ValidationError as error:
        raise ConfigurationError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from None
    vehicle = load_vehicle(args.vehicle) if args.vehicle else None
    config = load_learned(args.config)
    if args.fusion:
        config = with_fusion(config, args.fusion)
    last = train(config, settings, args.data, args.out, vehicle, args.start, args.workers, args.quiet)
    print(f"written     {last}")
    return 0
