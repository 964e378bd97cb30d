"""`mm-fusion benchmark --model MODEL [--data RECORDING] [--backend B] [--threads N] [--out FILE]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--model", default="tiny", help="a trained model, as run takes it (default tiny)")
    parser.add_argument(
        "--data", type=Path, metavar="RECORDING",
        help="recording to run on; default: the sample, brought to the size of a real car's data",
    )  # fmt: skip
    parser.add_argument("--vehicle", help="vehicle file of --data; default: found from the recording")
    parser.add_argument("--backend", default="auto", help="what runs the model (default auto)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every side (default 1)")
    parser.add_argument("--frames", type=int, default=50, help="frames timed (default 50)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="file of figures to write, .json")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Time the pipeline beside plain code; print a table and write the figures."""
    from mm_fusion.benchmarking.comparison import BenchmarkSettings, benchmark
    from mm_fusion.benchmarking.report import benchmark_report
    from mm_fusion.errors import ConfigurationError
    from mm_fusion.evaluation.json_file import check_writable, write_json
    from mm_fusion.runtime.model_files import find_model

    if args.model == "geometric":
        raise ConfigurationError("model geometric: the benchmark is of a network; name a trained model")
    if args.threads < 1 or args.frames < 1:
        raise ConfigurationError("expected --threads and --frames of at least 1")
    if args.out:
        check_writable(args.out)
    settings = BenchmarkSettings(find_model(args.model), args.backend, args.threads, args.frames)
    path, vehicle, change = _data(args)
    with _progress(args.quiet) as progress:
        tree = benchmark(path, vehicle, settings, change, progress)
    tree["data"]["changed"] = change.words() if change else None
    print(benchmark_report(tree))
    if args.out:
        write_json(args.out, tree)
        print(f"written     {args.out}")
    return 0


def _data(args: argparse.Namespace) -> tuple[Path, Any, Any]:
    """Recording, vehicle, and how its messages are changed."""
    from mm_fusion.benchmarking.load import Enlarged
    from mm_fusion.config import load_vehicle
    from mm_fusion.training.export_frames import SAMPLE_VEHICLE, sample_recording
    from mm_fusion.training.recorded_frames import vehicle_of

    if args.data is None:
        return sample_recording(), load_vehicle(args.vehicle or SAMPLE_VEHICLE), Enlarged()
    return args.data, load_vehicle(args.vehicle) if args.vehicle else vehicle_of(args.data), None


def _progress(quiet: bool) -> Any:
    """A context with a callable that takes the share done."""
    from contextlib import contextmanager

    from tqdm import tqdm

    @contextmanager
    def bar() -> Any:
        with tqdm(
            total=1000, desc="benchmark", leave=False, disable=quiet, bar_format="{l_bar}{bar}"
        ) as shown:
            yield lambda share: shown.update(round(share * 1000) - shown.n)

    return bar()
