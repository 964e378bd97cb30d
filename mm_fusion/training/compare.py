"""Every fusion operator trained and scored from the same frozen encoders, as a queue that can be resumed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mm_fusion.config import VehicleConfig
from mm_fusion.errors import ConfigurationError, ResultError
from mm_fusion.evaluation.json_file import read_json, write_json
from mm_fusion.network.fusion.choice import OPERATORS
from mm_fusion.network.model import FusionModel
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.compare_cache import FeatureCache, has_stems
from mm_fusion.training.compare_data import Extent, encoders_hash, make_scorer, training_features
from mm_fusion.training.compare_jobs import JOININGS, Job, job_of
from mm_fusion.training.compare_model import ComparedNetwork
from mm_fusion.training.compare_report import overall, report_tree, write_report
from mm_fusion.training.compare_score import Scorer, costs_of
from mm_fusion.training.compare_train import Recipe, train_on_cache

SHARED = ("grid", "classes", "lidar", "radar", "camera", "lidar_encoder", "radar_encoder", "depth", "trunk")
"""What of a config the encoders hang on."""


@dataclass(frozen=True)
class Comparison:
    """What is asked for. encoders: a model by name or path, None to train some first in `out/encoders`."""

    config: LearnedConfig
    data: Sequence[Path]
    out: Path
    rows: Sequence[str]
    recipe: Recipe
    seeds: int = 3
    val: Path | None = None
    encoders: str | None = None
    encoder_steps: int = 2000
    vehicle: VehicleConfig | None = None
    extent: Extent = field(default_factory=Extent)
    quiet: bool = False


def compare(asked: Comparison) -> dict[str, Any]:
    """The tree of `comparison.json` in `asked.out`, beside a table and plots; goes on with what is there.

    Raises `FusionError` for data, encoders or features that do not fit.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    encoders = _encoders(asked)
    stems = "early" in asked.rows or has_stems(asked.out / "features" / "train")
    cache, names = training_features(
        encoders, asked.data, asked.out, asked.extent, stems, asked.vehicle, _teller(asked.quiet)
    )
    scorer, scored = make_scorer(
        encoders, asked.val or asked.data[0], asked.out, asked.extent, stems, _teller(asked.quiet)
    )
    features = f"{encoders_hash(encoders)} {len(names)} of {asked.extent.draws}; {scored}"
    queue = _Queue(asked, encoders, cache, names, scorer, features)
    results = queue.run(asked.rows, asked.recipe.seed)
    if all(row in results for row in asked.rows) and asked.seeds > 1:
        again = best_rows(results, asked.config.fusion)
        for seed in range(asked.recipe.seed + 1, asked.recipe.seed + asked.seeds):
            queue.run(again, seed)
    return queue.report()


def best_rows(results: dict[str, dict[str, Any]], default: str) -> list[str]:
    """Leader and runner-up among the operators by mean mAP over all conditions, and the default."""
    operators = sorted((row for row in results if row in OPERATORS), key=lambda row: -overall(results[row]))
    return list(dict.fromkeys([*operators[:2], *([default] if default in results else [])]))


class _Queue:
    """Jobs worked off one by one; several processes may share one folder."""

    def __init__(
        self,
        asked: Comparison,
        encoders: FusionModel,
        cache: FeatureCache,
        names: list[str],
        scorer: Scorer,
        features: str,
    ) -> None:
        self._asked, self._encoders, self._cache = asked, encoders, cache
        self._names, self._scorer, self._features = names, scorer, features
        self._jobs: list[Job] = []

    def run(self, rows: Sequence[str], seed: int) -> dict[str, dict[str, Any]]:
        """Results by row, but for those that another process has in hand; renews the report after each."""
        found = {}
        for row in rows:
            recipe = Recipe(**{**vars(self._asked.recipe), "seed": seed})
            job = job_of(row, self._asked.config, recipe, self._features)
            self._jobs.append(job)
            result = self.result(job)
            if result is None:
                with _claimed(self._folder / f"{job.file}.claim") as mine:
                    result = self._made(job) if mine else None
                self.report()
            if result is not None:
                found[row] = result
        return found

    @property
    def _folder(self) -> Path:
        return self._asked.out / "jobs"

    def result(self, job: Job) -> dict[str, Any] | None:
        """What an earlier run left of a job, None where it is not there or of other inputs."""
        path = self._folder / job.file
        if not path.is_file():
            return None
        try:
            tree = read_json(path)
        except ResultError:
            return None
        return tree if isinstance(tree, dict) and tree.get("key") == job.key() else None

    def _made(self, job: Job) -> dict[str, Any]:
        torch.manual_seed(job.recipe.seed)
        network = ComparedNetwork(job.config, self._encoders, job.adapters)
        bar = _bar(job.recipe.steps, f"{job.row} {job.recipe.seed}", self._asked.quiet)
        trained = train_on_cache(network, self._cache, self._names, job.recipe, lambda _: bar.update(1))
        bar.close()
        costs = costs_of(network) if job.row in OPERATORS else {}
        tree = {
            "key": job.key(),
            "row": job.row,
            "seed": job.recipe.seed,
            "steps": trained.steps,
            "seconds": trained.seconds,
            "loss": trained.loss,
            **costs,
            "conditions": self._scorer.score(network),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(self._folder / job.file, tree)
        torch.save(network.state_dict(), self._folder / f"{Path(job.file).stem}.pt")
        return tree

    def report(self) -> dict[str, Any]:
        """Write what is known so far; its tree."""
        results = [result for job in self._jobs if (result := self.result(job)) is not None]
        about = {
            "config": self._asked.config.name,
            "default": self._asked.config.fusion,
            "features": self._features,
            "recipe": vars(self._asked.recipe),
            "draws_cached": self._asked.extent.draws,
        }
        tree = report_tree(results, about)
        write_report(self._asked.out, tree)
        return tree


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether this process may do a job; a claim of a process that is gone is taken over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        holder = int(path.read_text(encoding="utf-8") or 0)
    except (OSError, ValueError):
        holder = 0
    if holder and not _alive(holder):
        path.unlink(missing_ok=True)
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        yield False
        return
    try:
        os.write(file, str(os.getpid()).encode())
        os.close(file)
        yield True
    finally:
        path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _encoders(asked: Comparison) -> FusionModel:
    """The model whose encoders are frozen; raises `ConfigurationError` where its sizes are others."""
    if asked.encoders is None:
        from mm_fusion.training.checkpoint import load_checkpoint
        from mm_fusion.training.run import train
        from mm_fusion.training.settings import TrainingConfig

        settings = TrainingConfig(steps=asked.encoder_steps, seed=asked.recipe.seed)
        folder = asked.out / "encoders"
        model = load_checkpoint(
            train(asked.config, settings, list(asked.data), folder, asked.vehicle, quiet=asked.quiet)
        )
    else:
        from mm_fusion.training.model_of import model_of

        model = model_of(asked.encoders)
    for name in SHARED:
        if getattr(model.config, name) != getattr(asked.config, name):
            raise ConfigurationError(
                f"--encoders: expected a model of the sizes of config {asked.config.name}, but {name} differs"
            )
    if model.config.joining in JOININGS[:1]:
        raise ConfigurationError("--encoders: expected whole encoders, got those of early joining")
    return model.eval()


def _bar(steps: int, title: str, quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=steps, desc=title, disable=quiet, mininterval=2.0)


def _teller(quiet: bool) -> Any:
    def tell(numbers: Iterable[int], title: str) -> Iterable[int]:
        from tqdm import tqdm

        return tqdm(numbers, desc=title, disable=quiet, mininterval=2.0)

    return tell
