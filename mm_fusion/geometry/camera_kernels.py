"""Compiled loops of the camera models, all in one file, so that numba's cache sees every change of a callee.

A lens is a row of 20 float64: fx fy cx cy | k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 | fisheye limit width height,
with `limit` the valid radius x/z, y/z (pinhole) or the valid angle from the axis (fisheye).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mm_fusion.measurements import Float32, Float64

FISHEYE, LIMIT, WIDTH, HEIGHT, LENS_SIZE = 16, 17, 18, 19, 20
NEWTON_STEPS = 20
RESIDUAL = 1e-10
"""Distance on the normalised plane at which an inversion counts as found: far under 1e-6 px."""


@njit(cache=True, error_model="numpy")
def distort_plane(x: float, y: float, lens: Float64) -> tuple[float, float]:
    """Distorted normalised coordinates: Brown-Conrady, rational and thin prism as in OpenCV's calib3d."""
    s = x * x + y * y
    radial = 1 + s * (lens[4] + s * (lens[5] + s * lens[8]))
    radial /= 1 + s * (lens[9] + s * (lens[10] + s * lens[11]))
    p1, p2 = lens[6], lens[7]
    xd = x * radial + 2 * p1 * x * y + p2 * (s + 2 * x * x) + s * (lens[12] + s * lens[13])
    yd = y * radial + p1 * (s + 2 * y * y) + 2 * p2 * x * y + s * (lens[14] + s * lens[15])
    return xd, yd


@njit(cache=True, error_model="numpy")
def _distort_angle(angle: float, lens: Float64) -> float:
    s = angle * angle
    return angle * (1 + s * (lens[4] + s * (lens[5] + s * (lens[6] + s * lens[7]))))


@njit(cache=True, error_model="numpy")
def _to_pixel(x: float, y: float, z: float, lens: Float64) -> tuple[float, float, bool]:
    if lens[FISHEYE] > 0:
        # Kannala-Brandt 2006 as in OpenCV's fisheye; the angle may pass 90 degrees, where a lens sees so far
        r = np.sqrt(x * x + y * y)
        angle = np.arctan2(r, z)
        scale = _distort_angle(angle, lens) / r if r > 1e-12 else 0.0
        xd, yd, valid = scale * x, scale * y, angle <= lens[LIMIT] and r + abs(z) > 0
    else:
        valid = z > 0 and x * x + y * y <= (lens[LIMIT] * z) ** 2
        if not valid:
            return np.nan, np.nan, False
        xd, yd = distort_plane(x / z, y / z, lens)
    if not valid:
        return np.nan, np.nan, False
    return lens[0] * xd + lens[2], lens[1] * yd + lens[3], True


@njit(cache=True, error_model="numpy")
def project_points(xyz: Float64, lens: Float64) -> tuple[Float64, NDArray[np.bool_]]:
    """Pixels (N, 2), NaN where the model does not hold, and whether they are inside the image."""
    pixels, visible = np.empty((len(xyz), 2)), np.empty(len(xyz), np.bool_)
    for i in range(len(xyz)):
        u, v, valid = _to_pixel(xyz[i, 0], xyz[i, 1], xyz[i, 2], lens)
        pixels[i, 0], pixels[i, 1] = u, v
        inside = u >= -0.5 and u < lens[WIDTH] - 0.5 and v >= -0.5 and v < lens[HEIGHT] - 0.5
        visible[i] = valid and inside
    return pixels, visible


