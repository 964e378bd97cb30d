"""The bytes of a LiDAR cloud to arrays in one pass over memory (compiled; any layout, one compilation).

Points go in blocks that stay in the cache. Each column of a block has its own tight loop, so the kind of a column
is asked once a block and not once a point; a block without a point to cut needs no second look.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

BLOCK = 1024
SAMPLES = 512
"""Points looked at to guess the unit of time and the scale of intensity."""

_RAW = types.Array(types.uint8, 1, "C", readonly=True)


def _loader(kind: Any) -> Any:
    """A compiled function (raw, byte) -> the number of numba type `kind` that starts there, aligned or not."""

    @intrinsic
    def load(typingctx: Any, raw: Any, at: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            pointer = ir.PointerType(context.get_value_type(kind))
            return builder.load(builder.bitcast(builder.gep(array.data, [args[1]]), pointer), align=1)

        return kind(_RAW, types.intp), codegen

    return load


_int8, _uint8 = _loader(types.int8), _loader(types.uint8)
_int16, _uint16 = _loader(types.int16), _loader(types.uint16)
_int32, _uint32 = _loader(types.int32), _loader(types.uint32)
_float32, _float64 = _loader(types.float32), _loader(types.float64)


@intrinsic
def _copy_12(typingctx: Any, raw: Any, at: Any, out: Any, to: Any) -> Any:
    """Copy 12 bytes from byte `at` of `raw` to element `to` of a float32 `out`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, args[0])
        target = context.make_array(signature.args[2])(context, builder, args[2])
        pointer = ir.PointerType(ir.IntType(96))
        value = builder.load(builder.bitcast(builder.gep(source.data, [args[1]]), pointer), align=1)
        builder.store(value, builder.bitcast(builder.gep(target.data, [args[3]]), pointer), align=4)
        return context.get_dummy_value()

    return types.void(_RAW, types.intp, types.float32[::1], types.intp), codegen


@njit(cache=True, nogil=True)
def _number(raw: Any, at: int, kind: int) -> float:
    """The number of PointField datatype `kind` at byte `at`."""
    if kind == 7:
        return np.float64(_float32(raw, at))
    if kind == 8:
        return _float64(raw, at)
    if kind == 6:
        return np.float64(_uint32(raw, at))
    if kind == 5:
        return np.float64(_int32(raw, at))
    if kind == 4:
        return np.float64(_uint16(raw, at))
    if kind == 3:
        return np.float64(_int16(raw, at))
    if kind == 2:
        return np.float64(_uint8(raw, at))
    return np.float64(_int8(raw, at))


@njit(cache=True, nogil=True)
def _read_xyz(raw: Any, first: int, step: int, count: int, at: Any, kind: Any, xyz: Any, to: int) -> None:
    """`count` positions into the flat (3N,) `xyz` from element 3 * `to` on."""
    together = at[1] == at[0] + 4 and at[2] == at[0] + 8
    if together and kind[0] == 7 and kind[1] == 7 and kind[2] == 7:
        source = first + at[0]
        target = 3 * to
        for _ in range(count):
            _copy_12(raw, source, xyz, target)
            source += step
            target += 3
        return
    for j in range(count):
        for axis in range(3):
            xyz[3 * (to + j) + axis] = np.float32(_number(raw, first + j * step + at[axis], kind[axis]))


@njit(cache=True, nogil=True)
def _read_intensity(raw: Any, first: int, step: int, count: int, kind: int, scale: Any, out: Any, to: int) -> None:
    """`count` intensities times `scale`, held to 0..1; not a number becomes 0."""
    zero, one = np.float32(0), np.float32(1)
    for j in range(count):
        if kind == 7:
            value = _float32(raw, first + j * step) * scale
        elif kind == 2:
            value = np.float32(_uint8(raw, first + j * step)) * scale
        else:
            value = np.float32(np.float32(_number(raw, first + j * step, kind)) * scale)
        value = value if value > zero else zero
        out[to + j] = value if value < one else one


@njit(cache=True, nogil=True)
def _read_ring(raw: Any, first: int, step: int, count: int, kind: int, out: Any, to: int) -> None:
    """`count` ring numbers; what does not fit becomes -1."""
    if kind == 4:
        for j in range(count):
            out[to + j] = np.int16(_uint16(raw, first + j * step))
        return
    if kind == 2:
        for j in range(count):
            out[to + j] = np.int16(_uint8(raw, first + j * step))
        return
    for j in range(count):
        value = _number(raw, first + j * step, kind)
        out[to + j] = np.int16(value) if 0 <= value < 32768 else np.int16(-1)


