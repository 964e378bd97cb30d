"""Whether a backend gives what the reference gives, on the same frames.

Encoders are compared by the size of their difference. The fusion graph is given the reference's features, and
compared as a set of candidates keyed by class and cell: near-ties swap places between backends, so an order
means nothing, and the weakest of the top K may be others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mm_fusion.inputs.arrays import NetworkInputs
from mm_fusion.network_config import LearnedConfig
from mm_fusion.runtime.frame_run import FrameRun, Graphs, encoded, run_frame
from mm_fusion.runtime.protocol import Arrays

Key = tuple[int, int]
"""Class and flat cell of a candidate."""
_CLEAR = 0.1
"""A score from which a candidate says something."""
_TIES = 4
"""Candidates that moved in a tie, as multiples of those that may be missing."""
_LARGE = 1e4
"""A variance beyond this means nothing, however different."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What counts as the same.

    feature: root mean square of the difference over that of the reference. score: as a share, and a tenth of
    it absolute. box: metres and m/s. missing: share of the strong candidates, one at least, that may lack a
    partner or differ.
    """

    feature: float
    score: float
    box: float
    missing: float


FLOAT32 = Tolerance(feature=1e-3, score=2e-3, box=0.02, missing=0.01)
"""Same arithmetic in another order."""
REDUCED = Tolerance(feature=0.05, score=0.2, box=0.15, missing=0.05)
"""Ten or eight bits of mantissa inside: bfloat16, float16, and integers between tensors of either.

The gate looks for results that are wrong, not for noise: BF16 moves single scores of `tiny` by up to a sixth
and its mAP by 0.1."""


def differences(
    reference: Sequence[FrameRun],
    graphs: Graphs,
    frames: Sequence[NetworkInputs],
    config: LearnedConfig,
    tolerance: Tolerance,
) -> list[str]:
    """What differs from the reference beyond the tolerance, in words; empty where nothing does.

    Raises what the graphs raise.
    """
    found: list[str] = []
    for number, (expected, frame) in enumerate(zip(reference, frames)):
        features = encoded(graphs, frame, config)
        outputs = graphs["fusion"].run(expected.given)
        texts = [
            *feature_differences(expected.features, features, tolerance),
            *candidate_differences(expected.outputs, outputs, tolerance, config.grid.shape[1]),
        ]
        found += [f"frame {number}: {text}" for text in texts]
    return found


def reference_runs(graphs: Graphs, frames: Sequence[NetworkInputs], config: LearnedConfig) -> list[FrameRun]:
    """What every other backend is compared with."""
    return [run_frame(graphs, frame, config) for frame in frames]


def feature_differences(expected: Arrays, found: Arrays, tolerance: Tolerance) -> list[str]:
    """Encoders whose features differ."""
    texts = []
    for name, array in expected.items():
        scale = max(_rms(array), 1e-6)
        off = _rms(found[name].astype(np.float32) - array) / scale
        if not off <= tolerance.feature:
            texts.append(f"{name} differ by {off:.2%} (allowed {tolerance.feature:.2%})")
    return texts


def candidate_differences(expected: Arrays, found: Arrays, tolerance: Tolerance, columns: int) -> list[str]:
    """What is wrong with a set of candidates: partners that are missing, and quantities that differ.

    columns: cells of the grid along y, by which a flat cell is taken apart.
    """
    one, other = _by_key(expected), _by_key(found)
    pairs = [(_strong(one), one, other), (_strong(other), other, one)]
    total = sum(len(strong) for strong, _, _ in pairs)
    missing = off = tied = 0
    for strong, own, theirs in pairs:
        for key in strong:
            if key in theirs:
                off += not _same(own[key], theirs[key], tolerance)
            elif _tied(key, own[key], theirs, tolerance, columns):
                tied += 1
            else:
                missing += 1
    # near-ties are few; where peaks move in numbers, an index is wrong
    missing += max(0, tied - math.ceil(_TIES * tolerance.missing * total))
    if missing + off <= math.ceil(tolerance.missing * total):
        return []
    share = (missing + off) / total
    return [
        f"{share:.0%} of {total} strong candidates differ (allowed {tolerance.missing:.0%}): "
        f"{missing} without partner, {off} with other numbers"
    ]


def _strong(candidates: Mapping[Key, Arrays]) -> list[Key]:
    """Keys of those that say something; where none does, of the upper half: the weakest of the K vary."""
    order = sorted(candidates, key=lambda key: -float(candidates[key]["score"]))
    clear = [key for key in order if candidates[key]["score"] >= _CLEAR]
    upper = order[: max(1, len(order) // 2)]
    return clear[: len(upper)] or [key for key in upper if candidates[key]["score"] > 0]


def _by_key(outputs: Arrays) -> dict[Key, Arrays]:
    rows = range(outputs["score"].shape[1])
    return {
        (int(outputs["class_index"][0][row]), int(outputs["cell"][0][row])): {
            name: array[0][row] for name, array in outputs.items()
        }
        for row in rows
    }


def _tied(
    key: Key, candidate: Arrays, theirs: Mapping[Key, Arrays], tolerance: Tolerance, columns: int
) -> bool:
    """Whether a near-tie went the other way: the same class and score in a neighbouring cell."""
    x, y = divmod(key[1], columns)
    around = {(x + i) * columns + y + j for i in (-1, 0, 1) for j in (-1, 0, 1) if 0 <= y + j < columns}
    near = [each for (name, cell), each in theirs.items() if name == key[0] and cell in around]
    return any(_scores_agree(candidate, each, tolerance) for each in near)


def _scores_agree(one: Arrays, other: Arrays, tolerance: Tolerance) -> bool:
    return bool(np.allclose(one["score"], other["score"], atol=tolerance.score / 10, rtol=tolerance.score))


def _same(one: Arrays, other: Arrays, tolerance: Tolerance) -> bool:
    if not all(np.isfinite(array).all() for array in other.values()):
        return False
    near = _scores_agree(one, other, tolerance)
    size = max(1.0, float(np.abs(one["box"][3:6]).max()))
    box = np.allclose(one["box"], other["box"], atol=tolerance.box * size, rtol=0)
    speed = np.allclose(one["velocity"], other["velocity"], atol=tolerance.box * _pace(one), rtol=0)
    spread, theirs = (np.log(np.clip(each["variance"], 1e-6, _LARGE)) for each in (one, other))
    return bool(near and box and speed and np.allclose(spread, theirs, atol=5 * tolerance.box))


def _pace(candidate: Arrays) -> float:
    """What a difference of velocities is held against, m/s: its length, or its stated deviation if larger.

    A velocity that nothing measured is a guess, and says so: what moves it by a tenth of that is no fault.
    """
    stated = float(np.sqrt(np.clip(candidate["variance"][2:4], 0.0, _LARGE).max()))
    return max(1.0, float(np.linalg.norm(candidate["velocity"])), stated)


def _rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float32))))