@njit(cache=True, nogil=True, error_model="numpy")
def project_cameras(
    xyz: Float32, camera_from_base: Float64, lenses: Float64, cones: Float32
) -> tuple[Float32, NDArray[np.bool_]]:
    """Pixels (C, N, 2) f32, NaN where not visible, and visible (C, N), of N points in C cameras.

    cones: (C, 5) f32: bounds of x/z (2) and y/z (2) and, for a fisheye, the cosine of the widest angle:
    outside them nothing falls into the image.
    """
    count = len(xyz)
    pixels = np.full((len(lenses), count, 2), np.nan, np.float32)
    visible = np.zeros((len(lenses), count), np.bool_)
    near = np.empty(count, np.bool_)
    chosen = np.empty(count + 1, np.int32)
    xs, ys, zs = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    for i in range(count):
        xs[i], ys[i], zs[i] = xyz[i, 0], xyz[i, 1], xyz[i, 2]
    for c in range(len(lenses)):
        m = camera_from_base[c]
        if lenses[c, FISHEYE] > 0:
            _in_fisheye_cone(xs, ys, zs, m.astype(np.float32), cones[c], near)
        else:
            _in_cone(xs, ys, zs, m.astype(np.float32), cones[c], near)
        kept = 0
        for i in range(count):
            chosen[kept] = i
            kept += near[i]
        u, v = _project_chosen(xs, ys, zs, chosen[:kept], m, lenses[c])
        right, bottom = lenses[c, WIDTH] - 0.5, lenses[c, HEIGHT] - 0.5
        for k in range(kept):
            if u[k] >= -0.5 and u[k] < right and v[k] >= -0.5 and v[k] < bottom:
                i = chosen[k]
                pixels[c, i, 0], pixels[c, i, 1], visible[c, i] = u[k], v[k], True
    return pixels, visible


@njit(cache=True, error_model="numpy")
def _project_chosen(
    xs: Float32, ys: Float32, zs: Float32, chosen: NDArray[np.int32], m: Float64, lens: Float64
) -> tuple[Float64, Float64]:
    count = len(chosen)
    x, y, z = np.empty(count), np.empty(count), np.empty(count)
    for k in range(count):
        i = chosen[k]
        x[k] = m[0, 0] * xs[i] + m[0, 1] * ys[i] + m[0, 2] * zs[i] + m[0, 3]
        y[k] = m[1, 0] * xs[i] + m[1, 1] * ys[i] + m[1, 2] * zs[i] + m[1, 3]
        z[k] = m[2, 0] * xs[i] + m[2, 1] * ys[i] + m[2, 2] * zs[i] + m[2, 3]
    if lens[FISHEYE] > 0:
        for k in range(count):
            x[k], y[k], _ = _to_pixel(x[k], y[k], z[k], lens)
        return x, y
    # The loop of `_to_pixel` without its branches, for vector instructions.
    fx, fy, cx, cy, square_limit = lens[0], lens[1], lens[2], lens[3], lens[LIMIT] ** 2
    k1, k2, p1, p2, k3, k4, k5, k6 = lens[4], lens[5], lens[6], lens[7], lens[8], lens[9], lens[10], lens[11]
    s1, s2, s3, s4 = lens[12], lens[13], lens[14], lens[15]
    for k in range(count):
        a, b = x[k] / z[k], y[k] / z[k]
        s = a * a + b * b
        radial = (1 + s * (k1 + s * (k2 + s * k3))) / (1 + s * (k4 + s * (k5 + s * k6)))
        u = a * radial + 2 * p1 * a * b + p2 * (s + 2 * a * a) + s * (s1 + s * s2)
        v = b * radial + p1 * (s + 2 * b * b) + 2 * p2 * a * b + s * (s3 + s * s4)
        x[k] = fx * u + cx if s <= square_limit and z[k] > 0 else np.nan
        y[k] = fy * v + cy
    return x, y


@njit(cache=True, error_model="numpy")
def _in_cone(
    xs: Float32, ys: Float32, zs: Float32, m: Float32, cone: Float32, near: NDArray[np.bool_]
) -> None:
    # No branch inside and no sum carried over: the compiler turns this loop into vector instructions.
    m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    left, right, top, bottom = cone[0], cone[1], cone[2], cone[3]
    for i in range(len(xs)):
        x = m00 * xs[i] + m01 * ys[i] + m02 * zs[i] + m03
        y = m10 * xs[i] + m11 * ys[i] + m12 * zs[i] + m13
        z = m20 * xs[i] + m21 * ys[i] + m22 * zs[i] + m23
        near[i] = (z > 0) & (x >= left * z) & (x <= right * z) & (y >= top * z) & (y <= bottom * z)


@njit(cache=True, error_model="numpy")
def _in_fisheye_cone(
    xs: Float32, ys: Float32, zs: Float32, m: Float32, cone: Float32, near: NDArray[np.bool_]
) -> None:
    # Without a square root: z|z| against cos|cos| |p|^2 keeps the order of z/|p| against the cosine.
    bound = cone[4] * abs(cone[4])
    m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    for i in range(len(xs)):
        x = m00 * xs[i] + m01 * ys[i] + m02 * zs[i] + m03
        y = m10 * xs[i] + m11 * ys[i] + m12 * zs[i] + m13
        z = m20 * xs[i] + m21 * ys[i] + m22 * zs[i] + m23
        near[i] = z * abs(z) >= bound * (x * x + y * y + z * z)


