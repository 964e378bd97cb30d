"""`make gpu-check`: engines built and compared, every backend timed, and a text to paste into a bug report.

`gpu_check.py [MODEL]` takes what `--model` takes; without one it is the shipped `tiny`, or its sizes with
random weights where no model is shipped. Exit code 1 where nothing could be checked or something failed.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from roofline import peaks, work_of

from mm_fusion import __version__
from mm_fusion.config import load_config
from mm_fusion.errors import FusionError
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig, load_learned
from mm_fusion.runtime.backends import BACKENDS, REDUCED, Options, is_installed, open_backend
from mm_fusion.runtime.device_probe import (
    Probe,
    installed_version,
    operating_system,
    probe,
    processor,
    usable_cores,
)
from mm_fusion.runtime.frame_run import Graphs, encoded, fusion_inputs, run_frame
from mm_fusion.runtime.gate import Gate
from mm_fusion.runtime.model_files import find_model, shipped_models
from mm_fusion.runtime.tensorrt_engines import EngineShop

RUNS = 50
LIBRARIES = ("tensorrt", "torch", "onnxruntime", "onnxruntime-gpu", "openvino", "onnx", "numpy")


def main() -> int:
    machine = probe()
    print_machine(machine)
    if machine.problem:
        print(f"mm_fusion: {machine.problem}: nothing was checked", file=sys.stderr)
        print(
            "gpu-check needs an NVIDIA GPU, its driver, a torch built with CUDA, and TensorRT: pip install "
            "-c constraints.txt -e .[gpu]",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen_model(Path(scratch))
        config = load_config(folder / "model.yaml", LearnedConfig)
        built = build(folder, config, Path(scratch))
        fine = table(folder, config, built)
        if not isinstance(built, str):
            share_of_roofline(folder, config, built)
        print("--- to here ---")
        return 0 if fine else 1


def print_machine(machine: Probe) -> None:
    print("--- paste from here into a bug report ---")
    print(f"mm_fusion   {__version__}, Python {platform.python_version()}, {operating_system()}")
    print(f"processor   {processor()}, {usable_cores()} cores")
    print(f"GPU         {machine.gpu or 'none'} {machine.compute}, driver {machine.driver or 'none'}")
    print(f"TensorRT    {machine.tensorrt or 'none'}")
    print("libraries   " + ", ".join(f"{name} {installed_version(name) or '-'}" for name in LIBRARIES))


def chosen_model(scratch: Path) -> Path:
    if len(sys.argv) > 1:
        return find_model(sys.argv[1])
    if "tiny" in shipped_models():
        return find_model("tiny")
    import torch

    from mm_fusion.network.model import FusionModel
    from mm_fusion.training.export import export_model

    print("model       tiny, untrained")
    torch.manual_seed(0)
    return export_model(FusionModel(load_learned("tiny")).eval(), scratch / "tiny")


def build(folder: Path, config: LearnedConfig, scratch: Path) -> Graphs | str:
    """Engines built anew in a cache of their own and past the gate, or why not."""
    print(f"model       {config.name}, config {config.hash()}")
    began = time.monotonic()
    try:
        shop = EngineShop(folder, config, "default", progress, cache=scratch / "cache")
        engines = shop.build()
    except FusionError as error:
        print(f"\nengines     {error}")
        return str(error)
    print(f"\nengines     built and equal to ONNX Runtime in {time.monotonic() - began:.0f} s")
    return engines


def progress(text: str) -> None:
    print(f"\r\033[K{text}", end="", flush=True)


def table(folder: Path, config: LearnedConfig, built: Graphs | str) -> bool:
    """Print times of every backend; whether TensorRT is among them."""
    gate = Gate(folder, config)
    print(
        f"\n{'ms, p50 / p95':<18}{'camera':>16}{'lidar':>16}{'radar':>16}{'fusion':>16}{'frame':>16}  parity"
    )
    for name in BACKENDS:
        if name == "tensorrt":
            graphs = built
        else:
            graphs = opened(name, folder, config)
        if isinstance(graphs, str):
            print(f"{name:<18}{graphs.splitlines()[0]}")
            continue
        difference = gate.difference(graphs, name in REDUCED) or "same"
        print(f"{name:<18}{times(graphs, gate.frames[0], config)}  {difference}")
    return not isinstance(built, str)


def share_of_roofline(folder: Path, config: LearnedConfig, engines: Graphs) -> None:
    """Print a frame's work, what the device does at best, and the share of it that TensorRT reached."""
    work = work_of(folder / "camera.onnx").times(config.camera.max_cameras)
    for name in ("lidar", "radar", "fusion"):
        work += work_of(folder / f"{name}.onnx")
    flops_per_s, bytes_per_s = peaks()
    frame = Gate(folder, config).frames[0]
    taken_s = statistics.median(durations_ms(lambda: run_frame(engines, frame, config))) / 1e3
    least_s = work.least_s(flops_per_s, bytes_per_s)
    print(
        f"\nroofline    a frame is {work.flops / 1e9:.1f} GFLOP and at least {work.bytes / 1e6:.1f} MB; "
        f"measured peaks {flops_per_s / 1e12:.0f} TFLOP/s (float16) and {bytes_per_s / 1e9:.0f} GB/s allow "
        f"{1e3 * least_s:.3f} ms, TensorRT takes {1e3 * taken_s:.2f} ms with copies to and from the host: "
        f"{least_s / taken_s:.1%}"
    )


def opened(name: str, folder: Path, config: LearnedConfig) -> Graphs | str:
    if not is_installed(name):
        return "not installed"
    try:
        return open_backend(name, folder, config, Options())
    except FusionError as error:
        return str(error)


def times(graphs: Graphs, frame: NetworkInputs, config: LearnedConfig) -> str:
    given = fusion_inputs(frame, encoded(graphs, frame, config))
    work: Mapping[str, Callable[[], object]] = {
        "camera": lambda: graphs["camera"].run({"image": frame["images"][:1]}),
        "lidar": lambda: graphs["lidar"].run({"raster": frame["lidar"]}),
        "radar": lambda: graphs["radar"].run({"raster": frame["radar"]}),
        "fusion": lambda: graphs["fusion"].run(given),
        "frame": lambda: run_frame(graphs, frame, config),
    }
    return "".join(f"{timed(each):>16}" for each in work.values())


def timed(work: Callable[[], object]) -> str:
    taken = durations_ms(work)
    return f"{statistics.median(taken):.2f} / {statistics.quantiles(taken, n=20)[-1]:.2f}"


def durations_ms(work: Callable[[], object]) -> list[float]:
    work()
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


if __name__ == "__main__":
    sys.exit(main())
