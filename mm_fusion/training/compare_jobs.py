"""What is compared: a row per operator, joining or way of training, and in which order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from mm_fusion.errors import ConfigurationError
from mm_fusion.network.fusion.choice import OPERATORS
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.compare_train import Recipe

VERSION = 1
"""Of what a job computes: another number makes all results anew."""
JOININGS = ("early", "late", "hybrid")
WAYS = ("adapters", "adapters_balanced", "dropout_none", "dropout_heavy", "dropout_rising")
"""Ways of training the default operator: modality imbalance without and with it held back, and schedules."""
SOURCES = {
    "concat": "plain 1x1 mix",
    "additive": "Wang et al. 2024, UniBEV",
    "soft_gate": "features decide the weights of UniBEV",
    "multiplicative": "Kim et al. 2017, Hadamard product",
    "tensor": "Zadeh et al. 2017, TFN",
    "low_rank": "Liu et al. 2018, LMF",
    "hard_gate": "Bengio et al. 2013, straight-through",
    "reinforce_gate": "Williams 1992; Panda et al. 2021, AdaMML",
    "channel_exchange": "Wang et al. 2020, CEN",
    "attention": "Vaswani et al. 2017",
    "deformable": "Dai et al. 2017; Huang et al. 2021, FaPN",
    "graph": "Velickovic et al. 2018, GAT",
    "vae": "Wu and Goodman 2018, MVAE",
    "coordinated_gate": "Baltrusaitis et al. 2019",
    "experts": "Park et al. 2025, MoME; Yun et al. 2024, Flex-MoE",
    "fission": "Bousmalis et al. 2016, DSN; Hazarika et al. 2020, MISA",
    "early": "Vora et al. 2020, PointPainting",
    "late": "detectors/late_fusion.py",
    "hybrid": "detectors/joining.py",
    "adapters": "a trained block per sensor",
    "adapters_balanced": "Peng et al. 2022, OGM-GE, on those blocks",
    "dropout_none": "nothing goes missing in training",
    "dropout_heavy": "80 % of frames lose sensors",
    "dropout_rising": "0 to 100 % of frames lose sensors over the run",
}


@dataclass(frozen=True)
class Job:
    """One network to train and score. features: names what it is trained and scored on."""

    row: str
    config: LearnedConfig
    recipe: Recipe
    features: str
    adapters: bool = False

    @property
    def file(self) -> str:
        """Name of its result."""
        return f"{self.row}_{self.recipe.seed}.json"

    def key(self) -> str:
        """Twelve digits that name everything that the result depends on."""
        tree = [VERSION, self.row, self.config.hash(), asdict(self.recipe), self.features, self.adapters]
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def chosen_rows(text: str) -> list[str]:
    """Rows of a list with commas; `all` is every one. Raises `ConfigurationError` with the choices."""
    known = [*OPERATORS, *JOININGS, *WAYS]
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return known
    wrong = [word for word in words if word not in known]
    if wrong or not words:
        raise ConfigurationError(f"--operators: expected all or some of {', '.join(known)}; got {text!r}")
    return list(dict.fromkeys(words))


def job_of(row: str, config: LearnedConfig, recipe: Recipe, features: str) -> Job:
    """The job of a row: an operator by name, a joining or a way of training with the default operator."""
    job = Job(row, config, recipe, features)
    if row in OPERATORS:
        return replace(job, config=_with(config, fusion=row))
    if row in JOININGS:
        schedule = "alone" if row == "late" else recipe.schedule
        return replace(job, config=_with(config, joining=row), recipe=replace(recipe, schedule=schedule))
    if row.startswith("adapters"):
        balanced = replace(recipe, balance=row == "adapters_balanced")
        return replace(job, adapters=True, recipe=balanced)
    return replace(job, recipe=replace(recipe, schedule=row.removeprefix("dropout_")))  # type: ignore[arg-type]


def _with(config: LearnedConfig, **changes: str) -> LearnedConfig:
    return LearnedConfig.model_validate({**config.model_dump(), **changes})