@njit(cache=True, error_model="numpy")
def rays_of_pixels(pixels: Float64, lens: Float64) -> Float64:
    """Unit rays (N, 3) of pixels; NaN where no ray within the valid radius reaches the pixel."""
    rays = np.full((len(pixels), 3), np.nan)
    for i in range(len(pixels)):
        xd, yd = (pixels[i, 0] - lens[2]) / lens[0], (pixels[i, 1] - lens[3]) / lens[1]
        distorted = np.hypot(xd, yd)
        if not np.isfinite(distorted):
            continue
        radius = _undistort_radius(distorted, lens)
        if lens[FISHEYE] > 0:
            if abs(_distort_angle(radius, lens) - distorted) < RESIDUAL:
                side = np.sin(radius) / distorted if distorted > 1e-12 else 0.0
                rays[i, 0], rays[i, 1], rays[i, 2] = side * xd, side * yd, np.cos(radius)
            continue
        scale = radius / distorted if distorted > 1e-12 else 1.0
        x, y, found = _undistort_plane(scale * xd, scale * yd, xd, yd, lens)
        if found:
            norm = np.sqrt(x * x + y * y + 1)
            rays[i, 0], rays[i, 1], rays[i, 2] = x / norm, y / norm, 1 / norm
    return rays


@njit(cache=True, error_model="numpy")
def _radial(radius: float, lens: Float64) -> float:
    if lens[FISHEYE] > 0:
        return _distort_angle(radius, lens)
    s = radius * radius
    radial = 1 + s * (lens[4] + s * (lens[5] + s * lens[8]))
    return radius * radial / (1 + s * (lens[9] + s * (lens[10] + s * lens[11])))


@njit(cache=True, error_model="numpy")
def _undistort_radius(distorted: float, lens: Float64) -> float:
    # Bisection: the radial part is monotonic up to the limit, so nothing can go astray; at the limit it
    # stops.
    low, high = 0.0, min(1.0, lens[LIMIT])
    while _radial(high, lens) < distorted and high < lens[LIMIT] and high < 1e6:
        low, high = high, min(2 * high, lens[LIMIT])
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _radial(middle, lens) < distorted:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(cache=True, error_model="numpy")
def _undistort_plane(x: float, y: float, xd: float, yd: float, lens: Float64) -> tuple[float, float, bool]:
    for _ in range(NEWTON_STEPS):
        xe, ye = distort_plane(x, y, lens)
        ex, ey = xe - xd, ye - yd
        if ex * ex + ey * ey < RESIDUAL * RESIDUAL:
            return x, y, x * x + y * y <= (lens[LIMIT] * (1 + 1e-6)) ** 2
        xx, xy, yx, yy = _jacobian(x, y, lens)
        determinant = xx * yy - xy * yx
        if determinant == 0:
            return x, y, False
        x -= (yy * ex - xy * ey) / determinant
        y -= (xx * ey - yx * ex) / determinant
    return x, y, False


@njit(cache=True, error_model="numpy")
def _jacobian(x: float, y: float, lens: Float64) -> tuple[float, float, float, float]:
    s = x * x + y * y
    above = 1 + s * (lens[4] + s * (lens[5] + s * lens[8]))
    below = 1 + s * (lens[9] + s * (lens[10] + s * lens[11]))
    d_above = lens[4] + s * (2 * lens[5] + 3 * s * lens[8])
    d_below = lens[9] + s * (2 * lens[10] + 3 * s * lens[11])
    radial, slope = above / below, 2 * (d_above * below - above * d_below) / (below * below)
    p1, p2 = lens[6], lens[7]
    prism_x, prism_y = 2 * (lens[12] + 2 * s * lens[13]), 2 * (lens[14] + 2 * s * lens[15])
    cross = slope * x * y + 2 * p1 * x + 2 * p2 * y
    xx = radial + slope * x * x + 2 * p1 * y + 6 * p2 * x + prism_x * x
    yy = radial + slope * y * y + 6 * p1 * y + 2 * p2 * x + prism_y * y
    return xx, cross + prism_x * y, cross + prism_y * x, yy
