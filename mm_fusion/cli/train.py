"""`mm-fusion train --config FILE --data DIR [DIR ...] --out RUN --steps N`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mm_fusion.network_config import LearnedConfig
    from mm_fusion.training.settings import TrainingConfig

PLAIN = (
    "steps", "batch", "rate", "seed", "save_every", "precision", "val_every", "folds", "fold",
    "shuffle_labels",
)  # fmt: skip
"""Flags that stand in the settings by the same name."""
LISTS = {"shares": "shares", "sensors": "sensors", "freeze": "frozen"}
"""Flags with commas, and their names in the settings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "--config", help="sizes of the model: a file, or a shipped one's name; default: those of --start"
    )
    parser.add_argument(
        "--fusion", metavar="NAME", help="operator that joins sensors, in place of the config's"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="others of the config: depth=false camera.taps=4",
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR", help="simulated data sets or recordings"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--vehicle", help="vehicle file of recordings; default: found from each")
    parser.add_argument(
        "--start", metavar="MODEL", help="what a new run begins with: a run, a checkpoint, or a shipped model"
    )
    parser.add_argument("--val", type=Path, metavar="DIR", help="data to look at every --val-every steps")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_settings(parser.add_argument_group("settings, each before the same one of --settings"))


def _add_settings(group: Any) -> None:
    group.add_argument("--settings", help="a file, or a shipped recipe's name: tiny, astyx, astyx_real, ...")
    group.add_argument("--steps", type=int, help="optimiser steps in all")
    group.add_argument("--batch", type=int, help="frames per step, 4")
    group.add_argument("--rate", type=float, help="highest learning rate, 2e-3")
    group.add_argument("--seed", type=int, help="of weights, order and what goes missing, 1")
    group.add_argument("--save-every", type=int, help="steps between checkpoints, 100")
    group.add_argument("--precision", help="32-true, or bf16-mixed where that is faster")
    group.add_argument("--shares", help="share of each DIR in every batch, with commas; else by size")
    group.add_argument("--sensors", help="sensors that take part, with commas; else camera,lidar,radar")
    group.add_argument("--freeze", help="graphs that stay as they are, with commas")
    group.add_argument("--folds", type=int, help="leave one of so many parts of a recording's runs out")
    group.add_argument("--fold", type=int, help="which one, from 0")
    group.add_argument("--val-every", type=int, help="steps between looks at frames not trained on; 0: none")
    group.add_argument(
        "--shuffle-labels", action="store_true", default=None, help="give each frame another's truth"
    )


def run(args: argparse.Namespace) -> int:
    """Train, going on with what the folder holds; print where the checkpoint lies."""
    from mm_fusion.config import load_vehicle
    from mm_fusion.training.run import train

    settings = settings_of(args)
    vehicle = load_vehicle(args.vehicle) if args.vehicle else None
    last = train(
        config_of(args),
        settings,
        args.data,
        args.out,
        vehicle,
        args.start,
        args.workers,
        args.quiet,
        args.val,
    )
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts, the first speaks
        print(f"written     {last}")
    return 0


def config_of(args: argparse.Namespace) -> LearnedConfig:
    """The sizes that are asked for, else those of what the run begins with; raises `ConfigurationError`."""
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.network_config import load_learned, with_fusion, with_values
    from mm_fusion.training.run import start_of

    if args.config is not None:
        config = load_learned(args.config)
    elif args.start is not None:
        config = start_of(args.start).config
    else:
        raise ConfigurationError("expected --config, or --start whose sizes it may have, got neither")
    if args.fusion:
        config = with_fusion(config, args.fusion)
    return with_values(config, args.set)


def settings_of(args: argparse.Namespace) -> TrainingConfig:
    """The settings of a file with what the flags say in its place; raises `ConfigurationError`."""
    from mm_fusion.config import find_file, load_config, parse_config
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.training.settings import TrainingConfig

    if args.settings is None and args.steps is None:
        raise ConfigurationError("expected --steps, or a recipe with --settings, got neither")
    tree: dict[str, Any] = {}
    if args.settings is not None:
        tree = load_config(find_file("config/training", args.settings), TrainingConfig).model_dump()
    tree |= {name: getattr(args, name) for name in PLAIN if getattr(args, name) is not None}
    given = {name: getattr(args, flag) for flag, name in LISTS.items()}
    tree |= {name: tuple(filter(None, text.split(","))) for name, text in given.items() if text is not None}
    return parse_config(tree, TrainingConfig, "train")
