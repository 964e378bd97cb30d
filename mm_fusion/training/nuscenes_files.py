"""Files of nuScenes as measurements: clouds (.bin), radar scans (.pcd) and images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mm_fusion.bags.convert.recording import reading_source
from mm_fusion.config import SensorConfig
from mm_fusion.errors import BagError, MeasurementError
from mm_fusion.measurements import CameraImage, LidarSweep, Measurement, RadarScan
from mm_fusion.messages.images import encoded_size

LIDAR_COLUMNS = 5
"""x, y, z, intensity 0 to 255 and ring of each point, float32."""
RADAR_FIELDS = ("x", "y", "z", "rcs", "vx_comp", "vy_comp", "dyn_prop", "ambig_state", "invalid_state")
UNAMBIGUOUS, VALID, DYNAMIC_STATES = 3, 0, 7
"""Values of a return's states that nuscenes-devkit keeps by default: the last is exclusive."""
_KINDS = {"F": "f", "I": "i", "U": "u"}


def read_measurement(path: Path, name: str, stamp_ns: int, sensor: SensorConfig) -> Measurement:
    """What one file of sensor `name` holds; raises `BagError` that names it where it is broken.

    `FileNotFoundError` where it is not there.
    """
    raw = path.read_bytes()
    with reading_source(path):
        match sensor.kind:
            case "camera":
                return read_image(path, raw, name, stamp_ns)
            case "lidar":
                return read_lidar(path, raw, name, stamp_ns, sensor)
            case "radar":
                return read_radar(path, raw, name, stamp_ns, sensor)
    raise BagError(f"{path}: expected a camera, LiDAR or radar, got sensor {name} of kind {sensor.kind}")


def read_image(path: Path, raw: bytes, name: str, stamp_ns: int) -> CameraImage:
    """An image, still encoded, with a sound beginning and end."""
    pixels = np.frombuffer(raw, np.uint8)
    png = raw[:4] == b"\x89PNG"
    try:
        encoded_size(pixels)
    except MeasurementError as error:
        raise BagError(f"{path}: {error}") from error
    if (b"IEND" if png else b"\xff\xd9") not in raw[-1024:]:
        raise BagError(f"{path}: the image has no end; was it copied whole?")
    return CameraImage(stamp_ns, name, encoded=raw, format="png" if png else "jpeg")


def read_lidar(path: Path, raw: bytes, name: str, stamp_ns: int, sensor: SensorConfig) -> LidarSweep:
    """A cloud at its stamp, to which nuScenes has already moved every point: times of points are all 0."""
    if len(raw) % (4 * LIDAR_COLUMNS):
        raise BagError(
            f"{path}: expected {LIDAR_COLUMNS} float32 a point, got {len(raw)} bytes; was it copied whole?"
        )
    points = np.frombuffer(raw, "<f4").reshape(-1, LIDAR_COLUMNS)
    points = points[_in_range(points[:, :3], sensor)]
    intensity = np.clip(np.nan_to_num(points[:, 3]) / np.float32(255), 0, 1).astype(np.float32)
    ring = np.nan_to_num(points[:, 4]).astype(np.int16)
    xyz = np.ascontiguousarray(points[:, :3], np.float32)
    return LidarSweep(stamp_ns, name, xyz, intensity, np.zeros(len(xyz), np.int32), ring)


def read_radar(path: Path, raw: bytes, name: str, stamp_ns: int, sensor: SensorConfig) -> RadarScan:
    """A scan of the returns that are valid and unambiguous, their speed over ground along the ray.

    The compensated velocity is taken: it points along the ray, as Doppler does, while the raw one lies along
    the sensor's axis and does not give the radial speed back (nutonomy/nuscenes-devkit issues 924 and 932).
    """
    columns = read_pcd(path, raw)
    lost = [field for field in RADAR_FIELDS if field not in (columns.dtype.names or ())]
    if lost:
        raise BagError(f"{path}: expected fields {', '.join(RADAR_FIELDS)}, missing: {', '.join(lost)}")
    xyz = np.stack([columns[axis] for axis in "xyz"], axis=1).astype(np.float32)
    keep = (columns["invalid_state"] == VALID) & (columns["ambig_state"] == UNAMBIGUOUS)
    keep &= (columns["dyn_prop"] >= 0) & (columns["dyn_prop"] < DYNAMIC_STATES) & _in_range(xyz, sensor)
    columns, xyz = columns[keep], xyz[keep]
    distance = np.maximum(np.hypot(xyz[:, 0], xyz[:, 1]), 1e-3)
    speed = (columns["vx_comp"] * xyz[:, 0] + columns["vy_comp"] * xyz[:, 1]) / distance
    return RadarScan(
        stamp_ns,
        name,
        xyz,
        speed.astype(np.float32),
        columns["rcs"].astype(np.float32),
        "rcs",
        compensated=True,
    )


def read_pcd(path: Path, raw: bytes) -> np.ndarray:
    """The points of a binary PCD file as a structured array; raises `BagError` where it is another or cut."""
    head, mark, body = raw.partition(b"DATA binary\n")
    lines = (line.split() for line in head.decode("ascii", "replace").splitlines())
    header = {words[0]: words[1:] for words in lines if words and not words[0].startswith("#")}
    lost = [key for key in ("FIELDS", "SIZE", "TYPE", "POINTS") if not header.get(key)]
    if not mark or lost:
        raise BagError(f"{path}: expected a PCD file with binary data, got {raw[:40]!r}")
    if any(count != "1" for count in header.get("COUNT", ())):
        raise BagError(f"{path}: expected one value a field, got COUNT {' '.join(header['COUNT'])}")
    columns = zip(header["FIELDS"], header["TYPE"], header["SIZE"], strict=True)
    layout = np.dtype([(field, f"<{_KINDS[kind]}{size}") for field, kind, size in columns])
    count = int(header["POINTS"][0])
    if len(body) < count * layout.itemsize:
        raise BagError(
            f"{path}: expected {count} points of {layout.itemsize} bytes, got {len(body)} bytes; "
            "was it copied whole?"
        )
    points = np.frombuffer(body, layout, count)
    # nuScenes writes an empty scan as one point of NaN
    return points[np.isfinite(points["x"])] if "x" in header["FIELDS"] else points


def _in_range(xyz: np.ndarray, sensor: SensorConfig) -> np.ndarray:
    square = (xyz.astype(np.float64) ** 2).sum(axis=1)
    return np.asarray((square >= sensor.min_range_m**2) & (square <= sensor.max_range_m**2))
