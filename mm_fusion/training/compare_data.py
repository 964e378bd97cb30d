"""Frames to cached features: augmented draws for training, and what is scored, whole and spoilt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.evaluation.conditions import parse_conditions
from mm_fusion.evaluation.corruptions import Corruptor
from mm_fusion.evaluation.labelled_data import LabelledData, open_data, scene_of
from mm_fusion.frame import Frame
from mm_fusion.network.model import FusionModel
from mm_fusion.training.augmentation import Augmentation
from mm_fusion.training.compare_cache import FeatureCache, write_about
from mm_fusion.training.compare_score import SPOILT, Scorer
from mm_fusion.training.datasets import SampleDataset, open_frames
from mm_fusion.training.labelled import EVERYWHERE
from mm_fusion.training.settings import AugmentConfig

Tell = Callable[[Iterable[int], str], Iterable[int]]
"""Wraps a loop over numbers with a progress bar of that title."""


@dataclass(frozen=True)
class Extent:
    """How much is encoded. frames, scored: at most so many, evenly spread; draws: augmented ones of each."""

    frames: int = 1000
    draws: int = 2
    scored: int = 130
    split: str = "val"
    bootstrap: int = 200
    seed: int = 1


def encoders_hash(model: FusionModel) -> str:
    """Twelve digits of everything that made the features: encoders and the camera's lift."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if name.startswith(("camera.", "lidar.", "radar.", "fusion.lift.")):
            digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` numbers, evenly spread."""
    return sorted({int(n) for n in np.linspace(0, count - 1, min(count, most)).round()})


def training_features(
    model: FusionModel,
    folders: Sequence[Path],
    out: Path,
    extent: Extent,
    stems: bool,
    vehicle: VehicleConfig | None,
    tell: Tell,
) -> tuple[FeatureCache, list[str]]:
    """The cache of augmented training frames and the names in it; encodes what is missing."""
    cache = FeatureCache(out / "features" / "train", model, exact=False, stems=stems)
    opened = [open_frames(folder, "train", vehicle) for folder in folders]
    if not any(len(each) for each in opened):
        raise ConfigurationError(f"{folders[0]}: expected labelled frames, found none")
    write_about(
        cache.folder,
        {
            "encoders": encoders_hash(model),
            "data": [f"{folder.name} {len(each)}" for folder, each in zip(folders, opened)],
            "stems": stems,
            "seed": extent.seed,
        },
    )
    names = []
    for place, frames in enumerate(opened):
        augment = Augmentation(frames, model.config, AugmentConfig())
        samples = SampleDataset(frames, model.config, augment, extent.seed, turns=extent.draws)
        numbers = spread(len(frames), max(1, extent.frames // len(opened)))
        for number in tell(numbers, f"encoding {folders[place].name}"):
            for draw in range(extent.draws):
                names.append(f"{place}_{number:06d}_{draw}")
                if not cache.has(names[-1]):
                    cache.add(names[-1], samples.sample(number, draw))
    return cache, names


class _Spoilt:
    """Frames under a condition of `evaluation/conditions.py`, with the truth of the whole ones."""

    region = EVERYWHERE

    def __init__(self, data: LabelledData, condition: str) -> None:
        self.vehicle = data.vehicle
        self._data, self._corruptor = data, Corruptor(data, parse_conditions(condition)[0])

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        return self._corruptor.apply(number)[0], self._data.frames[number][1]


class _Whole(_Spoilt):
    """The frames as they are."""

    def __init__(self, data: LabelledData) -> None:
        self.vehicle, self._data = data.vehicle, data

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        return self._data.frames[number]


def make_scorer(
    model: FusionModel, folder: Path, out: Path, extent: Extent, stems: bool, tell: Tell
) -> tuple[Scorer, str]:
    """What scores networks on frames of a folder, and what names those frames; encodes what is missing."""
    data = open_data(folder, extent.split)
    numbers = spread(len(data), extent.scored)
    names = [f"{number:06d}" for number in numbers]
    caches = {}
    for kind in ("all", *SPOILT):
        cache = FeatureCache(out / "features" / kind, model, exact=True, stems=stems)
        about = {"encoders": encoders_hash(model), "data": data.digest, "stems": stems}
        write_about(cache.folder, about | {"condition": SPOILT.get(kind, "")})
        frames = _Whole(data) if kind == "all" else _Spoilt(data, SPOILT[kind])
        samples = SampleDataset(frames, model.config)
        for number, name in zip(tell(numbers, f"encoding {kind}"), names):
            if not cache.has(name):
                cache.add(name, samples.sample(number))
        caches[kind] = cache
    scenes = [scene_of(*data.frames[number]) for number in numbers]
    # runs without a frame among those chosen do not count in the bootstrap
    runs = np.unique(data.run[numbers], return_inverse=True)[1].tolist()
    scorer = Scorer(caches, names, scenes, runs, data.region, extent.bootstrap)
    return scorer, f"{data.digest} {len(names)}"
