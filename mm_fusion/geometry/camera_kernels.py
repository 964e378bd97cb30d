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
RUN = 64
"""Points in a row that are looked at together before each is."""
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
        u, v, z = _to_camera(xs, ys, zs, chosen[:kept], m)
        _to_pixels(u, v, z, lenses[c])
        right, bottom = lenses[c, WIDTH] - 0.5, lenses[c, HEIGHT] - 0.5
        for k in range(kept):
            if u[k] >= -0.5 and u[k] < right and v[k] >= -0.5 and v[k] < bottom:
                i = chosen[k]
                pixels[c, i, 0], pixels[c, i, 1], visible[c, i] = u[k], v[k], True
    return pixels, visible


@njit(cache=True, error_model="numpy")
def _to_camera(
    xs: Float32, ys: Float32, zs: Float32, chosen: NDArray[np.int32], m: Float64
) -> tuple[Float64, Float64, Float64]:
    count = len(chosen)
    x, y, z = np.empty(count), np.empty(count), np.empty(count)
    for k in range(count):
        i = chosen[k]
        x[k] = m[0, 0] * xs[i] + m[0, 1] * ys[i] + m[0, 2] * zs[i] + m[0, 3]
        y[k] = m[1, 0] * xs[i] + m[1, 1] * ys[i] + m[1, 2] * zs[i] + m[1, 3]
        z[k] = m[2, 0] * xs[i] + m[2, 1] * ys[i] + m[2, 2] * zs[i] + m[2, 3]
    return x, y, z


@njit(cache=True, error_model="numpy")
def _to_pixels(x: Float64, y: Float64, z: Float64, lens: Float64) -> None:
    """Put the pixels of points in camera axes in place of x and y; x is NaN where the model does not hold."""
    if lens[FISHEYE] > 0:
        for k in range(len(x)):
            x[k], y[k], _ = _to_pixel(x[k], y[k], z[k], lens)
        return
    # The loop of `_to_pixel` without its branches, for vector instructions.
    fx, fy, cx, cy, square_limit = lens[0], lens[1], lens[2], lens[3], lens[LIMIT] ** 2
    k1, k2, p1, p2, k3, k4, k5, k6 = lens[4], lens[5], lens[6], lens[7], lens[8], lens[9], lens[10], lens[11]
    s1, s2, s3, s4 = lens[12], lens[13], lens[14], lens[15]
    for k in range(len(x)):
        a, b = x[k] / z[k], y[k] / z[k]
        s = a * a + b * b
        radial = (1 + s * (k1 + s * (k2 + s * k3))) / (1 + s * (k4 + s * (k5 + s * k6)))
        u = a * radial + 2 * p1 * a * b + p2 * (s + 2 * a * a) + s * (s1 + s * s2)
        v = b * radial + p1 * (s + 2 * b * b) + 2 * p2 * a * b + s * (s3 + s * s4)
        x[k] = fx * u + cx if (s <= square_limit) & (z[k] > 0) else np.nan
        y[k] = fy * v + cy


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


@njit(cache=True, nogil=True, error_model="numpy")
def central_views(
    points: Float32, runs: Float64, camera_from_base: Float64, lenses: Float64, cones: Float32,
    motions: Float64, shutters: Float64, camera: NDArray[np.int8], pixels: Float32, inner: Float32,
    square: Float64,
) -> None:  # fmt: skip
    """Of the cameras that see each of N points, those K whose image border is farthest from it, best first.

    points: (3, N) f32. runs: (R, 4), middle and radius of a ball around each `RUN` points in a row. cones: as
    in `project_cameras`. motions: (C, 3, 4), m/s of a still point in camera axes. shutters: (C, 3), seconds
    from row to row, row of the camera's own time, longest time from it; 0 for a global shutter. Fills camera
    (N, K), pixels (N, K, 2), distance from the border as a share of the image `inner` (N, K), -1 for none,
    and the distance's square (N, K); only what is there is written to the others.
    """
    inner[:] = np.float32(-1)
    chosen = np.empty(len(inner), np.int32)
    for c in range(len(lenses)):
        m, lens, motion, shutter = camera_from_base[c], lenses[c], motions[c], shutters[c]
        kept = _choose(points, runs, m, lens, cones[c], motion, shutter, chosen)
        u, v, away = _project_rows(points, chosen[:kept], m, lens, motion, shutter)
        here = _from_border(u, v, lens)
        for j in range(kept):
            n = chosen[j]
            if not here[j] > inner[n, -1]:
                continue
            k = inner.shape[1] - 1
            while k > 0 and here[j] > inner[n, k - 1]:
                camera[n, k], inner[n, k], square[n, k] = camera[n, k - 1], inner[n, k - 1], square[n, k - 1]
                pixels[n, k, 0], pixels[n, k, 1] = pixels[n, k - 1, 0], pixels[n, k - 1, 1]
                k -= 1
            camera[n, k], inner[n, k], square[n, k] = c, here[j], away[j]
            pixels[n, k, 0], pixels[n, k, 1] = u[j], v[j]


