"""`mm-fusion build-engine MODEL [--out FOLDER] [--profile quick|default|best]`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    from mm_fusion.runtime.engine_builder import PROFILES

    parser.add_argument("model", metavar="MODEL", help="a shipped model's name, or the folder of an export")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="cache to write to, which MM_FUSION_CACHE then has to name; default: the cache in use",
    )
    parser.add_argument(
        "--profile", choices=sorted(PROFILES), default="default", help="how long the builder searches"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Build the engines of a model anew, compare them with ONNX Runtime, keep them; print where they lie."""
    from mm_fusion.config import load_config
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.network_config import LearnedConfig
    from mm_fusion.runtime.choice import check_model
    from mm_fusion.runtime.model_files import find_model, has_graphs
    from mm_fusion.runtime.tensorrt_engines import EngineShop

    folder = find_model(args.model)
    if not has_graphs(folder):
        raise ConfigurationError(f"model {args.model}: engines are built from ONNX graphs; export it first")
    config = load_config(folder / "model.yaml", LearnedConfig)
    check_model(folder, config)
    with _progress(args.quiet) as report:
        shop = EngineShop(folder, config, args.profile, report, cache=args.out)
        shop.build()
    kept = {name: path for name, path in shop.paths().items() if path.is_file()}
    if not kept:
        raise ConfigurationError("the engines are fine, but could not be kept; name a folder with --out")
    for name, path in kept.items():
        print(f"{name:<11} {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print("parity      same results as ONNX Runtime on the model's samples")
    return 0


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """What takes words of progress: one line that changes, with the time that has passed."""
    from tqdm import tqdm

    shown = "{desc} [{elapsed}]"
    with tqdm(desc="build-engine", bar_format=shown, leave=False, disable=quiet or None) as bar:
        yield lambda text: bar.set_description_str(text)
