"""Training data in shards: train, val and test held out by parameters, resumable, described by a manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mm_fusion import __version__
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import BagError, ConfigurationError
from mm_fusion.evaluation.json_file import read_json, write_json
from mm_fusion.simulation.clocks import random_of
from mm_fusion.simulation.rig import RigOptions
from mm_fusion.simulation.samples import SPLITS, draw_drive, samples_of
from mm_fusion.simulation.shards import Sample, write_shard
from mm_fusion.simulation.workers import process_pool, quiet_end

MANIFEST = "manifest.json"
SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
WITHOUT_EFFECT = ("bag", "dataset", "shards", "workers")
"""Files of the simulator, beside those that compare, that change nothing of what is measured."""
FRAMES_PER_SHARD = 32
FRAMES_PER_DRIVE = 4
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DatasetSettings:
    """All that a data set depends on. vehicle: its file's tree; simulator: hash of the simulator's source."""

    vehicle: dict[str, Any]
    frames: int
    seed: int
    camera_width_px: int
    lidar_step: int
    simulator: str
    frames_per_shard: int = FRAMES_PER_SHARD
    frames_per_drive: int = FRAMES_PER_DRIVE

    @classmethod
    def of(
        cls, vehicle: VehicleConfig, frames: int, seed: int, camera_width_px: int = 352, lidar_step: int = 1
    ) -> DatasetSettings:
        """The settings of `frames` frames of a vehicle."""
        tree = vehicle.model_dump(mode="json", exclude_none=True)
        return cls(tree, frames, seed, camera_width_px, lidar_step, simulator_hash())

    def hash(self) -> str:
        """Twelve digits that name these settings."""
        rules = {name: asdict(rule) for name, rule in SPLITS.items()}
        text = json.dumps({**asdict(self), "splits": rules, "shares": SHARES}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Shard:
    """One file of a data set."""

    split: str
    number: int
    frames: int

    @property
    def name(self) -> str:
        """Its path below the data set's folder."""
        return f"{self.split}/{self.number:05d}.npz"


def simulator_hash() -> str:
    """Twelve digits that name the simulator by its source; figures made with it name them too."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem.startswith("compare") or path.stem in WITHOUT_EFFECT:
            continue
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def shards_of(settings: DatasetSettings) -> Iterator[Shard]:
    """Every file of a data set, split by split."""
    for split, share in SHARES.items():
        left, number = max(1, round(settings.frames * share)), 0
        while left > 0:
            yield Shard(split, number, min(left, settings.frames_per_shard))
            left, number = left - settings.frames_per_shard, number + 1


def write_dataset(
    folder: Path,
    settings: DatasetSettings,
    workers: int = 1,
    progress: Progress | None = None,
    splits: Collection[str] = tuple(SHARES),
) -> dict[str, Any]:
    """Write all shards of `splits` that are not there yet and the manifest, which is returned.

    After an interrupt the same call goes on with what is missing. Other splits that are whole stay listed.
    Raises `ConfigurationError` for an unknown split and where `folder` holds a data set with other settings,
    and `BagError` where it cannot be written.
    """
    unknown = sorted(set(splits) - set(SHARES))
    if unknown or not splits:
        raise ConfigurationError(
            f"splits: expected some of {', '.join(SHARES)}, got {', '.join(unknown) or 'none'}"
        )
    _claim(folder, settings)
    for left in folder.glob("*/.*.part"):
        left.unlink(missing_ok=True)
    shards = _wanted(folder, settings, splits)
    missing = [shard for shard in shards if not (folder / shard.name).is_file()]
    total = sum(shard.frames for shard in shards)
    done = total - sum(shard.frames for shard in missing)
    for frames in _made(folder, settings, missing, workers):
        done += frames
        if progress is not None:
            progress(done, total)
    return _write_manifest(folder, settings, shards)


def _wanted(folder: Path, settings: DatasetSettings, splits: Collection[str]) -> list[Shard]:
    """The shards of `splits`, and of every other split that is whole already."""
    shards = list(shards_of(settings))
    cut = {shard.split for shard in shards if not (folder / shard.name).is_file()} - set(splits)
    return [shard for shard in shards if shard.split not in cut]


def _claim(folder: Path, settings: DatasetSettings) -> None:
    """Write the settings first, so that no other data set can be mixed into the folder."""
    path = folder / MANIFEST
    if path.is_file():
        known = read_json(path)
        if known.get("hash") != settings.hash():
            ours = asdict(settings)
            differ = [key for key, value in ours.items() if known.get("settings", {}).get(key) != value]
            raise ConfigurationError(
                f"{folder}: holds a data set with other settings ({', '.join(differ) or 'rules of splits'}); "
                "name another folder, or delete this one"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder}: is not empty and has no {MANIFEST}; name another folder")
    else:
        _write_manifest(folder, settings, [])


def _write_manifest(folder: Path, settings: DatasetSettings, shards: list[Shard]) -> dict[str, Any]:
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SHARES}
    for shard in shards:
        splits[shard.split].append({"file": shard.name, "frames": shard.frames})
    manifest = {
        "version": 1,
        "mm_fusion": __version__,
        "hash": settings.hash(),
        "whole": bool(shards),
        "settings": asdict(settings),
        "rules": {name: asdict(rule) for name, rule in SPLITS.items()},
        "splits": splits,
    }
    write_json(folder / MANIFEST, manifest)
    written: dict[str, Any] = read_json(folder / MANIFEST)
    return written


def _made(folder: Path, settings: DatasetSettings, missing: list[Shard], workers: int) -> Iterator[int]:
    """Frames of each shard as it becomes whole."""
    if workers <= 1:
        for shard in missing:
            yield make_shard(folder, settings, shard)
        return
    with process_pool(workers, quiet_end) as pool:
        jobs = [pool.submit(make_shard, folder, settings, shard) for shard in missing]
        for job in as_completed(jobs):
            yield job.result()


def make_shard(folder: Path, settings: DatasetSettings, shard: Shard) -> int:
    """Simulate and write one shard; the number of its frames."""
    vehicle = VehicleConfig.model_validate(settings.vehicle)
    options = RigOptions(settings.camera_width_px, settings.lidar_step)
    samples: list[Sample] = []
    drives: list[dict[str, Any]] = []
    drive = 0
    while len(samples) < shard.frames:
        seed = int(random_of(settings.seed, shard.split, shard.number, drive).integers(2**31))
        count = min(settings.frames_per_drive, shard.frames - len(samples))
        simulator, drawn = draw_drive(vehicle, SPLITS[shard.split], seed, count, options)
        samples += list(samples_of(simulator, count))
        drives.append({**drawn, "seed": seed, "frames": count})
        drive += 1
    about = {"split": shard.split, "hash": settings.hash(), "drives": drives}
    write_shard(folder / shard.name, samples, about)
    return shard.frames


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a whole data set; raises `BagError` where it is missing or unfinished."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BagError(f"{folder}: has no {MANIFEST}; expected the folder of simulate --dataset")
    manifest: dict[str, Any] = read_json(path)
    if not manifest.get("whole"):
        raise BagError(f"{folder}: is unfinished; run the same simulate --dataset again to go on")
    return manifest
