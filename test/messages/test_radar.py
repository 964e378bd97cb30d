from __future__ import annotations

import numpy as np
import pytest

from mm_fusion.errors import MeasurementError
from mm_fusion.measurements import RadarScan
from mm_fusion.messages.build import fixed_of, header_of, vector_of
from mm_fusion.messages.encode import encode_radar_scan
from mm_fusion.messages.radar import (
    UNFILLED_VARIANCE,
    decode_radar_scan,
    decode_radar_tracks,
    track_number,
)


@pytest.fixture
def scan(types):
    """RadarScan of rows range, azimuth, elevation, doppler, amplitude."""

    def build(*rows):
        kind = types("radar_msgs/msg/RadarReturn")
        names = ("range", "azimuth", "elevation", "doppler_velocity", "amplitude")
        returns = [kind(**dict(zip(names, row))) for row in rows]
        return types("radar_msgs/msg/RadarScan")(header=header_of(10**18, "radar", types), returns=returns)

    return build


@pytest.fixture
def track(types):
    """One RadarTrack, and with `tracks` a message of several."""

    def build(number: int = 1, position=(10, 2, 0), velocity=(3, -1, 0), cov=(1, 0.5, 0, 2, 0, 1), **changed):
        uuid = types("unique_identifier_msgs/msg/UUID")(uuid=np.array([number, *[0] * 15], np.uint8))
        given = {
            "uuid": uuid,
            "position": vector_of(position, types, "geometry_msgs/msg/Point"),
            "velocity": vector_of(velocity, types),
            "acceleration": vector_of((0, 0, 0), types),
            "size": vector_of((4, 2, 1.5), types),
            "classification": 2,
            "position_covariance": fixed_of(cov, "f4"),
            "velocity_covariance": fixed_of(np.zeros(6), "f4"),
            "acceleration_covariance": fixed_of(np.zeros(6), "f4"),
            "size_covariance": fixed_of(np.zeros(6), "f4"),
        }
        return types("radar_msgs/msg/RadarTrack")(**{**given, **changed})

    return build


@pytest.fixture
def tracks(types):
    def build(*rows):
        return types("radar_msgs/msg/RadarTracks")(
            header=header_of(10**18, "radar", types), tracks=list(rows)
        )

    return build


def test_empty_scan(scan, sensor):
    assert decode_radar_scan(scan(), sensor("radar"), 0).get().xyz.shape == (0, 3)


def test_polar_to_cartesian(scan, sensor):
    message = scan((10.0, np.pi / 2, 0.0, 2.0, 30.0), (20.0, 0.0, np.pi / 6, -1.0, 40.0))
    got = decode_radar_scan(message, sensor("radar", strength_kind="snr", ambiguity_mps=10.4), 0).get()
    assert got.xyz == pytest.approx(np.array([[0, 10, 0], [20 * np.cos(np.pi / 6), 0, 10]]), abs=1e-5)
    assert list(got.radial_velocity) == [2, -1] and list(got.strength_db) == [30, 40]
    assert (got.strength_kind, got.ambiguity_mps, got.compensated) == ("snr", 10.4, False)


def test_doppler_sign_is_the_sensors(scan, sensor):
    got = decode_radar_scan(scan((10.0, 0.0, 0.0, 2.0, 30.0)), sensor("radar", doppler_sign=-1), 0).get()
    assert list(got.radial_velocity) == [-2]


def test_unusable_returns_are_cut(scan, sensor):
    good = (10.0, 0.0, 0.0, 1.0, 0.0)
    bad = [
        (np.nan, 0, 0, 1, 0),
        (10, np.inf, 0, 1, 0),
        (10, 0, 0, np.nan, 0),
        (-10, 0, 0, 1, 0),
        (0.2, 0, 0, 1, 0),
    ]
    message = scan(good, *[tuple(map(float, row)) for row in bad])
    assert len(decode_radar_scan(message, sensor("radar", min_range_m=0.5), 0).get().xyz) == 1


def test_scan_round_trip(types, on_the_wire, sensor):
    rng = np.random.default_rng(0)
    xyz = rng.normal(0, 30, (20, 3)).astype(np.float32)
    sent = RadarScan(10**18, "radar", xyz, rng.normal(size=20).astype("f4"), rng.normal(size=20).astype("f4"))
    got = decode_radar_scan(on_the_wire(encode_radar_scan(sent, types)), sensor("radar"), 0).get()
    assert got.xyz == pytest.approx(sent.xyz, abs=1e-4)
    assert np.array_equal(got.radial_velocity, sent.radial_velocity) and got.stamp_ns == sent.stamp_ns


def test_no_tracks(tracks, sensor):
    assert len(decode_radar_tracks(tracks(), sensor("radar_tracks"), 0).get().center) == 0


def test_tracks(tracks, track, sensor, on_the_wire):
    message = on_the_wire(tracks(track(7), track(8, classification=1), track(9, classification=32000)))
    got = decode_radar_tracks(message, sensor("radar_tracks"), 0).get()
    assert list(got.track_id) == [7, 8, 9] and list(got.moving) == [1, 0, 0.5]
    assert got.center[0] == pytest.approx([10, 2, 0]) and got.velocity[0] == pytest.approx([3, -1])
    assert got.size[0] == pytest.approx([4, 2, 1.5]) and got.position_cov[0] == pytest.approx([1, 0.5, 2])
    assert got.velocity_cov[0] == pytest.approx([UNFILLED_VARIANCE, 0, UNFILLED_VARIANCE])


def test_unusable_tracks_and_covariances(tracks, track, sensor):
    rows = (
        track(1, position=(np.nan, 0, 0)),
        track(2, velocity=(np.inf, 0, 0)),
        track(3, position=(500, 0, 0)),
        track(4, cov=(1, 3, 0, 1, 0, 1)),
        track(5, cov=(-1, 0, 0, 1, 0, 1)),
    )
    got = decode_radar_tracks(tracks(*rows), sensor("radar_tracks"), 0).get()
    assert list(got.track_id) == [4, 5]
    assert got.position_cov == pytest.approx(np.array([[1, 0, 1], [UNFILLED_VARIANCE, 0, UNFILLED_VARIANCE]]))


def test_uuid_numbers_differ_and_fit():
    uuids = [np.eye(16, dtype=np.uint8)[i] * 255 for i in range(16)] + [np.full(16, 255, np.uint8)]
    numbers = [track_number(uuid) for uuid in uuids]
    assert all(0 <= number < 2**63 for number in numbers) and len(set(numbers)) >= 9
    assert track_number(np.array([5, *[0] * 15], np.uint8)) == 5


def test_another_message_is_said(types, sensor):
    message = types("std_msgs/msg/String")(data="hello")
    for decode in (decode_radar_scan, decode_radar_tracks):
        with pytest.raises(MeasurementError, match="/sensor: expected a readable Radar"):
            decode(message, sensor("radar"), 0)
