"""A trained model as files: four ONNX graphs under one hash, their config, and weights in half precision."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mm_fusion.config import dump_config
from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.json_file import write_whole
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.samples import write_samples
from mm_fusion.network.model import FusionModel
from mm_fusion.training.export_graphs import (
    ALLOWED_OPERATORS,
    GRAPHS,
    HASH_KEY,
    OPSET,
    fold_batch_norms,
    write_graph,
)
from mm_fusion.training.export_half import halve_trunk
from mm_fusion.training.export_manifest import MANIFEST, file_hash, write_manifest

PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
"""fp16: the convolution trunk alone; int8: the trunk by QDQ as TensorRT takes it; int8-cpu: as CPUs do."""

__all__ = ["ALLOWED_OPERATORS", "GRAPHS", "HASH_KEY", "OPSET", "PRECISIONS", "export_model"]


def export_model(
    model: FusionModel,
    out: Path,
    precision: str = "fp32",
    frames: Sequence[NetworkInputs] = (),
    samples: Sequence[NetworkInputs] = (),
) -> Path:
    """The folder `out` with the four graphs `<name>.onnx`, `model.yaml`, weights, samples and manifest.

    The graphs hold the weights as they come back from half precision, so that all files say the same.
    Auxiliary heads stay behind. frames: what INT8 is calibrated on. samples: stored for whoever compares a
    backend with another. Raises `ConfigurationError` for a folder or precision that cannot be.
    """
    check_precision(precision, len(frames))
    make_folder(out)
    model_hash = _write_weights(model, out)
    served = served_model(model)
    fold_batch_norms(served)
    if precision == "fp16":
        halve_trunk(served)
    for name in GRAPHS:
        write_graph(served, name, out / f"{name}.onnx", model_hash)
    if precision.startswith("int8"):
        from mm_fusion.training.quantise import quantise_folder

        quantise_folder(out, model.config, frames, model_hash, for_cpu=precision == "int8-cpu")
    write_whole(out / "model.yaml", dump_config(model.config))
    if samples:
        write_samples(out / "samples.npz", samples)
    write_manifest(out, precision, model_hash)
    return out


def check_precision(precision: str, frames: int) -> None:
    """Raise `ConfigurationError` for a precision that is none, or that needs frames where there are none."""
    if precision not in PRECISIONS:
        raise ConfigurationError(
            f"precision {precision!r}: no such precision; choices are {', '.join(PRECISIONS)}"
        )
    if precision.startswith("int8") and not frames:
        raise ConfigurationError(f"precision {precision}: expected frames to calibrate with, got none")


def served_model(model: FusionModel) -> FusionModel:
    """A copy of the model with the weights that are served: those that come back from half precision."""
    rounded = copy.deepcopy(model).eval()
    kept = {name: value.float() for name, value in _served_weights(model).items()}
    rounded.load_state_dict(kept, strict=False)
    return rounded


def make_folder(out: Path) -> None:
    """The folder, without what would vouch for files that are about to change."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / MANIFEST).unlink(missing_ok=True)
        (out / "samples.npz").unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{out}: expected a folder to write to, got {error}") from error
    if not os.access(out, os.W_OK):
        raise ConfigurationError(f"{out}: expected a folder to write to, got one without permission")


def _write_weights(model: FusionModel, out: Path) -> str:
    """Write the weights; the hash that config and weights have together."""
    from safetensors.torch import save_file

    partial, path = out / "weights.safetensors.partial", out / "weights.safetensors"
    save_file(_served_weights(model), partial)
    partial.chmod(0o644)
    os.replace(partial, path)
    return f"{model.config.hash()}-{file_hash(path)[:12]}"


def _served_weights(model: FusionModel) -> dict[str, Tensor]:
    state = model.state_dict()
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in state.items()
        if not name.startswith("auxiliary.")
    }
