from __future__ import annotations

from dataclasses import replace

import numpy as np

from mm_fusion.detectors.geometric.track_objects import UNKNOWN_SIZE, track_objects
from mm_fusion.frame import Calibration
from mm_fusion.geometry.transforms import from_rpy_deg
from mm_fusion.measurements import RadarTracks
from test.detectors.scene import CARS, STAMP, frame, tracks


def test_no_tracks():
    empty = np.zeros((0, 3), np.float32)
    none = RadarTracks(
        STAMP, "radar", empty, empty, empty[:, :2], empty, empty, empty[:, 0], np.zeros(0, np.int64)
    )
    assert len(track_objects(frame({"tracks": none}), "tracks", none)) == 0


def test_a_track_is_an_object_with_its_id():
    track = tracks(CARS[0], (3.0, 1.0), 77)
    objects = track_objects(frame({"tracks": track}), "tracks", track)
    np.testing.assert_allclose(objects.center, CARS[:1, :3], atol=1e-5)
    np.testing.assert_allclose(objects.size, CARS[:1, 3:6], atol=1e-5)
    np.testing.assert_allclose(objects.yaw, [np.arctan2(1, 3)], atol=1e-6)
    np.testing.assert_allclose(objects.velocity, [[3, 1]])
    assert objects.track_id.tolist() == [77] and objects.class_names() == ["unknown"]


def test_everything_turns_with_the_mount():
    """A sensor that looks left: its x is our y."""
    track = replace(
        tracks(CARS[0], (3.0, 0.0), 1),
        center=np.array([[10, 0, 0]], np.float32),
        position_cov=np.array([[1.0, 0.0, 4.0]], np.float32),
        velocity_cov=np.array([[0.1, 0.0, 9.0]], np.float32),
    )
    turned = Calibration({"tracks": from_rpy_deg((0, 0, 90))})
    objects = track_objects(frame({"tracks": track}, calibration=turned), "tracks", track)
    np.testing.assert_allclose(objects.center[0, :2], [0, 10], atol=1e-5)
    np.testing.assert_allclose(objects.velocity[0], [0, 3], atol=1e-6)
    np.testing.assert_allclose(objects.position_cov[0], [4, 0, 1], atol=1e-6)
    np.testing.assert_allclose(objects.velocity_cov[0], [9, 0, 0.1], atol=1e-6)


def test_a_track_moves_on_to_the_frames_time():
    track = replace(tracks(CARS[0], (10.0, 0.0), 1), stamp_ns=STAMP - 100_000_000)
    objects = track_objects(frame({"tracks": track}), "tracks", track)
    np.testing.assert_allclose(objects.center[0, 0], CARS[0, 0] + 1.0, atol=1e-4)


def test_what_a_tracker_leaves_out_or_spoils():
    track = tracks(CARS[0], (np.nan, np.nan), 1)
    zero, bad = np.zeros((1, 3), np.float32), np.full((1, 3), np.nan, np.float32)
    track = replace(
        track, size=zero, position_cov=bad, velocity_cov=zero, moving=np.array([np.nan], np.float32)
    )
    objects = track_objects(frame({"tracks": track}), "tracks", track)
    np.testing.assert_allclose(objects.size[0], UNKNOWN_SIZE)
    assert np.isfinite(objects.position_cov).all() and objects.moving.tolist() == [0.5]
    assert np.isnan(objects.velocity).all() and np.isinf(objects.velocity_cov[0, 0])
    nowhere = replace(track, center=bad)
    assert len(track_objects(frame({"tracks": nowhere}), "tracks", nowhere)) == 0
