"""A tree of static and moving transforms, looked up at any time between its samples."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from mm_fusion.errors import DropReason, TransformError
from mm_fusion.geometry.motion import log_twist
from mm_fusion.geometry.transforms import interpolate, inverse
from mm_fusion.measurements import EgoMotion, Float64, StampedTransform, Transforms

HOLD_NS = 200_000_000
"""How long the newest sample of a moving edge stands in for what has not come yet."""
TWIST_SPACING_NS = (5_000_000, 1_000_000_000)
"""Two samples nearer than the first give mostly noise as a twist, further apart than the second no twist."""
JUMPS_TO_RESET = 3
"""So many samples in a row from before the history mean that time was set back: the edge starts anew."""

_log = logging.getLogger(__name__)


@dataclass
class Edge:
    """One edge of the tree with its samples in order of time; a static edge has one, valid for ever."""

    parent: str
    child: str
    static: bool
    stamps_ns: list[int] = field(default_factory=list)
    parent_from_child: list[Float64] = field(default_factory=list)
    jumps: int = 0

    def insert(self, stamp_ns: int, matrix: Float64, history_ns: int) -> None:
        """Sort a sample in; the same stamp again replaces it, one from before the history is left out."""
        if self.stamps_ns and stamp_ns < self.stamps_ns[-1] - history_ns:
            self.jumps += 1
            if self.jumps < JUMPS_TO_RESET:
                return
            self.stamps_ns.clear()
            self.parent_from_child.clear()
        self.jumps = 0
        at = bisect_left(self.stamps_ns, stamp_ns)
        if at < len(self.stamps_ns) and self.stamps_ns[at] == stamp_ns:
            self.parent_from_child[at] = matrix
            return
        self.stamps_ns.insert(at, stamp_ns)
        self.parent_from_child.insert(at, matrix)
        old = bisect_left(self.stamps_ns, self.stamps_ns[-1] - history_ns)
        del self.stamps_ns[:old], self.parent_from_child[:old]

    def at(self, stamp_ns: int) -> Float64:
        """parent_from_child (4, 4) at a time; raises `TransformError` with the span that is there."""
        if self.static:
            return self.parent_from_child[0]
        after = bisect_left(self.stamps_ns, stamp_ns)
        if after == len(self.stamps_ns):
            if stamp_ns <= self.stamps_ns[-1] + HOLD_NS:
                return self.parent_from_child[-1]
            raise TransformError(self._missing(stamp_ns))
        if self.stamps_ns[after] == stamp_ns:
            return self.parent_from_child[after]
        if after == 0:
            raise TransformError(self._missing(stamp_ns))
        before_ns, after_ns = self.stamps_ns[after - 1], self.stamps_ns[after]
        fraction = (stamp_ns - before_ns) / (after_ns - before_ns)
        return interpolate(self.parent_from_child[after - 1], self.parent_from_child[after], fraction)

    def _missing(self, stamp_ns: int) -> str:
        edge = f"transform {self.parent!r} <- {self.child!r} at {stamp_ns * 1e-9:.3f} s"
        span = f"{self.stamps_ns[0] * 1e-9:.3f} s to {self.stamps_ns[-1] * 1e-9:.3f} s"
        return f"{edge}: known from {span} (held for {HOLD_NS // 1_000_000} ms more); check stamps and rate"


Step = tuple[Edge, bool]
"""An edge on the way, and whether it is gone down (inverted)."""


class TransformBuffer:
    """Transforms by frame name, fed live or from a bag; `lookup` gives target_from_source at a time.

    One parent per frame: where two are published the last wins, and that is logged once for each pair. Edges
    in a circle are found at the look-up, which names them. Leading slashes of frame names are dropped.
    """

    def __init__(self, history_s: float = 10.0) -> None:
        self._history_ns = round(history_s * 1e9)
        self._edges: dict[str, Edge] = {}
        self._parts: dict[tuple[str, str], list[Float64 | Step]] = {}
        self._said: set[tuple[str, ...]] = set()

    def add(self, transforms: Transforms) -> None:
        """Take transforms in; an edge that says a frame is its own parent is left out and logged once."""
        for transform in transforms:
            self._add_one(transform)

    def lookup(self, target_frame: str, source_frame: str, stamp_ns: int) -> Float64:
        """target_from_source (4, 4) at `stamp_ns`.

        Raises `TransformError`, reason `unknown_frame` for a frame no transform has named, else
        `no_transform`.
        """
        parts = self._parts.get((target_frame, source_frame))
        if parts is None:
            parts = self._find_parts(target_frame, source_frame)
        if len(parts) == 1 and isinstance(parts[0], np.ndarray):
            return parts[0].copy()
        matrix: Float64 | None = None
        for part in parts:
            step = part if isinstance(part, np.ndarray) else _step(part, stamp_ns)
            matrix = step if matrix is None else matrix @ step
        assert matrix is not None
        return matrix

    def frames(self) -> set[str]:
        """Every frame that a transform has named."""
        return set(self._edges) | {edge.parent for edge in self._edges.values()}

    def edges(self) -> Mapping[str, Edge]:
        """The edges by child frame, to look at."""
        return MappingProxyType(self._edges)

    def clear_moving(self) -> None:
        """Forget the samples of moving edges, as after a jump of time; static edges stay."""
        self._edges = {child: edge for child, edge in self._edges.items() if edge.static}
        self._parts.clear()

    def ego_motion(self, fixed_frame: str, base_frame: str, stamp_ns: int) -> EgoMotion | None:
        """Twist and pose of `base_frame` from the last two transforms at or before `stamp_ns`, stamped as the
        last.

        None where the frames are not joined by a moving edge, or the last two are too old, near or far apart.
        """
        try:
            parts = self._find_parts(fixed_frame, base_frame)
            times = self._last_two(parts, stamp_ns)
            if times is None:
                return None
            fixed_from_before, fixed_from_now = (self.lookup(fixed_frame, base_frame, t) for t in times)
        except TransformError:
            return None
        linear, angular = log_twist(inverse(fixed_from_before) @ fixed_from_now, (times[1] - times[0]) * 1e-9)
        return EgoMotion(times[1], linear, angular, fixed_from_now)

    def _last_two(self, parts: list[Float64 | Step], stamp_ns: int) -> tuple[int, int] | None:
        moving = [part[0] for part in parts if not isinstance(part, np.ndarray)]
        if not moving:
            return None
        # The slowest edge: between its samples a chain would repeat the motion of the others alone.
        stamps = min((edge.stamps_ns for edge in moving), key=len)
        newest = bisect_right(stamps, stamp_ns) - 1
        if newest < 1 or stamp_ns - stamps[newest] > HOLD_NS:
            return None
        before = bisect_right(stamps, stamps[newest] - TWIST_SPACING_NS[0]) - 1
        if before < 0 or stamps[newest] - stamps[before] > TWIST_SPACING_NS[1]:
            return None
        return stamps[before], stamps[newest]

    def _add_one(self, transform: StampedTransform) -> None:
        parent, child = transform.parent_frame.lstrip("/"), transform.child_frame.lstrip("/")
        if parent == child:
            return self._say_once(
                (child, child), f"transform {child!r} <- {child!r}: a frame is its own parent"
            )
        edge = self._edges.get(child)
        if edge is not None and edge.parent != parent:
            self._say_once((child, edge.parent, parent), _two_parents(child, edge.parent, parent))
        if edge is None or edge.parent != parent or edge.static != transform.static:
            edge = self._edges[child] = Edge(parent, child, transform.static)
            self._parts.clear()
        matrix = transform.parent_from_child
        if not transform.static:
            return edge.insert(transform.stamp_ns, matrix, self._history_ns)
        if not edge.parent_from_child or not np.array_equal(edge.parent_from_child[0], matrix):
            edge.stamps_ns, edge.parent_from_child = [transform.stamp_ns], [matrix]
            self._parts.clear()

    def _find_parts(self, target_frame: str, source_frame: str) -> list[Float64 | Step]:
        key = (target_frame, source_frame)
        if key not in self._parts:
            target, source = target_frame.lstrip("/"), source_frame.lstrip("/")
            self._parts[key] = _join_static(self._way(target, source))
        return self._parts[key]

    def _way(self, target: str, source: str) -> list[Step]:
        if target == source:
            return []
        self._require(target)
        self._require(source)
        up_target, up_source = self._ancestors(target), self._ancestors(source)
        shared = next((frame for frame in up_source if frame in up_target), None)
        if shared is None:
            raise TransformError(
                f"no transform {target!r} <- {source!r}: the first hangs on {up_target[-1]!r}, the second on "
                f"{up_source[-1]!r}, and nothing joins these; is a /tf or /tf_static publisher missing?"
            )
        down = [(self._edges[frame], True) for frame in up_target[: up_target.index(shared)]]
        up = [(self._edges[frame], False) for frame in up_source[: up_source.index(shared)]]
        return down + up[::-1]

    def _require(self, frame: str) -> None:
        known = self.frames()
        if frame not in known:
            listed = ", ".join(sorted(known)) or "none yet"
            text = f"frame {frame!r} is in no transform; known frames: {listed}"
            raise TransformError(text, DropReason.UNKNOWN_FRAME)

    def _ancestors(self, frame: str) -> list[str]:
        chain = [frame]
        while chain[-1] in self._edges:
            parent = self._edges[chain[-1]].parent
            if parent in chain:
                circle = " <- ".join([*chain[chain.index(parent) :], parent])
                raise TransformError(
                    f"transforms go in a circle: {circle}; one of these must have another parent"
                )
            chain.append(parent)
        return chain

    def _say_once(self, key: tuple[str, ...], text: str) -> None:
        if key not in self._said:
            self._said.add(key)
            _log.warning(text)


def _two_parents(child: str, old: str, new: str) -> str:
    return (
        f"frame {child!r} had parent {old!r} and now {new!r}: the last wins; two nodes publish this transform"
    )


def _step(step: Step, stamp_ns: int) -> Float64:
    edge, down = step
    matrix = edge.at(stamp_ns)
    return inverse(matrix) if down else matrix


def _join_static(way: list[Step]) -> list[Float64 | Step]:
    parts: list[Float64 | Step] = []
    for step in way:
        if not step[0].static:
            parts.append(step)
            continue
        matrix = _step(step, 0)
        last = parts[-1] if parts else None
        if isinstance(last, np.ndarray):
            parts[-1] = last @ matrix
        else:
            parts.append(matrix)
    return parts or [np.eye(4)]
