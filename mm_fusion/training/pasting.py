"""Objects of other frames pasted into a frame, in every sensor, at their measured range and bearing.

What is pasted is taken from frames of the same file at the moment it is wanted: no bank has to be built, kept
or handed to the processes that prepare batches. Real objects and returns that are nearer hide what is pasted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mm_fusion.bags.truth import TruthFrame
from mm_fusion.detections import CLASSES, Detections, concatenate_detections
from mm_fusion.frame import Frame
from mm_fusion.geometry.boxes import boxes_of
from mm_fusion.inputs.camera_pixels import calibrated_cameras
from mm_fusion.measurements import Float64, LidarSweep, RadarScan
from mm_fusion.network_config import LearnedConfig
from mm_fusion.training.changes import Frames, another, class_ids_of
from mm_fusion.training.pasted_images import Patch
from mm_fusion.training.pasted_points import Cut, cut_out, laid_in, still_where_unknown
from mm_fusion.training.pasted_scene import PastingScene
from mm_fusion.training.settings import PasteConfig

DONORS = 6
"""Frames that objects are taken from, per frame."""
TRIES = 5
"""Objects looked at for each that is wanted: not all fit."""
LEAST_LIDAR, LEAST_RADAR = 5, 4
"""Returns of either by which an object can be found, before and after what hides it was looked at."""
LARGELY_HIDDEN, UNKNOWN = 2, 3
"""Occlusion as in KITTI: the image shows something else there; unless, with 3, visibility says better."""
WELL_VISIBLE = 3
"""Visibility as in nuScenes: more than 60 %."""
HIGHEST_STEP = 0.5
"""Ground heights of two frames differ by no more than this, m; what says more looked at something else."""
LEAST_SEEN, LEAST_TAKEN = 0.3, 0.8
"""An image shows an object from this share of its rectangle on; its patch needs this much of that."""


@dataclass(frozen=True, slots=True, eq=False)
class Loose:
    """One object (one row) taken out of the scene where it was seen, with its points."""

    object: Detections
    extra: dict[str, np.ndarray]
    cuts: list[Cut]
    scene: PastingScene

    @property
    def box(self) -> Float64:
        """Its box (7,)."""
        return boxes_of(self.object)[0]

    def raised(self, height: float) -> Loose:
        """The same, higher by `height` m."""
        up = np.array([0, 0, height], np.float32)
        cuts = [replace(cut, xyz=cut.xyz + up) for cut in self.cuts]
        return replace(self, object=replace(self.object, center=self.object.center + up), cuts=cuts)


@dataclass(frozen=True, slots=True, eq=False)
class Pasted:
    """A frame with objects pasted; patches: what its images still need, far ones first."""

    frame: Frame
    truth: TruthFrame
    patches: tuple[Patch, ...] = ()


class ObjectPasting:
    """Pastes up to `at_most` objects into a share of the frames, until `until` of the run."""

    def __init__(self, frames: Frames, config: LearnedConfig, settings: PasteConfig) -> None:
        self._frames, self._config, self._settings = frames, config, settings
        self._weights = class_weights(frames) if settings.share else np.ones(len(CLASSES))

    def __call__(
        self, number: int, frame: Frame, truth: TruthFrame, rng: np.random.Generator, progress: float
    ) -> Pasted:
        """The frame and its truth with what was pasted."""
        unchanged = Pasted(frame, truth)
        if progress >= self._settings.until or rng.random() >= self._settings.share:
            return unchanged
        if frame.ego is None and _needs_ego(frame):
            return unchanged
        wanted = int(rng.integers(1, self._settings.at_most + 1))
        scene = PastingScene(frame, truth.objects, self._config)
        placed: list[tuple[Loose, list[Patch]]] = []
        for donor, row in self._tries(number, frame, wanted, rng):
            found = self._placed(donor, row, scene)
            if found is not None:
                placed.append(found)
                scene.objects = concatenate_detections([scene.objects, found[0].object])
            if len(placed) == wanted:
                break
        return _assembled(scene, truth, placed) if placed else unchanged

    def _tries(
        self, number: int, frame: Frame, wanted: int, rng: np.random.Generator
    ) -> list[tuple[_Donor, int]]:
        """Objects of other frames to try, rare classes rather than common ones."""
        numbers = sorted({another(self._frames, number, rng) for _ in range(DONORS)} - {number})
        donors = [_Donor(*self._frames[each], self._config) for each in numbers]
        pairs = [(d, row) for d in donors if d.fits(frame) for row in range(len(d.truth.objects))]
        weights = np.array([self._weight(donor.truth, row) for donor, row in pairs])
        count = min(int(np.count_nonzero(weights)), TRIES * wanted)
        if not count:
            return []
        return [pairs[i] for i in rng.choice(len(pairs), count, replace=False, p=weights / weights.sum())]

    def _weight(self, truth: TruthFrame, row: int) -> float:
        """How likely an object is to be tried: by its class; never one off the grid, or hidden already."""
        grid, (x, y) = self._config.grid, truth.objects.center[row, :2]
        on_grid = grid.x_min <= x < grid.x_max and grid.y_min <= y < grid.y_max
        taken = on_grid and is_seen_well(truth, row)
        return float(self._weights[truth.objects.class_id[row]]) if taken else 0.0

    def _placed(self, donor: _Donor, row: int, scene: PastingScene) -> tuple[Loose, list[Patch]] | None:
        """An object as it stands in the scene, with its patches; None where it does not fit."""
        if not scene.has_room(donor.truth.objects.select(np.array([row]))):
            return None
        loose = donor.taken(row)
        if not _enough(loose.cuts):
            return None
        here, there = scene.ground_near(loose.box), loose.scene.ground_near(loose.box)
        if here is not None and there is not None:
            loose = loose.raised(float(np.clip(here - there, -HIGHEST_STEP, HIGHEST_STEP)))
        if not scene.is_empty(loose.box):
            return None
        cuts = [_part(cut, scene.in_sight(cut)) for cut in loose.cuts]
        if not _enough(cuts) or 2 * _lidar_points(cuts) < _lidar_points(loose.cuts):
            return None
        patches = self._patches(loose, scene)
        return None if patches is None else (replace(loose, cuts=cuts), patches)

    def _patches(self, loose: Loose, scene: PastingScene) -> list[Patch] | None:
        """A patch for each image that shows the object; None where one of them has none to take it from."""
        patches, velocity = [], still_where_unknown(loose.object.velocity[0])
        known = calibrated_cameras(loose.scene.frame, self._config)
        for name, slot in calibrated_cameras(scene.frame, self._config).items():
            target = scene.camera(name)
            laid = target.rectangle(loose.box, velocity)
            if laid is None or target.seen_share(laid) < LEAST_SEEN:
                continue
            source = loose.scene.camera(name) if name in known else None
            taken = None if source is None else source.rectangle(loose.box, velocity)
            if source is None or taken is None:
                return None
            if source.seen_share(taken) < LEAST_TAKEN * target.seen_share(laid):
                return None
            nearer, size = scene.rectangles_before(name, loose.object), target.model
            patches.append(Patch(slot, source.pixels(), taken, laid, nearer, size.width_px, size.height_px))
        return patches


class _Donor:
    """A frame that objects are taken from; its clouds are only moved to the ground when one is."""

    def __init__(self, frame: Frame, truth: TruthFrame, config: LearnedConfig) -> None:
        self.truth, self._frame, self._config = truth, frame, config
        self._scene: PastingScene | None = None

    def fits(self, frame: Frame) -> bool:
        """Whether every sensor of a frame is here, and what is known of ego motion."""
        known = self._frame.ego is not None or not _needs_ego(self._frame)
        return known and set(frame.measurements) <= set(self._frame.measurements)

    def taken(self, row: int) -> Loose:
        """An object with its points."""
        if self._scene is None:
            self._scene = PastingScene(self._frame, self.truth.objects, self._config)
        one = self.truth.objects.select(np.array([row]))
        velocity = still_where_unknown(one.velocity[0])
        cuts = cut_out(self._frame, self._scene.clouds, boxes_of(one)[0], velocity)
        extra = {name: column[row : row + 1] for name, column in self.truth.extra.items()}
        return Loose(one, extra, cuts, self._scene)


def is_seen_well(truth: TruthFrame, row: int) -> bool:
    """Whether most of an object is seen, as far as the truth says."""
    occlusion, visibility = (truth.extra.get(name) for name in ("occlusion", "visibility"))
    if occlusion is None or occlusion[row] < LARGELY_HIDDEN:
        return True
    return bool(occlusion[row] == UNKNOWN and visibility is not None and visibility[row] >= WELL_VISIBLE)


def class_weights(frames: Frames) -> Float64:
    """(classes,) how likely an object of each is to be taken: rare ones more often; 0 for `unknown`."""
    counts = np.zeros(len(CLASSES))
    for ids in class_ids_of(frames):
        counts += np.bincount(ids, minlength=len(CLASSES))
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    weights[CLASSES.index("unknown")] = 0
    return np.asarray(weights, np.float64)


def _needs_ego(frame: Frame) -> bool:
    """Whether a radar's velocities hang on ego motion."""
    radars = frame.of_kind("radar").values()
    return any(isinstance(scan, RadarScan) and not scan.compensated for scan in radars)


