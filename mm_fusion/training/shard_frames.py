"""Labelled frames of a simulated data set's shards, in any order."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig, parse_config
from mm_fusion.errors import BagError
from mm_fusion.frame import Frame
from mm_fusion.simulation.dataset import read_manifest
from mm_fusion.simulation.shards import OpenShard
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

    def _shard(self, number: int) -> OpenShard:
        if number not in self._open:
            self._open[number] = OpenShard(self._paths[number])
            if len(self._open) > SHARDS_KEPT:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]
