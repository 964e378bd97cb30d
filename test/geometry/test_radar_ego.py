from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mm_fusion.errors import MeasurementError
from mm_fusion.geometry.motion import rays_of, wrap_velocity
from mm_fusion.geometry.radar_ego import RadarReturns, estimate_doppler_properties, estimate_ego_motion
from mm_fusion.geometry.transforms import rigid

ASTYX_INTERVAL = 10.4
FRONT = (3.5, 0.0, 0.0)
CORNERS = {(3.5, 0.8): 45, (3.5, -0.8): -45, (-1.0, 0.8): 135, (-1.0, -0.8): -135}


def returns(
    velocity,
    yaw_rate=0.0,
    position=FRONT,
    heading_deg=0.0,
    interval=ASTYX_INTERVAL,
    count=600,
    moving=0.25,
    seed=1,
) -> RadarReturns:
    """Returns in a 110 degree wide view of a world of which a share `moving` has speeds of its own."""
    rng = np.random.default_rng(seed)
    azimuth = np.radians(heading_deg) + rng.uniform(-0.96, 0.96, count)
    elevation = rng.normal(0, 0.05, count)
    rays = np.column_stack(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    at = np.array(position)
    sensor_velocity = np.array([*velocity, 0.0]) + np.cross([0, 0, yaw_rate], at)
    raw = -rays @ sensor_velocity + rng.normal(0, 0.05, count)
    raw[: round(moving * count)] += rng.uniform(-15, 15, round(moving * count))
    return RadarReturns(rays, at, wrap_velocity(raw, interval), interval)


def corners(velocity, yaw_rate, interval, seed=1):
    return [
        returns(velocity, yaw_rate, (*place, 0.0), heading, interval, 120, seed=seed + k)
        for k, (place, heading) in enumerate(CORNERS.items())
    ]


def test_nothing_from_nothing():
    assert estimate_ego_motion([]) is None
    empty = RadarReturns(np.empty((0, 3)), np.zeros(3), np.empty(0), 10.4)
    assert estimate_ego_motion([empty]) is None
    assert estimate_doppler_properties([]) == (None, None, 0.0)
    assert estimate_doppler_properties([empty]) == (None, None, 0.0)


def test_one_velocity_per_ray():
    with pytest.raises(MeasurementError, match="got 2 for 3"):
        RadarReturns(np.ones((3, 3)), np.zeros(3), np.zeros(2))


@settings(max_examples=25, deadline=None)
@given(st.floats(-8, 40), st.floats(-0.8, 0.8), st.sampled_from([10.4, 25.0, None]), st.integers(0, 99))
def test_speed_and_direction_from_one_radar(vx, vy, interval, seed):
    estimate = estimate_ego_motion([returns((vx, vy), interval=interval, seed=seed)])
    assert estimate is not None
    assert np.allclose(estimate.linear[:2], (vx, vy), atol=0.15)
    assert estimate.inlier_share > 0.65 and estimate.residual_mps < 0.1


@pytest.mark.parametrize("interval", [10.4, None])
@pytest.mark.parametrize("yaw_rate", [-0.4, 0.0, 0.13, 0.5])
def test_several_radars_give_the_yaw_rate(interval, yaw_rate):
    estimate = estimate_ego_motion(corners((12.0, 0.0), yaw_rate, interval))
    assert estimate is not None
    assert estimate.angular[2] == pytest.approx(yaw_rate, abs=0.03) and estimate.yaw_rate_std < 0.05
    assert np.allclose(estimate.linear[:2], (12, 0), atol=0.1)


def test_one_radar_leaves_the_yaw_rate_open_and_says_so():
    estimate = estimate_ego_motion([returns((12.0, 0.0), yaw_rate=0.2)])
    assert estimate is not None
    # the nose goes sideways by 0.7 m/s: turning and sliding look alike from one place
    assert estimate.yaw_rate_std > 0.2
    assert abs(estimate.linear[1]) < 3 * np.sqrt(estimate.linear_cov[1, 1])


def test_inliers_are_named_per_scan_and_nan_is_none():
    front = returns((12.0, 0.0), count=400)
    velocity = front.radial_velocity.copy()
    velocity[-10:] = np.nan
    rear = returns((12.0, 0.0), position=(-1, 0, 0), heading_deg=180, count=300)
    estimate = estimate_ego_motion(
        [RadarReturns(front.rays_base, front.sensor_position, velocity, 10.4), rear]
    )
    assert estimate is not None
    assert [len(mask) for mask in estimate.inliers] == [400, 300]
    assert not estimate.inliers[0][-10:].any() and estimate.inliers[0][100:-10].mean() > 0.98
    assert estimate.inlier_share == pytest.approx(sum(m.sum() for m in estimate.inliers) / 700)


def test_covariance_covers_the_error():
    errors, deviations = [], []
    for seed in range(40):
        estimate = estimate_ego_motion([returns((15.0, 0.3), position=(0, 0, 0), seed=seed, count=300)])
        assert estimate is not None
        errors.append(estimate.linear[:2] - (15.0, 0.3))
        deviations.append(np.sqrt(np.diag(estimate.linear_cov)[:2]))
    ratio = np.std(errors, axis=0) / np.mean(deviations, axis=0)
    assert (0.4 < ratio).all() and (ratio < 2.0).all()


@pytest.mark.parametrize("interval", [10.4, None])
def test_noise_alone_is_no_motion(interval):
    rng = np.random.default_rng(0)
    for _ in range(5):
        scan = returns((0.0, 0.0), count=300, interval=interval)
        noise = RadarReturns(scan.rays_base, scan.sensor_position, rng.uniform(-5.2, 5.2, 300), interval)
        assert estimate_ego_motion([noise]) is None


def test_standing_is_found_as_standing():
    estimate = estimate_ego_motion([returns((0.0, 0.0), moving=0.4)])
    assert estimate is not None and np.abs(estimate.linear[:2]).max() < 0.05


def test_the_same_scan_gives_the_same_bits():
    first, second = (estimate_ego_motion([returns((9.0, 0.1), interval=None)]) for _ in range(2))
    assert first is not None and second is not None and np.array_equal(first.linear, second.linear)


def test_it_serves_as_ego_motion():
    estimate = estimate_ego_motion([returns((9.0, 0.1))])
    assert estimate is not None
    ego = estimate.ego_motion(7)
    assert (
        ego.stamp_ns == 7
        and ego.linear_velocity[0] == pytest.approx(9, abs=0.1)
        and ego.linear_cov is not None
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("interval", [10.4, None])
def test_sign_and_interval_of_a_radar(sign, interval):
    scans = []
    for k, speed in enumerate((6.0, 9.0, 12.0, 14.0, 13.0, 8.0)):
        scan = returns((speed, 0.0), interval=interval, seed=k, position=(0, 0, 0))
        quantised = np.round(scan.radial_velocity / 0.08125) * 0.08125
        scans.append(RadarReturns(scan.rays_base, scan.sensor_position, sign * quantised))
    found = estimate_doppler_properties(scans)
    assert found.sign == sign and found.confidence > 0.9
    if interval is None:
        assert found.ambiguity_mps is None
    else:
        assert found.ambiguity_mps == pytest.approx(interval, abs=0.1)


def test_a_standing_car_tells_no_sign():
    scans = [returns((0.0, 0.0), moving=0.1, interval=None, seed=k) for k in range(5)]
    assert estimate_doppler_properties(scans).sign is None


def read_astyx(npz_path) -> tuple[np.ndarray, np.ndarray]:
    """Rays in the LiDAR's nearly level axes, and velocities as given (approaching positive)."""
    radar = np.load(npz_path)["radar"]
    calibration = json.loads(npz_path.with_suffix(".json").read_text())["calibration"]
    lidar_from_radar = np.array(calibration["lidar_vlp16"]["T_to_ref_COS"])[:3, :3].T
    return rays_of(radar[:3].T, rigid(lidar_from_radar, np.zeros(3))), radar[3].astype(np.float64)


def test_speed_of_the_astyx_car(astyx):
    """Ego speed over the val frames, printed with `-s`; in truth the car drives forward or stands."""
    estimates = []
    for path in sorted((astyx / "val").glob("*.npz")):
        rays, velocity = read_astyx(path)
        estimates.append(estimate_ego_motion([RadarReturns(rays, np.zeros(3), -velocity, ASTYX_INTERVAL)]))
    found = [e for e in estimates if e is not None]
    vx = np.array([e.linear[0] for e in found])
    fast = [e for e in found if e.linear[0] > 4]
    share = np.median([e.inlier_share for e in fast])
    residual = np.median([e.residual_mps for e in fast])
    print(
        f"\nAstyx val: {len(found)} of {len(estimates)} frames; forward {np.sum(vx > 0.2)}, backward "
        f"{np.sum(vx < -0.2)}; above 4 m/s ({len(fast)}): inliers {share:.1%}, residual {residual:.3f} m/s"
    )
    assert len(found) > 0.95 * len(estimates)
    assert np.sum(vx < -0.2) <= 0.02 * len(found)
    assert share > 0.8 and residual < 0.12


def test_the_astyx_radar_is_recognised(astyx):
    scans = []
    for path in sorted((astyx / "val").glob("*.npz"))[:30]:
        rays, velocity = read_astyx(path)
        scans.append(RadarReturns(rays, np.zeros(3), velocity))
    found = estimate_doppler_properties(scans)
    assert (
        found.sign == -1 and found.ambiguity_mps == pytest.approx(10.4, abs=0.05) and found.confidence > 0.9
    )
