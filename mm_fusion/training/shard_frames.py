"""Labelled frames of a simulated data set's shards, in any order."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.errors import BagError
from mm_fusion.frame import Frame
from mm_fusion.simulation.dataset import read_manifest
from mm_fusion.simulation.shards import TRUTH_COLUMNS, OpenShard
from mm_fusion.training.labelled import EVERYWHERE

SHARDS_KEPT = 4
"""Shards held in memory; one is some 15 MB."""


class ShardFrames:
    """The frames of one split of a data set; `shard_ends` tells a sampler which lie in one file."""

    region = EVERYWHERE

    def __init__(self, folder: str | Path, split: str = "train") -> None:
        manifest = read_manifest(Path(folder))
        listed = manifest["splits"].get(split)
        if not listed:
            known = ", ".join(name for name, shards in manifest["splits"].items() if shards)
            raise BagError(f"{folder}: has no frames of split {split!r}; there are {known or 'none'}")
        self.vehicle = parse_config(manifest["settings"]["vehicle"], VehicleConfig, f"{folder}: manifest")
        self._paths = [Path(folder) / entry["file"] for entry in listed]
        self.shard_ends = np.cumsum([entry["frames"] for entry in listed])
        self._open: OrderedDict[int, OpenShard] = OrderedDict()

    def __len__(self) -> int:
        return int(self.shard_ends[-1])

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        shard = int(np.searchsorted(self.shard_ends, number, side="right"))
        opened = self._shard(shard)
        return opened[number - int(self.shard_ends[shard]) + len(opened)]

    def class_ids(self) -> list[NDArray[np.int64]]:
        """Class ids of each frame's objects, without reading images and points; raises `BagError`."""
        return [ids for path in self._paths for ids in _class_ids(path)]

    def _shard(self, number: int) -> OpenShard:
        if number not in self._open:
            self._open[number] = OpenShard(self._paths[number])
            if len(self._open) > SHARDS_KEPT:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]


def _class_ids(path: Path) -> list[NDArray[np.int64]]:
    column = TRUTH_COLUMNS.index("class_id")
    try:
        with np.load(path) as arrays:
            truth, meta = arrays["truth"], json.loads(arrays["meta"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BagError(
            f"{path}: is no whole shard: {error}; delete it and run the same simulate --dataset again"
        ) from error
    return [truth[slice(*frame["truth"]), column].astype(np.int64) for frame in meta["frames"]]