@njit(cache=True, error_model="numpy")
def _from_border(u: Float64, v: Float64, lens: Float64) -> Float32:
    """Distances of pixels from the image's border as shares of its size, -1 outside."""
    here, zero, half = np.empty(len(u), np.float32), np.float32(0), np.float32(0.5)
    right, bottom = lens[WIDTH] - 0.5, lens[HEIGHT] - 0.5
    width, height = np.float32(lens[WIDTH]), np.float32(lens[HEIGHT])
    for j in range(len(u)):
        inside = (u[j] >= -0.5) & (u[j] < right) & (v[j] >= -0.5) & (v[j] < bottom)
        across, down = np.float32(u[j]) + half, np.float32(v[j]) + half
        across, down = min(across, width - across) / width, min(down, height - down) / height
        here[j] = max(min(across, down), zero) if inside else np.float32(-1)
    return here


@njit(cache=True, error_model="numpy")
def _choose(
    points: Float32, runs: Float64, m: Float64, lens: Float64, cone: Float32, motion: Float64,
    shutter: Float64, chosen: NDArray[np.int32],
) -> int:  # fmt: skip
    """Number of points that may be in the image, listed in `chosen`: runs by their ball, then one by one."""
    near, small, planes, kept = np.empty(RUN, np.bool_), m.astype(np.float32), _planes(cone), 0
    slack = shutter[2] * np.sqrt((motion[:, 3] ** 2).sum())
    stretch = shutter[2] * np.sqrt((motion[:, :3] ** 2).sum())
    for run in range(len(runs)):
        if lens[FISHEYE] == 0 and _ball_outside(runs[run], m, planes, slack, stretch):
            continue
        begin, end = run * RUN, min((run + 1) * RUN, points.shape[1])
        x, y, z = points[0, begin:end], points[1, begin:end], points[2, begin:end]
        if (
            shutter[0] != 0
        ):  # the ball says enough: what moves while rows are read may leave or enter the cone
            near[:] = True
        elif lens[FISHEYE] > 0:
            _in_fisheye_cone(x, y, z, small, cone, near)
        else:
            _in_cone(x, y, z, small, cone, near)
        for i in range(begin, end):
            chosen[kept] = i
            kept += near[i - begin]
    return kept


@njit(cache=True, error_model="numpy")
def _planes(cone: Float32) -> Float64:
    """(5, 3): inward unit normals of the planes that bound a pinhole camera's cone."""
    planes = np.zeros((5, 3))
    for row, (axis, sign, bound) in enumerate(
        ((0, 1, cone[0]), (0, -1, cone[1]), (1, 1, cone[2]), (1, -1, cone[3]))
    ):
        planes[row, axis], planes[row, 2] = sign, -sign * np.float64(bound)
        planes[row] /= np.sqrt(1 + np.float64(bound) ** 2)
    planes[4, 2] = 1
    return planes


@njit(cache=True, error_model="numpy")
def _ball_outside(ball: Float64, m: Float64, planes: Float64, slack: float, stretch: float) -> bool:
    """Whether a ball, grown by what its points move, lies wholly on the outer side of a plane."""
    x = m[0, 0] * ball[0] + m[0, 1] * ball[1] + m[0, 2] * ball[2] + m[0, 3]
    y = m[1, 0] * ball[0] + m[1, 1] * ball[1] + m[1, 2] * ball[2] + m[1, 3]
    z = m[2, 0] * ball[0] + m[2, 1] * ball[1] + m[2, 2] * ball[2] + m[2, 3]
    r = ball[3] + slack
    if stretch > 0:
        r += stretch * (np.sqrt(x * x + y * y + z * z) + ball[3])
    for row in range(len(planes)):
        if planes[row, 0] * x + planes[row, 1] * y + planes[row, 2] * z < -r:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _project_rows(
    points: Float32, chosen: NDArray[np.int32], m: Float64, lens: Float64, motion: Float64, shutter: Float64
) -> tuple[Float64, Float64, Float64]:
    """Pixels of the chosen points and square of their distance, each at the time at which its row is read."""
    x, y, z = _to_camera(points[0], points[1], points[2], chosen, m)
    away = x * x + y * y + z * z
    if shutter[0] == 0:
        _to_pixels(x, y, z, lens)
        return x, y, away
    u, v = x.copy(), y.copy()
    _to_pixels(u, v, z, lens)
    for k in range(len(x)):
        late = min(max((v[k] - shutter[1]) * shutter[0], -shutter[2]), shutter[2])
        a = x[k] + late * (motion[0, 0] * x[k] + motion[0, 1] * y[k] + motion[0, 2] * z[k] + motion[0, 3])
        b = y[k] + late * (motion[1, 0] * x[k] + motion[1, 1] * y[k] + motion[1, 2] * z[k] + motion[1, 3])
        c = z[k] + late * (motion[2, 0] * x[k] + motion[2, 1] * y[k] + motion[2, 2] * z[k] + motion[2, 3])
        x[k], y[k], z[k], away[k] = a, b, c, a * a + b * b + c * c
    _to_pixels(x, y, z, lens)
    return x, y, away


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
