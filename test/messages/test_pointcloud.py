from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.messages.pointcloud import decode_lidar, decode_radar_cloud, warm_up

VELODYNE = np.dtype(
    [("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "f4"), ("ring", "u2"), ("time", "f4")]
)
RADAR = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("doppler", "f4"), ("snr", "f4")])


def scan(count: int = 2500, dtype: np.dtype = VELODYNE) -> np.ndarray:
    """Points 5 m and more ahead, with times over 100 ms."""
    points = np.zeros(count, dtype)
    points["x"] = 5 + np.arange(count) % 50
    points["y"], points["z"] = np.linspace(-3, 3, count), 0.5
    points["intensity"], points["ring"] = np.linspace(0, 255, count), np.arange(count) % 32
    points["time"] = np.linspace(0, 0.1, count)
    return points


def test_empty_cloud(cloud, sensor):
    sweep = decode_lidar(cloud(np.zeros(0, VELODYNE)), sensor(), 0).get()
    assert sweep.xyz.shape == (0, 3) and sweep.ring is not None and sweep.frame_id == "lidar"


def test_known_points(cloud, sensor, stamp_ns):
    points = scan()
    deferred = decode_lidar(cloud(points), sensor(stamp_at="start", duration_ms=100.0), 0)
    sweep = deferred.get()
    assert deferred.stamp_ns == sweep.stamp_ns == stamp_ns + 50_000_000
    assert np.array_equal(sweep.xyz, np.stack([points[c] for c in "xyz"], axis=1))
    assert sweep.intensity == pytest.approx(points["intensity"] / 255)
    assert np.array_equal(sweep.ring, points["ring"])
    assert sweep.time_offset_ns[[0, -1]] == pytest.approx([-50_000_000, 50_000_000], abs=10)


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    "layout",
    [
        {
            "x": ("f8", 0),
            "y": ("f8", 8),
            "z": ("f8", 16),
            "intensity": ("u1", 24),
            "ring": ("u1", 25),
            "time": ("f8", 30),
        },
        {
            "x": ("f4", 1),
            "y": ("f4", 9),
            "z": ("f4", 5),
            "intensity": ("u2", 13),
            "ring": ("i4", 15),
            "time": ("f4", 19),
        },
    ],
)
def test_any_layout_gives_the_same_points(cloud, sensor, layout, padding, bigendian):
    names, formats, offsets = list(layout), [v[0] for v in layout.values()], [v[1] for v in layout.values()]
    dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": 41})
    plain = scan()
    points = np.zeros(len(plain), dtype)
    for name in names:
        points[name] = plain[name]
    expected = decode_lidar(cloud(plain), sensor(intensity_scale=255.0), 0).get()
    message = cloud(points.reshape(50, 50), row_padding=padding, bigendian=bigendian)
    sweep = decode_lidar(message, sensor(intensity_scale=255.0), 0).get()
    assert np.array_equal(sweep.xyz, expected.xyz) and np.array_equal(sweep.ring, expected.ring)
    assert sweep.intensity == pytest.approx(expected.intensity, abs=1 / 255)
    assert np.abs(sweep.time_offset_ns - expected.time_offset_ns).max() <= 10


def test_one_mask_for_all_columns(cloud, sensor):
    points = scan()
    points["x"][3], points["y"][7], points["z"][2000] = np.nan, np.inf, -np.inf
    points["x"][10], points[["x", "y", "z"]][11] = 400, (0, 0, 0)
    points["x"][12], points["y"][12], points["z"][12] = 0.5, 0, 0
    points["x"][11], points["y"][11], points["z"][11] = 0, 0, 0
    keep = np.ones(len(points), bool)
    keep[[3, 7, 10, 11, 12, 2000]] = False
    sweep = decode_lidar(cloud(points.reshape(25, 100)), sensor(min_range_m=1.0, max_range_m=300.0), 0).get()
    whole = decode_lidar(cloud(scan()), sensor(), 0).get().select(keep)
    for name in ("xyz", "intensity", "time_offset_ns", "ring"):
        assert np.array_equal(getattr(sweep, name), getattr(whole, name)), name


@pytest.mark.parametrize("useless", [np.nan, np.inf, 0.0, 1e9])
def test_a_cloud_of_nothing_usable_is_said(cloud, sensor, useless):
    points = scan(50)
    for name in ("x", "y", "z"):
        points[name] = useless
    with pytest.raises(MeasurementError, match="none among 50; is the LiDAR covered"):
        decode_lidar(cloud(points), sensor(), 0).get()


def test_no_further_fields(cloud, sensor):
    points = scan(4)[["x", "y", "z"]]
    sweep = decode_lidar(cloud(points), sensor(), 0).get()
    assert sweep.ring is None and not sweep.intensity.any() and not sweep.time_offset_ns.any()


