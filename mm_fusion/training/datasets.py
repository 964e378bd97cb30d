"""Samples for training: frames of shards and of recordings through the inputs code of the vehicle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.config import VehicleConfig
from mm_fusion.errors import ConfigurationError
from mm_fusion.frame import Frame
from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.inputs.network_inputs import InputMaker
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.changes import Augment, Changed, Frames
from mm_fusion.training.depth_targets import depth_targets
from mm_fusion.training.labelled import labelled_cells


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One labelled frame as arrays.

    labelled: (X, Y) bool, cells whose objects are labelled. depth_bins: (N, rows, columns) int16, the depth
    bin of the nearest LiDAR point in each feature pixel of each camera slot, -1 where there is none.
    """

    inputs: NetworkInputs
    truth: TruthFrame
    labelled: NDArray[np.bool_]
    depth_bins: NDArray[np.int16]


class SampleDataset:
    """Samples of labelled frames; works with PyTorch's DataLoader, forked or spawned.

    The same seed, number and turn give the same sample, in whatever order and process.
    """

    def __init__(
        self,
        frames: Frames,
        config: LearnedConfig,
        augment: Augment | None = None,
        seed: int = 0,
        turns: int = 1,
    ) -> None:
        """turns: draws of the whole run, by which augmentation knows how far it has come."""
        self._frames, self._config, self._augment = frames, config, augment
        self._seed, self.turns = seed, turns
        self._maker = InputMaker(config, frames.vehicle)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Sample:
        return self.sample(number)

    def sample(self, number: int, turn: int = 0) -> Sample:
        """The sample of a frame; turn: which draw of the run it is, so that no two are augmented alike."""
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        frame, truth = self._frames[number]
        changed = Changed(frame, truth, frame)
        if self._augment is not None:
            rng = np.random.default_rng((self._seed, turn, number))
            changed = self._augment(number, frame, truth, rng, min(1.0, turn / self.turns))
        return self._as_arrays(changed)

    def _as_arrays(self, changed: Changed) -> Sample:
        """What is labelled and how far things are comes from the whole frame: lost sensors change neither."""
        inputs = self._maker.make(changed.frame, changed.scene_from_base)
        for edit in changed.images:
            edit(inputs["images"])
        region = self._frames.region
        labelled = labelled_cells(changed.whole, self._config, region, changed.scene_from_base)
        return Sample(inputs, changed.truth, labelled, depth_targets(changed.whole, self._config))


class JoinedFrames:
    """Several sets of frames of one vehicle as one.

    Raises `ConfigurationError` where vehicles or labelled regions differ: such data want a dataset each.
    """

    def __init__(self, parts: Sequence[Frames]) -> None:
        self._parts = list(parts)
        for part in self._parts[1:]:
            _check_alike(self._parts[0], part)
        self._ends = np.cumsum([len(part) for part in self._parts])
        self.vehicle, self.region = self._parts[0].vehicle, self._parts[0].region

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> tuple[Frame, TruthFrame]:
        part = int(np.searchsorted(self._ends, number, side="right"))
        return self._parts[part][number - int(self._ends[part]) + len(self._parts[part])]


def _check_alike(one: Frames, other: Frames) -> None:
    sensors = [{name: s.kind for name, s in each.vehicle.sensors.items()} for each in (one, other)]
    if sensors[0] != sensors[1] or one.vehicle.ego_box != other.vehicle.ego_box:
        raise ConfigurationError(
            f"data of another vehicle: expected sensors {', '.join(sensors[0])}, got {', '.join(sensors[1])} "
            "(or the ego_box differs); give each vehicle's folders a data set of their own"
        )
    if one.region != other.region:
        raise ConfigurationError(f"data labelled elsewhere: expected {one.region}, got {other.region}")


def open_frames(folder: str | Path, split: str = "train", vehicle: VehicleConfig | None = None) -> Frames:
    """The labelled frames in a folder: a `split` of a simulated data set or nuScenes, or a whole recording.

    vehicle: needed to read a recording; None: found from the recording as `mm-fusion info` does. Raises
    `BagError` where the folder is neither, or is unfinished or broken.
    """
    from mm_fusion.simulation.dataset import MANIFEST
    from mm_fusion.training.nuscenes_frames import NuscenesFrames
    from mm_fusion.training.nuscenes_splits import tables_folder
    from mm_fusion.training.recorded_frames import BagFrames
    from mm_fusion.training.shard_frames import ShardFrames

    if (Path(folder) / MANIFEST).is_file():
        return ShardFrames(folder, split)
    if tables_folder(folder) is not None:
        return NuscenesFrames(folder, split, vehicle)
    return BagFrames(folder, vehicle)
