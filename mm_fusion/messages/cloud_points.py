"""The bytes of a LiDAR cloud to arrays in one pass over memory (compiled; any layout, one compilation).

Points go in blocks that stay in the cache. Each column of a block has its own tight loop, so the kind of a
column is asked once a block and not once a point; a block without a point to cut needs no second look.
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
    """A compiled function (raw, byte) -> the number of numba type `kind` there, aligned or not."""

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
def _read_xyz(raw: Any, first: int, step: int, at: Any, kind: Any, xyz: Any) -> None:
    """Positions into the flat (3n,) `xyz`."""
    if at[1] == at[0] + 4 and at[2] == at[0] + 8 and kind[0] == 7 and kind[1] == 7 and kind[2] == 7:
        for j in range(len(xyz) // 3):
            _copy_12(raw, first + at[0] + j * step, xyz, 3 * j)
        return
    for j in range(len(xyz) // 3):
        for axis in range(3):
            xyz[3 * j + axis] = np.float32(_number(raw, first + j * step + at[axis], kind[axis]))


@njit(cache=True, nogil=True)
def _unit(value: Any) -> Any:
    """`value` held to 0..1; not a number becomes 0."""
    value = value if value > np.float32(0) else np.float32(0)
    return value if value < np.float32(1) else np.float32(1)


@njit(cache=True, nogil=True)
def _read_intensity(raw: Any, first: int, step: int, kind: int, scale: Any, out: Any) -> None:
    """Intensities times `scale`, held to 0..1."""
    if kind == 7:
        for j in range(len(out)):
            out[j] = _unit(_float32(raw, first + j * step) * scale)
        return
    for j in range(len(out)):
        out[j] = _unit(np.float32(np.float32(_number(raw, first + j * step, kind)) * scale))


@njit(cache=True, nogil=True)
def _read_ring(raw: Any, first: int, step: int, kind: int, out: Any) -> None:
    """Ring numbers; what int16 does not hold becomes -1."""
    if kind == 4:
        for j in range(len(out)):
            out[j] = max(np.int16(_uint16(raw, first + j * step)), np.int16(-1))
        return
    for j in range(len(out)):
        value = _number(raw, first + j * step, kind)
        out[j] = np.int16(value) if 0 <= value < 32768 else np.int16(-1)


@njit(cache=True, nogil=True)
def _read_time(raw: Any, first: int, step: int, kind: int, rule: Any, out: Any) -> int:
    """Offsets in ns by `rule` (origin, unit_ns, shift_ns, limit_ns); returns how many were too far (0)."""
    origin, unit, shift, limit = rule
    if kind == 5 and origin == 0 and unit == 1:
        return _read_whole_ns(raw, first, step, np.int64(shift), np.int64(limit), out)
    off = 0
    for j in range(len(out)):
        offset = (_number(raw, first + j * step, kind) - origin) * unit + shift
        usable = abs(offset) <= limit
        off += 0 if usable else 1
        out[j] = np.int32(np.rint(offset)) if usable else np.int32(0)
    return off


@njit(cache=True, nogil=True)
def _read_whole_ns(raw: Any, first: int, step: int, shift: int, limit: int, out: Any) -> int:
    """As `_read_time` for int32 ns, which need no rounding."""
    off = 0
    for j in range(len(out)):
        offset = np.int64(_int32(raw, first + j * step)) + shift
        usable = np.uint64(offset + limit) <= np.uint64(2 * limit)  # one comparison for both ends
        off += 0 if usable else 1
        out[j] = np.int32(offset) if usable else np.int32(0)
    return off


@njit(cache=True, nogil=True)
def _inside(xyz: Any, j: int, nearest: Any, farthest: Any) -> bool:
    """Whether the squared range of point `j` is within bounds; False where anything is not finite."""
    x, y, z = xyz[3 * j], xyz[3 * j + 1], xyz[3 * j + 2]
    squared = x * x + y * y + z * z
    return squared >= nearest and squared <= farthest


@njit(cache=True, nogil=True)
def _count_inside(xyz: Any, nearest: Any, farthest: Any) -> int:
    """How many of the points of a block are to be kept."""
    inside = np.int32(0)
    for j in range(len(xyz) // 3):
        if _inside(xyz, j, nearest, farthest):
            inside += np.int32(1)
    return inside


@njit(cache=True, nogil=True)
def _compact(xyz: Any, intensity: Any, ring: Any, offset: Any, nearest: Any, farthest: Any) -> None:
    """Close the gaps that cut points leave in a block."""
    to = 0
    for j in range(len(intensity)):
        inside = _inside(xyz, j, nearest, farthest)
        for axis in range(3):
            xyz[3 * to + axis] = xyz[3 * j + axis]
        intensity[to] = intensity[j]
        if len(ring):
            ring[to] = ring[j]
        offset[to] = offset[j]
        to += 1 if inside else 0


@njit(cache=True, nogil=True)
def _read_block(
    raw: Any, first: int, step: int, at: Any, kind: Any, scale: Any, rule: Any, block: Any
) -> int:
    """All columns of the points that fill `block`; absent ones become 0. Returns how many were mistimed."""
    xyz, intensity, ring, offset = block
    _read_xyz(raw, first, step, at, kind, xyz)
    if kind[3]:
        _read_intensity(raw, first + at[3], step, kind[3], scale, intensity)
    else:
        intensity[:] = 0
    if kind[4]:
        _read_ring(raw, first + at[4], step, kind[4], ring)
    if kind[5]:
        return _read_time(raw, first + at[5], step, kind[5], rule, offset)
    offset[:] = 0
    return 0


@njit(cache=True, nogil=True)
def read_points(
    raw: Any, step: int, count: int, at: Any, kind: Any, bounds: Any, scale: Any, rule: Any, out: Any
) -> tuple[int, int]:
    """Fill `out` = (xyz (3N,), intensity, ring (N or 0), offset) with the points inside.

    raw: read-only uint8, packed points of `step` bytes in the machine's byte order. at, kind: byte and
    PointField's datatype (0: none) of x, y, z, intensity, ring, time. bounds: squared range, float32. rule:
    as in `_read_time`. Returns how many points were kept and how many were mistimed.
    """
    xyz, intensity, ring, offset = out
    nearest, farthest = bounds
    kept = 0
    mistimed = 0
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        end = kept + size
        block = (xyz[3 * kept : 3 * end], intensity[kept:end], ring[kept:end], offset[kept:end])
        mistimed += _read_block(raw, start * step, step, at, kind, scale, rule, block)
        inside = _count_inside(block[0], nearest, farthest)
        if inside < size:
            _compact(block[0], block[1], block[2], block[3], nearest, farthest)
        kept += inside
    return kept, mistimed


@njit(cache=True, nogil=True)
def sample_points(
    raw: Any, step: int, count: int, at: Any, kind: Any, bounds: Any
) -> tuple[float, float, float]:
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