def _lidar_points(cuts: Sequence[Cut]) -> int:
    return sum(len(cut.xyz) for cut in cuts if isinstance(cut.points, LidarSweep) and cut.sweep == 0)


def _enough(cuts: Sequence[Cut]) -> bool:
    """Whether a LiDAR or a radar would find the object."""
    radar = sum(len(cut.xyz) for cut in cuts if isinstance(cut.points, RadarScan))
    return _lidar_points(cuts) >= LEAST_LIDAR or radar >= LEAST_RADAR


def _part(cut: Cut, keep: NDArray[np.bool_]) -> Cut:
    over_ground = None if cut.over_ground is None else cut.over_ground[keep]
    return Cut(cut.sensor, cut.sweep, cut.points.select(keep), cut.xyz[keep], over_ground)


def _assembled(scene: PastingScene, truth: TruthFrame, placed: Sequence[tuple[Loose, list[Patch]]]) -> Pasted:
    objects = concatenate_detections([loose.object for loose, _ in placed])
    cuts = [loose.cuts for loose, _ in placed]
    frame = laid_in(scene.frame, scene.clouds, objects, cuts, truth.objects)
    extra = {
        name: np.concatenate([column, *(_column(loose, name, column) for loose, _ in placed)])
        for name, column in truth.extra.items()
    }
    truth = replace(truth, objects=concatenate_detections([truth.objects, objects]), extra=extra)
    far_first = np.argsort(-np.linalg.norm(objects.center[:, :2], axis=1), kind="stable")
    return Pasted(frame, truth, tuple(patch for row in far_first for patch in placed[row][1]))


def _column(loose: Loose, name: str, like: np.ndarray) -> np.ndarray:
    return loose.extra.get(name, np.zeros(1, like.dtype))