@njit(cache=True, nogil=True)
def _read_time(raw: Any, first: int, step: int, count: int, kind: int, rule: Any, out: Any, to: int) -> int:
    """`count` offsets in ns by `rule` (origin, unit_ns, shift_ns, limit_ns); returns how many were off (then 0)."""
    origin, unit, shift, limit = rule
    off = 0
    for j in range(count):
        if kind == 6:
            value = np.float64(_uint32(raw, first + j * step))
        elif kind == 7:
            value = np.float64(_float32(raw, first + j * step))
        else:
            value = _number(raw, first + j * step, kind)
        offset = (value - origin) * unit + shift
        usable = abs(offset) <= limit
        off += 0 if usable else 1
        out[to + j] = np.int32(np.rint(offset)) if usable else np.int32(0)
    return off


@njit(cache=True, nogil=True)
def _inside(xyz: Any, at: int, nearest: Any, farthest: Any) -> bool:
    """Whether the squared range of a point is within bounds; False where anything is not finite."""
    x, y, z = xyz[3 * at], xyz[3 * at + 1], xyz[3 * at + 2]
    squared = x * x + y * y + z * z
    return squared >= nearest and squared <= farthest


@njit(cache=True, nogil=True)
def _count_inside(xyz: Any, first: int, count: int, nearest: Any, farthest: Any) -> int:
    inside = np.int32(0)
    for j in range(first, first + count):
        if _inside(xyz, j, nearest, farthest):
            inside += np.int32(1)
    return inside


@njit(cache=True, nogil=True)
def _compact(xyz: Any, intensity: Any, ring: Any, offset: Any, first: int, count: int, near: Any, far: Any) -> int:
    """Close the gaps that cut points leave in a block; returns where the next block goes."""
    to = first
    for j in range(first, first + count):
        inside = _inside(xyz, j, near, far)
        for axis in range(3):
            xyz[3 * to + axis] = xyz[3 * j + axis]
        intensity[to] = intensity[j]
        if len(ring):
            ring[to] = ring[j]
        offset[to] = offset[j]
        to += 1 if inside else 0
    return to


@njit(cache=True, nogil=True)
def read_points(
    raw: Any, step: int, count: int, at: Any, kind: Any, bounds: Any, scale: Any, rule: Any, out: Any
) -> tuple[int, int]:
    """Fill `out` = (xyz (3N,), intensity, ring (N or 0), offset) with the points inside; returns kept and mistimed.

    raw: read-only uint8, packed points of `step` bytes in the machine's byte order. at, kind: byte and PointField
    datatype (0: none) of x, y, z, intensity, ring, time. bounds: squared range, float32. rule: as `_read_time`.
    """
    xyz, intensity, ring, offset = out
    nearest, farthest = bounds
    kept = 0
    mistimed = 0
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        first = start * step
        _read_xyz(raw, first, step, size, at, kind, xyz, kept)
        if kind[3]:
            _read_intensity(raw, first + at[3], step, size, kind[3], scale, intensity, kept)
        else:
            intensity[kept : kept + size] = 0
        if kind[4]:
            _read_ring(raw, first + at[4], step, size, kind[4], ring, kept)
        if kind[5]:
            mistimed += _read_time(raw, first + at[5], step, size, kind[5], rule, offset, kept)
        else:
            offset[kept : kept + size] = 0
        if _count_inside(xyz, kept, size, nearest, farthest) == size:
            kept += size
        else:
            kept = _compact(xyz, intensity, ring, offset, kept, size, nearest, farthest)
    return kept, mistimed


@njit(cache=True, nogil=True)
def sample_points(raw: Any, step: int, count: int, at: Any, kind: Any, bounds: Any) -> tuple[float, float, float]:
    """Lowest and highest raw time and highest intensity among a sample of the points inside (NaN: none)."""
    low, high, brightest = np.inf, -np.inf, 0.0
    xyz = np.empty(3, np.float32)
    stride = max(1, count // SAMPLES)
    for n in range(0, count + stride, stride):
        first = min(n, count - 1) * step
        for axis in range(3):
            xyz[axis] = np.float32(_number(raw, first + at[axis], kind[axis]))
        if count and _inside(xyz, 0, bounds[0], bounds[1]):
            time = _number(raw, first + at[5], kind[5]) if kind[5] else 0.0
            low, high = min(low, time), max(high, time)
            brightest = max(brightest, _number(raw, first + at[3], kind[3]) if kind[3] else 0.0)
    return low, high, brightest


def empty_points(count: int, with_ring: bool) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Arrays for `read_points`: xyz (3 count,), intensity, ring (empty without), offset."""
    return (
        np.empty(3 * count, np.float32),
        np.empty(count, np.float32),
        np.empty(count if with_ring else 0, np.int16),
        np.empty(count, np.int32),
    )
