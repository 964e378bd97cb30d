"""Frozen features of frames on disk, so that many operators can be trained on what was encoded once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mm_fusion.errors import FusionError
from mm_fusion.network.model import FusionModel
from mm_fusion.training.batches import Collation
from mm_fusion.training.datasets import Sample
from mm_fusion.training.evidence import sensor_evidence

TARGETS = (
    "heatmap", "region", "cell", "class_index", "box", "velocity", "velocity_valid", "moving", "valid",
)  # fmt: skip
"""What of the targets is learned from; those of depth belong to the encoders."""
Arrays = dict[str, np.ndarray]


class FeatureCache:
    """One file per frame and draw in `folder`; what is there is not encoded again.

    features: (3, C, X, Y) of camera (lifted), LiDAR and radar before their norms. stems: (2, C, X, Y), the
    first convolutions of LiDAR and radar, for early joining. coverage, evidence: (3, X, Y). Files for
    training hold float16 features and heatmaps, those to be scored float32: exact.
    """

    def __init__(self, folder: Path, model: FusionModel, exact: bool, stems: bool) -> None:
        self.folder, self.exact, self.stems = folder, exact, stems
        self._model, self._collate = model.eval(), Collation(model.config)

    def path(self, name: str) -> Path:
        """Where the arrays of one frame lie."""
        return self.folder / f"{name}.npz"

    def has(self, name: str) -> bool:
        """Whether a whole file is there."""
        return self.path(name).is_file()

    def add(self, name: str, sample: Sample) -> None:
        """Encode a sample and write its file."""
        batch = self._collate([sample])
        arrays = self._encoded(batch["inputs"])
        if not self.exact:
            arrays |= {key: batch["targets"][key][0].numpy() for key in TARGETS}
        for key in () if self.exact else ("features", "stems", "heatmap"):
            if key in arrays:
                arrays[key] = arrays[key].astype(np.float16)
        _write(self.path(name), arrays)

    @torch.no_grad()
    def _encoded(self, inputs: dict[str, Tensor]) -> Arrays:
        model, network = self._model, self._model.fusion
        given = model.encode(inputs)
        table = (given["lift_index"], given["lift_bin"], given["lift_weight"])
        camera = network.lift(given["camera_rows"], given["camera_depth"], *table, given["camera_age"])
        features = torch.cat([camera, given["lidar_features"], given["radar_features"]])
        found = {
            "features": features.numpy(),
            "coverage": given["coverage"][0].numpy(),
            "evidence": sensor_evidence(inputs, model.config)[0].numpy() > 0,
        }
        if self.stems:
            found["stems"] = torch.cat([self._stem(name, inputs) for name in ("lidar", "radar")]).numpy()
        return found

    def _stem(self, name: str, inputs: dict[str, Tensor]) -> Tensor:
        stem = (self._model.lidar if name == "lidar" else self._model.radar).stem(inputs[name])
        missing = self._model.config.trunk.channels - stem.shape[1]
        return torch.nn.functional.pad(stem, (0, 0, 0, 0, 0, missing))

    def read(self, name: str) -> Arrays:
        """The arrays of one frame; raises `FusionError` where its file is broken."""
        try:
            with np.load(self.path(name)) as file:
                return {key: file[key] for key in file.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise FusionError(
                f"{self.path(name)}: expected cached features, got {error}; delete it and run again"
            ) from error


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(beside, path)
    except OSError as error:
        raise FusionError(f"{path}: cannot be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)


def batches(
    cache: FeatureCache, names: Sequence[str], size: int, seed: int
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Inputs and targets (B, ...) in an order that `seed` alone decides, without end."""
    rng = np.random.default_rng((seed, 7))
    order: list[int] = []
    while True:
        while len(order) < size:
            order += rng.permutation(len(names)).tolist()
        rows = [cache.read(names[number]) for number in order[:size]]
        del order[:size]
        yield stacked(rows)


def stacked(rows: Sequence[Arrays]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs (features (S, B, C, X, Y), the others (B, ...)) and targets of several files."""
    tensors = {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}
    tensors = {
        key: each.float() if each.dtype in (torch.float16, torch.bool) else each
        for key, each in tensors.items()
    }
    targets = {key: tensors.pop(key) for key in TARGETS if key in tensors}
    for key in ("features", "stems"):
        if key in tensors:
            tensors[key] = tensors[key].transpose(0, 1).contiguous()
    return tensors, targets


def has_stems(folder: Path) -> bool:
    """Whether the features of a folder were encoded with stems: then they stay so."""
    try:
        return bool(json.loads((folder / "about.json").read_text(encoding="utf-8"))["stems"])
    except (OSError, ValueError, KeyError):
        return False


def write_about(folder: Path, tree: dict[str, object]) -> None:
    """Say beside the files what they are; raises `FusionError` where the folder holds other features."""
    path = folder / "about.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if known != tree:
            differ = [key for key in tree if known.get(key) != tree[key]]
            raise FusionError(
                f"{folder}: holds features of other {', '.join(differ)}; delete it or choose another --out"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