@pytest.mark.parametrize(
    ("dtype", "brightest", "scale"), [("f4", 1, 1), ("f4", 200, 255), ("f4", 3000, 65535)]
)
def test_intensity_scale_is_guessed(cloud, sensor, dtype, brightest, scale):
    points = scan(10)
    points["intensity"] = brightest
    assert decode_lidar(cloud(points), sensor(), 0).get().intensity == pytest.approx(brightest / scale)


def test_unusable_intensity_and_time(cloud, sensor):
    points = scan(10)
    points["intensity"][:3], points["time"][:3] = (np.nan, -5, np.inf), (np.nan, np.inf, 1e30)
    sweep = decode_lidar(cloud(points), sensor(intensity_scale=255.0), 0).get()
    assert list(sweep.intensity[:3]) == [0, 0, 1]
    assert np.abs(sweep.time_offset_ns).max() <= 10**9


def test_wrong_unit_is_said_when_points_are_used(cloud, sensor):
    points = scan(10)
    points["time"] = np.linspace(1e5, 2e5, 10)
    with pytest.raises(MeasurementError, match="/sensor: expected point times within 1 s.*'time:s'"):
        decode_lidar(cloud(points), sensor(stamp_at="start", fields={"time": "time:s"}), 0).get()


def test_an_image_on_the_topic(types, sensor):
    string = types("std_msgs/msg/String")(data="hello")
    with pytest.raises(MeasurementError, match="/sensor: expected a readable PointCloud2"):
        decode_lidar(string, sensor(), 0)


def radar_points(count: int = 4, dtype: np.dtype = RADAR) -> np.ndarray:
    points = np.zeros(count, dtype)
    points["x"], points["y"] = 3, 4
    return points


def test_radar_sign_and_ambiguity(cloud, sensor):
    points = radar_points()
    points["doppler"], points["snr"] = 2.5, 17
    message = cloud(points)
    scan_ = decode_radar_cloud(message, sensor("radar", doppler_sign=-1, ambiguity_mps=10.4), 0).get()
    assert list(scan_.radial_velocity) == [-2.5] * 4 and scan_.ambiguity_mps == 10.4 and not scan_.compensated
    assert list(scan_.strength_db) == [17] * 4 and scan_.strength_kind == "snr"


def test_empty_radar_cloud(cloud, sensor):
    assert decode_radar_cloud(cloud(radar_points(0)), sensor("radar"), 0).get().xyz.shape == (0, 3)


def test_radar_rows_that_are_not_finite(cloud, sensor):
    points = radar_points()
    points["doppler"][0], points["x"][1], points["snr"][2] = np.nan, np.inf, np.nan
    scan_ = decode_radar_cloud(cloud(points), sensor("radar"), 0).get()
    assert len(scan_.xyz) == 2 and list(scan_.strength_db) == [0, 0]


def test_compensated_components_become_radial(cloud, sensor):
    dtype = np.dtype(
        [("x", "f4"), ("y", "f4"), ("z", "f4"), ("vx_comp", "f4"), ("vy_comp", "f4"), ("rcs", "f4")]
    )
    points = radar_points(1, dtype)
    points["vx_comp"], points["vy_comp"], points["rcs"] = 5, 5, 9
    scan_ = decode_radar_cloud(cloud(points), sensor("radar", doppler_sign=-1), 0).get()
    assert scan_.compensated and scan_.radial_velocity == pytest.approx([7.0])
    assert (scan_.strength_kind, scan_.strength_db[0]) == ("rcs", 9)


def test_raw_doppler_goes_before_compensated(cloud, sensor):
    dtype = np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("v_r", "f4"), ("v_r_compensated", "f4")])
    points = radar_points(1, dtype)
    points["v_r"] = 3
    scan_ = decode_radar_cloud(cloud(points), sensor("radar"), 0).get()
    assert not scan_.compensated and scan_.radial_velocity[0] == 3 and scan_.strength_kind == "power"
    chosen = sensor("radar", fields={"velocity": ""})
    assert decode_radar_cloud(cloud(points), chosen, 0).get().compensated


def test_strength_can_be_named(cloud, sensor):
    dtype = np.dtype([*RADAR.descr, ("mag", "f8")])
    points = radar_points(1, dtype)
    points["mag"] = 45.5
    named = sensor("radar", fields={"strength": "mag"}, strength_kind="power")
    scan_ = decode_radar_cloud(cloud(points), named, 0).get()
    assert (scan_.strength_kind, scan_.strength_db[0]) == ("power", 45.5)


def test_no_doppler_is_said(cloud, sensor):
    with pytest.raises(MeasurementError, match="expected a Doppler field .*got fields x, y, z; name it"):
        decode_radar_cloud(cloud(radar_points()[["x", "y", "z"]]), sensor("radar"), 0)


def test_warm_up_compiles_what_a_cloud_needs(cloud, sensor):
    from mm_fusion.messages.cloud_points import read_points

    warm_up()
    compiled = len(read_points.signatures)
    decode_lidar(cloud(scan()), sensor(), 0).get()
    assert compiled and len(read_points.signatures) == compiled
