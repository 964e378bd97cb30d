"""One subset or condition of one model, run over the frames and scored; in this process or in another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mm_fusion.detectors.choice import make_detector
from mm_fusion.detectors.protocol import Detector
from mm_fusion.errors import ResultError
from mm_fusion.evaluation.conditions import Condition, full_subset
from mm_fusion.evaluation.corruptions import Corruptor
from mm_fusion.evaluation.frame_edits import subset_of
from mm_fusion.evaluation.job_scores import scored_tree, scores_of
from mm_fusion.evaluation.json_file import read_json
from mm_fusion.evaluation.labelled_data import LabelledData, open_data, scene_of
from mm_fusion.evaluation.matching import Pair, pair_of
from mm_fusion.frame import Frame

VERSION = 1
"""Of what a job computes: another number makes all results anew."""
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Source:
    """The frames of a report.

    folders: paths; split: of simulated data sets; limit: frames of each folder; folds, fold: of recordings
    the runs that `train` with the same numbers leaves out.
    """

    folders: tuple[str, ...]
    split: str
    region: str = "auto"
    limit: int | None = None
    folds: int = 1
    fold: int = 0


@dataclass(frozen=True)
class Model:
    """A detector by name. digest: names its content; backend: empty for the detector's own choice."""

    name: str
    digest: str
    backend: str = ""


@dataclass(frozen=True)
class Job:
    """What is computed for one file of results.

    condition: None for a subset as it is. purpose: `score`, or `calibrate` for scores and hits alone.
    """

    model: Model
    source: Source
    data_digest: str
    subset: str
    condition: Condition | None = None
    purpose: str = "score"
    draws: int = 1000

    def key(self) -> str:
        """Twelve digits that name everything that the result depends on."""
        tree = asdict(self)
        # the same bytes give the same result wherever they lie
        tree["source"].pop("folders")
        tree["source"].pop("folds"), tree["source"].pop("fold")  # in `data_digest`
        tree["model"].pop("name")
        text = json.dumps([VERSION, tree], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def file(self) -> str:
        """Name of its file below the report's folder."""
        what = self.subset if self.condition is None else self.condition.label.replace(":", "_")
        return f"{self.purpose}_{self.model.digest[:8]}/{what}.json"


class Workplace:
    """Opened data and detectors, kept from job to job; one belongs to one process."""

    def __init__(self) -> None:
        self._data: dict[Source, list[LabelledData]] = {}
        self._detectors: dict[tuple[Model, Source, int], Detector] = {}

    def data(self, source: Source) -> list[LabelledData]:
        """The folders of a source, opened."""
        if source not in self._data:
            how = (source.split, source.region, source.limit, source.folds, source.fold)
            self._data[source] = [open_data(Path(folder), *how) for folder in source.folders]
        return self._data[source]

    def detector(self, model: Model, source: Source, place: int) -> Detector:
        """The model for the vehicle of folder number `place`."""
        key = (model, source, place)
        if key not in self._detectors:
            vehicle = self.data(source)[place].vehicle
            self._detectors[key] = make_detector(model.name, vehicle, model.backend or "auto")
        return self._detectors[key]

    def run(self, job: Job, progress: Progress | None = None) -> dict[str, Any]:
        """The result of a job; progress takes the number of frames done since the last call."""
        folders = self.data(job.source)
        struck = _Struck()
        pairs, first = [], 0
        for place, data in enumerate(folders):
            detector = self.detector(job.model, job.source, place)
            for pair in _pairs(data, detector, job, first, struck):
                pairs.append(pair)
                if progress is not None:
                    progress(1)
            first += int(data.run.max()) + 1
        head = {"key": job.key(), "frames": len(pairs), "runs": first}
        if job.purpose == "calibrate":
            return head | {"scored": scored_tree(pairs)}
        with_kitti = any(data.region.name == "astyx" for data in folders)
        whole = job.condition is None
        return head | {"struck": struck.tree()} | scores_of(pairs, first, job.draws, whole, with_kitti)


class _Struck:
    """How many sensors a condition struck of those it should."""

    def __init__(self) -> None:
        self.done, self.wanted = 0, 0

    def tree(self) -> dict[str, Any]:
        share = 100.0 * self.done / self.wanted if self.wanted else 100.0
        return {"measurements": self.wanted, "percent": share}


def _pairs(data: LabelledData, detector: Detector, job: Job, first: int, struck: _Struck) -> Iterator[Pair]:
    corruptor = None if job.condition is None else Corruptor(data, job.condition)
    sources = data.vehicle.ego_motion
    ego_from_radar = bool(sources) and all(source.kind == "radar" for source in sources)
    subset = full_subset(data.kinds()) if corruptor is not None else job.subset
    for number in range(len(data)):
        frame, truth = data.frames[number]
        shown: Frame = subset_of(frame, subset, ego_from_radar)
        if corruptor is not None:
            shown, done, wanted = corruptor.apply(number)
            struck.done += done
            struck.wanted += wanted
        found = detector.detect(shown)
        yield pair_of(scene_of(frame, truth), found, data.region, first + int(data.run[number]))


def known_result(folder: Path, job: Job) -> dict[str, Any] | None:
    """The result of a job that an earlier run left, None where there is none or it is of other inputs."""
    path = folder / job.file
    if not path.is_file():
        return None
    try:
        tree = read_json(path)
    except ResultError:
        return None  # not whole, as by a full disk: made anew
    return tree if isinstance(tree, dict) and tree.get("key") == job.key() else None
